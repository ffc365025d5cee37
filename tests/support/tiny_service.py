"""A root file system of a few megabytes made from the running Python, with an HTTP service that can misbehave."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from pipeline.image.archive import PlatformImage, Written, write_archive
from pipeline.image.layer import Packed, file, folder, pack
from pipeline.steps.smoke import MACHINES

SERVICE = """
import http.server, os, signal, sys, time

mode = sys.argv[2] if len(sys.argv) > 2 else ""
print("mode", mode, "\\x1b[31mred", flush=True)
if mode == "crash":
    raise SystemExit("cannot start: no database")
if mode == "orphan" and not os.fork():
    time.sleep(600)
if mode == "many":
    children = 0
    try:
        while children < 1000:
            if not os.fork():
                time.sleep(600)
            children += 1
    except OSError as error:
        print("children", children, error.strerror, flush=True)
if mode == "greedy":
    print("took", len(b"x" * (700 << 20)), flush=True)


def facts():
    status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
    found = {"pid": os.getpid(), "uid": os.getuid(), "root": sorted(os.listdir("/")), "env": dict(os.environ)}
    found |= {name: status[name].strip() for name in ("NoNewPrivs", "CapEff", "CapBnd")}
    places = {"root_writable": "/new", "tmp_writable": "/tmp/new", "sys_writable": "/proc/sys/kernel/core_pattern"}
    for name, path in places.items():
        try:
            open(path, "a").close()
            found[name] = True
        except OSError:
            found[name] = False
    found["interfaces"] = [line.split(":")[0].strip() for line in list(open("/proc/net/dev"))[2:]]
    return found


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status, body = 200, b"fine"
        if self.path == "/healthz" and mode == "sick":
            status = 503
        if self.path.startswith("/gatehouse"):
            status, body = (500 if mode == "broken-address" else 404), b"no"
        if mode == "traceback":
            body = b"Traceback (most recent call last)"
        self.send_response(status)
        if mode != "sniffing":
            self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    if mode == "trace":
        do_TRACE = do_GET
    if mode == "fragile":
        def log_error(self, *_):
            os._exit(1)


class Server(http.server.HTTPServer):
    def handle_error(self, request, client_address):
        print("a client left", flush=True)


def stop(*_):
    if mode != "stubborn":
        os._exit(3 if mode == "bad-exit" else 0)


signal.signal(signal.SIGTERM, stop)
print(facts(), flush=True)
Server(("0.0.0.0", int(sys.argv[1])), Handler).serve_forever()
"""

_LIST = """
import encodings.idna, http.server, os, signal, sys, time
print(sys.prefix)
print(*(m.__file__ for m in list(sys.modules.values()) if getattr(m, "__file__", None)), sep="\\n")
"""


def make_rootfs(folder: Path) -> list[str]:
    """Fill ``folder``; gives the command that starts the service, which takes a port and a mode."""
    python = os.path.realpath(sys.executable)
    done = subprocess.run([python, "-I", "-S", "-c", _LIST], capture_output=True, text=True, check=True)
    prefix, *modules = done.stdout.splitlines()
    libraries = {word for name in (python, *modules) if not name.endswith(".py") for word in _libraries(name)}
    standard = f"{prefix}/lib/python3.{sys.version_info.minor}"
    # Frozen or under another name in the list above.
    for name in {python, *modules, *libraries, f"{standard}/os.py", f"{standard}/collections/abc.py"}:
        target = folder / name.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(name, target)
    (folder / "service.py").write_text(SERVICE)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755)  # whatever the modes are where Python is installed
    return [python, "-I", "-S", "/service.py"]


def _libraries(program: str) -> list[str]:
    done = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    return [word for word in done.stdout.split() if word.startswith("/")]


def pack_rootfs(rootfs: Path) -> Packed:
    tree = {path.relative_to(rootfs).as_posix(): path for path in rootfs.rglob("*")}
    entries = {
        name: folder() if path.is_dir() else file(path.read_bytes(), executable=True) for name, path in tree.items()
    }
    return pack(entries, time=0)


def write_image(archive: Path, layer: Packed, command: list[str]) -> Written:
    """An image for this machine."""
    config = {
        "architecture": MACHINES[platform.machine()].rpartition("/")[2],
        "os": "linux",
        "config": {"Entrypoint": command, "User": "65532:65532"},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
    }
    image = PlatformImage(MACHINES[platform.machine()], config, [layer])
    return write_archive(archive, [image], name="gatehouse-test-service", tag="latest")

"""The image: how long it takes to make, how large it is, how soon it answers, whether another machine makes the same.

Prints seconds of wall clock (medians of several) and megabytes. ``--part`` measures one of: build, size, start, same.
"""

import argparse
import http.client
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pipeline.image.archive import Archive  # noqa: E402 - the root must be on the path first
from pipeline.image.bytecode import host_architecture  # noqa: E402
from pipeline.image.composer import compose  # noqa: E402
from pipeline.image.engine_build import build_with_engine  # noqa: E402
from pipeline.image.lower_layers import Workshop  # noqa: E402
from pipeline.indexes import pip_environment, uv_environment  # noqa: E402
from pipeline.processes import engine_addresses, scrubbed  # noqa: E402
from pipeline.running import environments  # noqa: E402
from pipeline.runtime.containers import HARDENING  # noqa: E402
from pipeline.runtime.engines import Engine, connect, find_engine  # noqa: E402
from pipeline.settings import Settings, load  # noqa: E402
from pipeline.source import read_source  # noqa: E402
from pipeline.steps.lock_compilers import Uv  # noqa: E402

if TYPE_CHECKING:
    from docker import DockerClient

#: What the whole service will depend on.
FULL = (
    "tornado PyJWT argon2-cffi cryptography SQLAlchemy[asyncio] asyncpg aiosqlite pydantic structlog prometheus-client "
    "alembic"
)
PLATFORM = f"linux/{host_architecture()}"
#: Megabytes allowed: base, image, image compressed. 0: nobody set a limit.
_SIZES = {
    "sample with byte code": (53, 75, 0),
    "sample without byte code": (40, 75, 0),
    "full with byte code": (53, 132, 46),
    "full without byte code": (40, 100, 34),
}
REPEATS = 7
Figures = dict[str, Any]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _timed(call: Callable[[], object]) -> float:
    started = time.monotonic()
    call()
    return round(time.monotonic() - started, 2)


def _clone(folder: Path) -> Path:
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    return folder


def _change_app(clone: Path) -> None:
    with (clone / "sample_app" / "__init__.py").open("a", encoding="utf-8") as file:
        file.write("# one more line\n")


def _settings(clone: Path, *, byte_code: bool = True) -> Settings:
    settings = load(clone)
    image = settings.image.model_copy(update={"platforms": [PLATFORM], "byte_code": byte_code})
    return settings.model_copy(update={"image": image})


def _shop(clone: Path, cache: Path) -> Workshop:
    pip = environments.ensure(ROOT, "checks", _say).python
    return Workshop(root=clone, cache=cache, pip=pip, pip_environment=pip_environment())


def _compose(clone: Path, cache: Path, archive: Path, *, byte_code: bool = True) -> Path:
    compose(_shop(clone, cache), _settings(clone, byte_code=byte_code), read_source(clone), archive)
    return archive


def _step(clone: Path) -> None:
    """The ``image`` step as sessions run it: a process of its own that also examines what came out."""
    python = environments.ensure(ROOT, "pipeline", _say).python
    checks = environments.ensure(ROOT, "checks", _say).python
    command = [str(python), "-I", str(clone / "pipeline" / "__main__.py"), "step", "image"]
    command += ["--environment", f"checks={checks}"]
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)


def _changed(clone: Path, build: Callable[[], object]) -> float:
    """Median seconds of ``build`` after a change of the application each time."""
    seconds = []
    for _ in range(3):
        _change_app(clone)
        seconds.append(_timed(build))
    return statistics.median(seconds)


def measure_build(folder: Path, engine: Engine | None) -> Figures:
    """Seconds with empty caches, and after a change of the application: composer, its whole step, and the engine."""
    clone, archive = _clone(folder / "clone"), folder / "image.tar"
    builds: dict[str, Callable[[], object]] = {"composer": lambda: _compose(clone, folder / "cache", archive)}
    builds["step"] = lambda: _step(clone)
    if engine:
        builds["engine"] = lambda: _build_with(engine, clone, folder / "engine", folder / "engine.tar")
    return {name: {"cold": _timed(build), "changed": _changed(clone, build)} for name, build in builds.items()}


def _build_with(engine: Engine, clone: Path, cache: Path, archive: Path) -> None:
    build_with_engine(_shop(clone, cache), _settings(clone), read_source(clone), archive, engine)


def make_images(folder: Path) -> dict[tuple[str, bool], Path]:
    """The image with the sample's dependencies and with the full service's, with byte code and without."""
    images = {}
    for name in ("sample", "full"):
        clone = _clone(folder / name)
        if name == "full":
            _lock_full(clone)
        for byte_code in (True, False):
            archive = folder / f"{name}-{byte_code}.tar"
            images[name, byte_code] = _compose(clone, folder / "cache", archive, byte_code=byte_code)
    return images


def _lock_full(clone: Path) -> None:
    (clone / "requirements.in").write_text(FULL.replace(" ", "\n") + "\n", encoding="utf-8")
    bootstrap = environments.ensure(ROOT, "bootstrap", _say).python
    made = Uv(bootstrap.parent / "uv", bootstrap, uv_environment(), version="3.13")(clone, "requirements.txt")
    (clone / "requirements.txt").write_bytes(made)


def measure_size(images: Mapping[tuple[str, bool], Path]) -> Figures:
    """Megabytes of the base and of the whole image, files and compressed layers."""
    figures: Figures = {}
    for (name, byte_code), path in images.items():
        archive = Archive(path)
        layers = [sum(len(entry.content) for entry in layer.values()) for layer in archive.layer_trees(PLATFORM)]
        compressed = [layer["size"] for layer in archive.manifest(PLATFORM)["layers"]]
        figures[f"{name} {_code(byte_code)}"] = {
            "base": _megabytes(layers[0]),
            "image": _megabytes(sum(layers)),
            "compressed": _megabytes(sum(compressed)),
            "application_layer_kilobytes": round(compressed[-1] / 1e3, 1),
        }
    return figures


def _code(byte_code: bool) -> str:
    return "with byte code" if byte_code else "without byte code"


def _megabytes(size: int) -> float:
    return round(size / 1e6, 1)


_IMPORT_ALL = (
    "import aiosqlite, alembic.command, argon2, asyncpg, cryptography.x509, jwt, prometheus_client, pydantic, "
    "sqlalchemy.ext.asyncio, structlog, tornado.web"
)
#: What application byte code would save at each start: the compiler's time over everything below /app.
_COMPILE_APP = (
    "import pathlib, time; s = [p.read_bytes() for p in pathlib.Path('/app').rglob('*.py')]; t = time.perf_counter(); "
    "[compile(x, 'a', 'exec') for x in s]; print(time.perf_counter() - t)"
)


def measure_start(images: Mapping[tuple[str, bool], Path], engine: Engine, settings: Settings) -> Figures:
    """Median seconds until a hardened container has ended, or has answered its health path with 200."""
    client = connect(engine.address)
    loaded: dict[tuple[str, bool], str] = {}
    seconds: dict[str, list[float]] = {}
    try:
        for key, path in images.items():
            with path.open("rb") as file:
                loaded[key] = str(client.images.load(file)[0].id)
        for _ in range(REPEATS):  # in turn, so that what else runs here slows all of them alike
            for (name, byte_code), image in loaded.items():
                for what, took in _starts(client, image, settings, imports=name == "full").items():
                    seconds.setdefault(f"{name} {_code(byte_code)}: {what}", []).append(took)
        compiling = float(_run(client, loaded["sample", True], _COMPILE_APP)[1])
    finally:
        for image in loaded.values():
            client.images.remove(image, force=True)
        client.close()
    medians = {name: round(statistics.median(found), 2) for name, found in sorted(seconds.items())}
    shipped = f"sample {_code(settings.image.byte_code)}"
    above = round(medians[f"{shipped}: HTTP 200"] - medians[f"{shipped}: pass"], 2)
    return {"seconds": medians, "above_pass": above, "compiling_the_application": round(compiling, 3)}


def _starts(client: "DockerClient", image: str, settings: Settings, *, imports: bool) -> dict[str, float]:
    """Seconds of nothing at all, and of importing every dependency or of answering."""
    nothing = {"pass": _run(client, image, "pass")[0]}
    if imports:
        return {**nothing, "imports": _run(client, image, _IMPORT_ALL)[0]}
    return {**nothing, "HTTP 200": _until_answer(client, image, settings)}


def _run(client: "DockerClient", image: str, program: str) -> tuple[float, bytes]:
    """Seconds from the container's making to its end, and what it printed."""
    started = time.monotonic()
    container = client.containers.create(image, entrypoint=["/usr/bin/python3", "-c", program], **HARDENING)
    try:
        container.start()
        code = container.wait()["StatusCode"]
        seconds = time.monotonic() - started
        if code:
            raise SystemExit(f"exit code {code}: {container.logs().decode()[-500:]}")
        return seconds, bytes(container.logs())
    finally:
        container.remove(force=True, v=True)


def _until_answer(client: "DockerClient", image: str, settings: Settings) -> float:
    port = f"{settings.app.port}/tcp"
    started = time.monotonic()
    container = client.containers.create(image, ports={port: ("127.0.0.1", 0)}, **HARDENING)
    try:
        container.start()
        container.reload()
        published = int(container.attrs["NetworkSettings"]["Ports"][port][0]["HostPort"])
        while not _healthy(published, settings.app.health):
            if time.monotonic() - started > 30:
                raise SystemExit(f"the container did not answer: {container.logs().decode()[-500:]}")
            time.sleep(0.005)
        return time.monotonic() - started
    finally:
        container.remove(force=True, v=True)


def _healthy(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


# Runs with another Python: makes its own environments in its own clone, then the image.
_ELSEWHERE = """
import os, sys
os.umask(int(sys.argv[2], 8))
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from pipeline.processes import run
from pipeline.running.environments import ensure
root, say = Path(sys.argv[1]), lambda line: None
tools = {name: ensure(root, name, say).python for name in ("bootstrap", "pipeline", "checks")}
ended = run([tools["pipeline"], "-I", root / "pipeline/__main__.py", "step", "image",
             *(word for name, path in tools.items() for word in ("--environment", f"{name}={path}"))])
sys.exit(ended.stderr.decode() if ended.exit_code else 0)
"""


def measure_same(folder: Path, pythons: list[str]) -> Figures:
    """The digest by Python, each with its own umask, time zone, locale and checkout path, and nothing shared."""
    places = (
        ("one", "022", "UTC", "C.UTF-8"),
        ("another place/with spaces", "077", "Pacific/Kiritimati", "de_DE.UTF-8"),
    )
    digests = {}
    for number, python in enumerate(pythons):
        place, umask, zone, locale = places[number % len(places)]
        clone = _clone(folder / str(number) / place)
        env = {**scrubbed(), "TZ": zone, "LC_ALL": locale, "LANG": locale}
        subprocess.run([python, "-I", "-c", _ELSEWHERE, str(clone), umask], env=env, check=True)
        version = subprocess.run([python, "-V"], capture_output=True, text=True, check=True).stdout.strip()
        digests[version] = Archive(clone / "dist" / "image.tar").digest
    return {"digests": digests, "identical": len(digests) > 1 and len(set(digests.values())) == 1}


def _pythons() -> list[str]:
    """Every other Python that the pipeline runs on, as uv finds them on this machine; the versions' ends suffice."""
    uv = environments.ensure(ROOT, "bootstrap", _say).python.parent / "uv"
    found = []
    for version in ("3.11", "3.13"):
        done = subprocess.run(
            [uv, "python", "find", "--no-config", version], capture_output=True, text=True, check=False
        )
        found += [done.stdout.strip()] if done.returncode == 0 else []
    return [python for python in found if shutil.which(python)]


def _text(figures: Figures) -> str:
    lines = [f"image on {figures['cores']} cores, Python {figures['python']}, engine: {figures['engine']}"]
    rows: list[tuple[str, object, str, str]] = []
    for name, found in figures.get("build", {}).items():
        limits = (8, 1.5) if name == "composer" else (0, 0)
        rows.append((f"{name}, empty caches", found["cold"], "s", _at_most(limits[0])))
        rows.append((f"{name}, after a change of the application", found["changed"], "s", _at_most(limits[1])))
    for name, found in figures.get("size", {}).items():
        base, image, compressed = _SIZES[name]
        rows.append((f"{name}: base", found["base"], "MB", _at_most(base)))
        rows.append((f"{name}: image", found["image"], "MB", _at_most(image)))
        rows.append((f"{name}: image, compressed", found["compressed"], "MB", _at_most(compressed)))
        rows.append((f"{name}: what a change sends again", found["application_layer_kilobytes"], "kB", ""))
    start = figures.get("start", {})
    rows += [(name, seconds, "s", "") for name, seconds in start.get("seconds", {}).items()]
    if start:
        rows.append(("HTTP 200 above python -c pass, as shipped", start["above_pass"], "s", _at_most(0.6)))
        rows.append(("compiling the application at each start", start["compiling_the_application"], "s", ""))
    for python, digest in figures.get("same", {}).get("digests", {}).items():
        lines.append(f"  {python}, an environment of its own   {digest}")
    if "same" in figures and len(figures["same"]["digests"]) < 2:
        lines.append("  nothing to compare: name two Pythons, `--part same --python PATH --python PATH`")
    elif "same" in figures and not figures["same"]["identical"]:
        lines.append("  THE DIGESTS DIFFER")
    return "\n".join(
        [*lines, *(f"  {name:<50} {value:>8} {unit:<2} {limit}".rstrip() for name, value, unit, limit in rows)]
    )


def _at_most(limit: float) -> str:
    return f"(at most {limit:g})" if limit else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--part", choices=("build", "size", "start", "same"), action="append")
    parser.add_argument("--python", action="append", help="for the part same; otherwise those that uv finds")
    arguments = parser.parse_args()
    parts = arguments.part or ["build", "size", "start", "same"]
    engine = find_engine(engine_addresses()).engine
    figures: Figures = {"cores": os.cpu_count(), "python": platform.python_version()}
    figures["engine"] = f"{engine.name} {engine.version}" if engine else "none answers"
    with tempfile.TemporaryDirectory(prefix="gatehouse-bench-") as name:
        folder = Path(name)
        if "build" in parts:
            figures["build"] = measure_build(folder / "build", engine)
        images = make_images(folder / "images") if {"size", "start"} & set(parts) else {}
        if "size" in parts:
            figures["size"] = measure_size(images)
        if "start" in parts and engine:
            figures["start"] = measure_start(images, engine, load(ROOT))
        if "same" in parts:
            figures["same"] = measure_same(folder / "same", arguments.python or _pythons())
    print(json.dumps(figures, indent=1) if arguments.format == "json" else _text(figures))


if __name__ == "__main__":
    main()

"""The base: locked Debian packages laid out without their scripts, and what those scripts would have made."""

import hashlib
import os
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipeline.debian.packages import Package
from pipeline.image.debs import Deb, read_deb
from pipeline.image.layer import Entry, Kind, Tree, file, folder, link

#: The image's user (as distroless images have it) and its home.
NONROOT = 65532
#: The C library's name of each architecture (Debian policy 9.1.1, multiarch tuples).
TUPLES = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}

# What a running Python service has no use for: programs, documentation but its copyright files, configuration of
# programs that are absent, and modules whose libraries are left out in base.in.
_LEFT_OUT = re.compile(
    r"usr/share/(?:doc/[^/]+/(?!copyright$)|(?:man|locale|lintian|info|bash-completion|pixmaps|debconf|base-files|python3"
    r"|menu|doc-base|gcc|gdb|binfmts|applications)/)"
    r"|usr/s?bin/(?!python3)"
    r"|etc/(?:cron|logrotate|alternatives|apt|dpkg|update-motd|init\.d|default|profile|skel|mke2fs|opt|ca-certificates)"
    r"|usr/lib/[^/]+/(?:gconv/|audit/|libc_malloc_debug|libmemusage|libpcprofile|libnss_(?:compat|hesiod))"
    r"|usr/lib/python3[^/]*/(?:pydoc_data|lib2to3|idlelib|turtledemo|test|ensurepip|__phello__)/"
    r"|usr/lib/python3[^/]*/lib-dynload/(?:readline|_curses|_curses_panel|_dbm|_test|_xxtest|xx|nis)"
    r"|usr/lib/(?:valgrind|gcc|tmpfiles|sysusers|systemd)"
    r"|usr/share/zoneinfo/localtime$"
    r"|(?:var/(?:backups|cache|local|mail|opt|spool)|home|root|media|mnt|srv|opt|boot)/"
)
_CERTIFICATES = "usr/share/ca-certificates/mozilla/"
_BUNDLE = "etc/ssl/certs/ca-certificates.crt"
#: Links to the folder of that name below ``usr`` (the merged /usr of Debian).
MERGED = ("bin", "sbin", "lib", "lib64")
_UNMERGED = re.compile(rf"(?:{'|'.join(MERGED)})/")
_PASSWD = (
    "root:x:0:0:root:/root:/usr/sbin/nologin\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    f"nonroot:x:{NONROOT}:{NONROOT}:nonroot:/home/nonroot:/usr/sbin/nologin\n"
)
_GROUP = f"root:x:0:\nnobody:x:65534:\ntty:x:5:\nstaff:x:50:\nnonroot:x:{NONROOT}:\n"
_NSSWITCH = "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n"


def lay_out(packages: Mapping[Package, Path], *, architecture: str) -> dict[str, Entry]:
    """The base's tree; ``packages`` maps each locked package to its checked file.

    Raises CannotEvaluate (``base.package``).
    """
    tree: dict[str, Entry] = {}
    ordered = sorted(packages, key=lambda package: package.name)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        debs = pool.map(lambda item: read_deb(packages[item].read_bytes(), what=f"{item.name} {item.version}"), ordered)
        for package, deb in zip(ordered, debs, strict=True):
            tree |= _kept(deb)
            tree |= _status(package.name, deb)
    tree |= _trust_store(tree)
    return {path: entry for path, entry in tree.items() if not path.startswith("usr/share/ca-certificates/")} | {
        **{name: link(f"usr/{name}") for name in _top_links(architecture)},
        **{name: folder() for name in ("dev", "etc", "proc", "root", "run", "sys", "usr/sbin")},
        **{name: folder(0o1777) for name in ("tmp", "var/tmp")},
        "home/nonroot": folder(owner=NONROOT),
        "etc/passwd": file(_PASSWD.encode()),
        "etc/group": file(_GROUP.encode()),
        "etc/nsswitch.conf": file(_NSSWITCH.encode()),
    }


def _kept(deb: Deb) -> dict[str, Entry]:
    """A package's files and links at their merged place (bookworm has both /lib and /usr/lib); folders follow."""
    merged = {(f"usr/{path}" if _UNMERGED.match(path) else path): entry for path, entry in deb.files.items()}
    return {
        path: entry
        for path, entry in merged.items()
        if entry.kind is not Kind.FOLDER and not _LEFT_OUT.match(path) and path not in MERGED
    }


def _status(name: str, deb: Deb) -> dict[str, Entry]:
    """The package's entry for scanners, which know this folder from distroless images."""
    sums = "".join(
        f"{hashlib.md5(entry.content, usedforsecurity=False).hexdigest()}  {path}\n"
        for path, entry in sorted(_kept(deb).items())
        if entry.kind is Kind.FILE
    )
    control = deb.control.rstrip(b"\n") + b"\nStatus: install ok installed\n"
    return {
        f"var/lib/dpkg/status.d/{name}": file(control),
        f"var/lib/dpkg/status.d/{name}.md5sums": file(sums.encode()),
    }


def _trust_store(tree: Tree) -> dict[str, Entry]:
    """The certificates in one file, byte for byte what ``update-ca-certificates`` writes."""
    names = sorted(path for path in tree if path.startswith(_CERTIFICATES) and path.endswith(".crt"))
    bundle = b"".join(tree[name].content.rstrip(b"\n") + b"\n" for name in names)
    return {_BUNDLE: file(bundle), "usr/lib/ssl/cert.pem": link(f"/{_BUNDLE}")}


def _top_links(architecture: str) -> tuple[str, ...]:
    return MERGED if architecture == "amd64" else MERGED[:-1]

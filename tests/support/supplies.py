"""What a small service is made of: locks, a wheel, Debian packages, and caches that already hold them."""

import hashlib
import io
import json
import lzma
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.image.layer import Entry, Kind
from tests.support.debian import ar_of, tar_of
from tests.support.loopback import Reply, Request, loopback
from tests.support.wheelhouse import record_line

VERSIONS = {"python3.13-minimal": "3.13.5-2+deb13u5", "tzdata": "2026f-0+deb13u1"}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def lock_of(pins: Mapping[str, str]) -> str:
    """A lock as pip-compile writes it; ``pins`` maps ``name==version`` to a SHA-256."""
    return "".join(f"{pin} \\\n    --hash=sha256:{digest}\n" for pin, digest in pins.items())


def make_wheel(name: str, version: str, *fields: str) -> bytes:
    """A pure wheel whose METADATA has ``fields`` beside its name and version."""
    metadata = "\n".join(["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", *fields, "", "About it.\n"])
    files = {
        f"{name}/__init__.py": "",
        f"{name}/vendored.dist-info/METADATA": "Name: decoy\nVersion: 1\n",
        f"{name}-{version}.dist-info/METADATA": metadata,
        f"{name}-{version}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(record_line(path, text.encode()) for path, text in files.items())
    files[f"{name}-{version}.dist-info/RECORD"] = f"{record}{name}-{version}.dist-info/RECORD,,\n"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path, (2026, 1, 2, 3, 4, 6)), text)
    return packed.getvalue()


def make_deb(name: str, control: Sequence[str], copyright_file: str, *programs: str) -> bytes:
    """A Debian package with ``control`` fields, a copyright file (an empty one stays away), and programs."""
    fields = "\n".join([f"Package: {name}", f"Version: {VERSIONS[name]}", *control, ""])
    files = {f"./{path}": Entry(Kind.FILE, 0o755, b"program") for path in programs}
    if copyright_file:
        files[f"./usr/share/doc/{name}/copyright"] = Entry(Kind.FILE, 0o644, copyright_file.encode())
    return ar_of(
        {
            "debian-binary": b"2.0\n",
            "control.tar.xz": lzma.compress(tar_of({"./control": Entry(Kind.FILE, 0o644, fields.encode())})),
            "data.tar.xz": lzma.compress(tar_of(files)),
        }
    )


PYTHON_DEB = make_deb(
    "python3.13-minimal",
    ["Source: python3.13", "Maintainer: Ada Maintainer <ada@example.org>", "Depends: tzdata (>= 2020) | tz, dpkg"],
    "This package was put together by hand.\n",
    "usr/bin/python3.13",
    "usr/lib/python3.13/os.py",
    "usr/lib64/ld.so",
)
TZDATA_DEB = make_deb(
    "tzdata",
    ["Maintainer: C Library Maintainers <x@example.org>"],
    "Format: copyright-format/1.0\n\nFiles: *\nLicense: GPL-2+\n\n"
    "Files: b\nLicense: Expat\n\nFiles: c\nLicense: public-domain\n Nobody owns it.\n",
)


def _package(name: str, architecture: str, source: str, content: bytes) -> dict[str, Any]:
    version = {"version": VERSIONS[name], "source_version": VERSIONS[name]}
    path = f"debian/pool/main/{source[0]}/{source}/{name}_{architecture}.deb"
    bytes_ = {"sha256": sha256(content), "size": len(content), "path": path}
    return {"name": name, "architecture": architecture, "source": source, **version, **bytes_}


BASE_LOCK = {
    "version": 1,
    "suite": "trixie",
    "time": 1795140670,
    "snapshot": {"debian": "20261120T141110Z", "debian-security": "20261120T121242Z"},
    "suites": [{"archive": "debian", "name": "trixie", "date": "2026-09-12T07:55:41Z"}],
    "packages": {
        architecture: [
            _package("python3.13-minimal", architecture, "python3.13", PYTHON_DEB),
            _package("tzdata", "all", "tzdata", TZDATA_DEB),
        ]
        for architecture in ("amd64", "arm64")
    },
}


def locks(lock: str, *direct: str) -> dict[str, str]:
    """The files of a repository that name its dependencies; ``direct`` are the lines of requirements.in."""
    return {
        "requirements.in": "".join(f"{line}\n" for line in direct),
        "requirements.txt": lock,
        "requirements/base.in": "".join(f"{name}\n" for name in VERSIONS),
        "requirements/base.lock.json": json.dumps(BASE_LOCK),
    }


def fill_debs(state: Path) -> None:
    """Put the base's packages where a download would."""
    folder = state / "cache" / "debs"
    folder.mkdir(parents=True)
    for content in (PYTHON_DEB, TZDATA_DEB):
        (folder / sha256(content)).write_bytes(content)


@contextmanager
def simple_index(*wheels: tuple[str, bytes]) -> Iterator[str]:
    """A package index on loopback that has ``wheels`` (file name and content); yields its address."""
    files = dict(wheels)

    def answer(request: Request) -> Reply:
        page, name = request.path.strip("/").split("/")[:2]
        if page == "files" and name in files:
            return Reply(body=files[name])
        links = [f'<a href="/files/{file}">{file}</a>' for file in files if file.startswith(f"{name}-")]
        html = {"Content-Type": "text/html"}
        return Reply(body=f"<!doctype html><body>{''.join(links)}".encode(), headers=html) if links else Reply(404)

    with loopback(answer) as server:
        yield f"{server.origin}/simple"

"""Wheels for tests, well made or not."""

import base64
import hashlib
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

from pipeline.running import environments

ROOT = Path(__file__).parents[2]
NAME = "thing-1.0-py3-none-any.whl"
INFO = "thing-1.0.dist-info"

_PIP = """\
#!{python}
import os, pathlib, shutil, sys
if "pip" not in sys.argv:
    os.execv({checks!r}, [{checks!r}, *sys.argv[1:]])
words = dict(zip(sys.argv, sys.argv[1:]))
wanted = pathlib.Path(words["--requirement"]).read_text()
with pathlib.Path({log!r}).open("a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n" + wanted)
target = pathlib.Path(words["--dest"])
target.mkdir()
for path in pathlib.Path({house!r}).iterdir():
    shutil.copy(path, target)
"""


def make_pip(folder: Path, house: Path) -> Path:
    """A program that stands for the scanners' Python: as pip it "downloads" all of ``house`` and writes ``folder/log``.

    Everything else runs in the real environment.
    """
    program = folder / "python"
    checks = str(environments.locate(ROOT, "checks").python)
    names = {"python": sys.executable, "log": str(folder / "log"), "house": str(house), "checks": checks}
    program.write_text(_PIP.format(**names))
    program.chmod(0o755)
    return program


def record_line(name: str, content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(content)}\n"


def make_wheel(
    folder: Path,
    files: Mapping[str, bytes],
    *,
    name: str = NAME,
    info: str = INFO,
    unlisted: Mapping[str, bytes] | None = None,
    record: str | None = None,
) -> Path:
    """A wheel whose RECORD lists ``files``; ``unlisted`` are in it too, ``record`` replaces RECORD."""
    listed = {**files, f"{info}/METADATA": b"Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n"}
    lines = "".join(record_line(path, content) for path, content in listed.items()) + f"{info}/RECORD,,\n"
    path = folder / name
    with zipfile.ZipFile(path, "w") as archive:
        members = {**listed, **(unlisted or {}), f"{info}/RECORD": (lines if record is None else record).encode()}
        for member, content in members.items():
            archive.writestr(zipfile.ZipInfo(member, (2026, 3, 4, 5, 6, 8)), content)
    return path

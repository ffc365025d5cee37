"""The service's wheels: what ``requirements.txt`` locks, fetched by hash and kept by hash."""

import contextlib
import errno
import json
import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.markers import Marker
from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename
from packaging.version import Version

from pipeline.files import cannot_write, mark_used, sha256_file, write_atomic
from pipeline.hash_locks import Locked
from pipeline.image.layer import sha256
from pipeline.model.context import Sha256Hex
from pipeline.model.documents import Document, canonical_json, parse
from pipeline.model.errors import CannotEvaluate, GatehouseError, Refused
from pipeline.processes import run

LOCK = "requirements.txt"
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
#: What a C library of 2.41 takes, newest first (PEP 600); pip wants every one spelled out.
_GLIBC = ("_2_41", "_2_39", "_2_38", "_2_36", "_2_35", "_2_34", "_2_31", "_2_28", "_2_27", "_2_26", "_2_24", "_2_17")


class Wheel(Document):
    """A wheel file that was chosen for a platform. ``size`` is in bytes."""

    name: str
    version: str
    filename: str
    sha256: Sha256Hex
    size: int


class Selection(Document):
    wheels: list[Wheel]


def marker_environment(architecture: str, python: str) -> dict[str, str]:
    """What markers see inside the image (PEP 508, "Environment Markers"); ``python`` is ``3.13``."""
    return {
        "implementation_name": "cpython",
        "os_name": "posix",
        "platform_machine": MACHINES[architecture],
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{python}.0",
        "implementation_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
        "extra": "",
    }


def for_image(locked: Sequence[Locked], *, architecture: str, python: str) -> list[Locked]:
    """The requirements whose marker holds inside the image."""
    environment = marker_environment(architecture, python)
    return [item for item in locked if not item.marker or Marker(item.marker).evaluate(environment)]


def fetch_wheels(
    locked: Sequence[Locked],
    *,
    architecture: str,
    python: str,
    cache: Path,
    pip: Path,
    pip_environment: Mapping[str, str],
    say: Callable[[str], None],
) -> dict[Wheel, Path]:
    """Each locked wheel and its file below ``cache``, checked against the lock now. ``pip`` is a Python that has pip.

    Raises Refused (``wheels.wrong-hash``, ``wheels.sdist``) and CannotEvaluate (``wheels.not-fetched``, ``files.*``).
    """
    if not locked:
        return {}
    key = sha256(canonical_json([[i.name, i.version, sorted(i.hashes)] for i in locked] + [[architecture, python]]))
    record = cache / f"{key.removeprefix('sha256:')}.json"
    found = _cached(record, locked, cache)
    if found is None:
        say(f"fetching {len(locked)} wheels for {architecture}")
        try:
            wheels = _download(locked, architecture, python, cache, pip, pip_environment)
        except OSError as error:
            raise cannot_write(cache, error) from error
        write_atomic(record, json.dumps(Selection(wheels=wheels).model_dump(), indent=1).encode())
        found = _cached(record, locked, cache)
    if found is None:
        raise _not_fetched("a cache that changes while it is read")
    return found


def _cached(record: Path, locked: Sequence[Locked], cache: Path) -> dict[Wheel, Path] | None:
    """What an earlier run chose, if all of it is there, whole, and still exactly what the lock allows."""
    try:
        selection = parse(Selection, record.read_bytes(), what="selection of wheels")
        files = {wheel: cache / wheel.sha256 / wheel.filename for wheel in selection.wheels}
        whole = all(sha256_file(path) == wheel.sha256 for wheel, path in files.items())
    except (OSError, GatehouseError):
        return None
    mark_used(record, *files.values())
    allowed = {(item.name, item.version): item.hashes for item in locked}
    exact = {(wheel.name, wheel.version) for wheel in files} == allowed.keys()
    return files if whole and exact and all(w.sha256 in allowed[w.name, w.version] for w in files) else None


def _download(
    locked: Sequence[Locked], architecture: str, python: str, cache: Path, pip: Path, environment: Mapping[str, str]
) -> list[Wheel]:
    cache.mkdir(parents=True, exist_ok=True)
    tags = [f"manylinux{glibc}_{MACHINES[architecture]}" for glibc in _GLIBC]
    tags.append(f"manylinux2014_{MACHINES[architecture]}")
    with tempfile.TemporaryDirectory(dir=cache, prefix=".fetch-") as temporary:
        # pip judges markers by the interpreter that it runs in, so it gets the lines that count and no markers.
        lines = [f"{i.name}=={i.version} {' '.join(f'--hash=sha256:{h}' for h in sorted(i.hashes))}\n" for i in locked]
        wanted = Path(temporary, "wanted.txt")
        wanted.write_text("".join(lines), encoding="ascii")
        command: list[str | Path] = [pip, "-I", "-m", "pip", "download", "-vv", "--no-input", "--no-deps"]
        command += ["--require-hashes", "--only-binary=:all:", "--implementation", "cp", "--python-version", python]
        command += [word for tag in tags for word in ("--platform", tag)]
        ended = run([*command, "--dest", f"{temporary}/files", "--requirement", wanted], env=environment)
        if ended.exit_code != 0:
            _check_room(ended.stderr)
            _check_sources(ended.stdout.decode("utf-8", "replace"), locked)
            raise _pip_failed(ended.stderr.decode("utf-8", "replace"))
        return [_keep(path, locked, cache) for path in sorted(Path(temporary, "files").iterdir())]


def _keep(path: Path, locked: Sequence[Locked], cache: Path) -> Wheel:
    try:
        name, version, _, _ = parse_wheel_filename(path.name)
    except InvalidWheelFilename as error:
        raise _not_fetched(f"{path.name}, which is no wheel") from error
    digest = sha256_file(path)
    item = next((item for item in locked if item.name == name and Version(item.version) == version), None)
    if item is None or digest not in item.hashes:
        raise _wrong_hash(f"{path.name} with sha256 {digest}")
    kept = cache / digest / path.name
    write_atomic(kept, path.read_bytes())
    return Wheel(name=item.name, version=item.version, filename=path.name, sha256=digest, size=kept.stat().st_size)


def _check_room(stderr: bytes) -> None:
    """Raise OSError where pip says that the disk is full: its errno is all that it tells."""
    if f"[Errno {errno.ENOSPC}]".encode() in stderr:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _check_sources(said: str, locked: Sequence[Locked]) -> None:
    """Raises Refused where pip passed over the source distribution of a locked release and found no wheel of it."""
    releases = {(item.name, Version(item.version)) for item in locked}
    for address in re.findall(r"No sources permitted for \S+: (\S+)", said):
        name = unquote(urlsplit(address).path.rpartition("/")[2])
        with contextlib.suppress(InvalidSdistFilename):
            if parse_sdist_filename(name) in releases:
                raise Refused(
                    "wheels.sdist",
                    f"{LOCK}: no wheel of a locked release (got {name}, a source distribution, expected a wheel for "
                    "the image's Python and platform)",
                    fix="lock a release that has one: nothing is built from source, which would run its own code",
                )


def _pip_failed(stderr: str) -> GatehouseError:
    errors = [line.removeprefix("ERROR: ") for line in stderr.splitlines() if line.startswith("ERROR: ")]
    said = re.sub(r"://[^/@\s]*@", "://", errors[0] if errors else (stderr.strip() or "no output").splitlines()[-1])
    return _wrong_hash(said[:300]) if "DO NOT MATCH THE HASHES" in stderr else _not_fetched(said[:300])


def _wrong_hash(got: str) -> Refused:
    return Refused(
        "wheels.wrong-hash",
        f"{LOCK}: a wheel is not the locked one (got {got}, expected a locked hash)",
        fix="do not use that index: the file it serves is not the one that was locked; if it was replaced in earnest, "
        "review it and make the lock anew with `scripts/nox -s lock -- update`",
    )


def _not_fetched(got: str) -> CannotEvaluate:
    return CannotEvaluate(
        "wheels.not-fetched",
        f"{LOCK}: wheels not fetched (got {got}, expected a wheel for each locked requirement)",
        fix="look at the network and at the index in pip's configuration; a package that has no wheel for the image's "
        "Python and platform cannot be used: nothing is built from source",
    )

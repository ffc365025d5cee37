"""Where Debian packages come from: the setting, this machine's apt, or the snapshot archive. No address is ours."""

import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.debian.control import stanzas
from pipeline.model.errors import Misuse
from pipeline.processes import run
from pipeline.settings import Base

#: The archives of a lock's paths: ``debian/pool/...`` and ``debian-security/pool/...``.
ARCHIVES = ("debian", "debian-security")
#: Where python-apt, which Ubuntu carries, knows every distribution's archives by their suites.
_TEMPLATE = Path("/usr/share/python-apt/templates/Debian.info")
_TEMPLATE_SUITES = {"{series}": "debian", "{series}-security": "debian-security"}
_ONE_LINE = re.compile(r"^\s*deb\s+(?:\[[^\]]*\]\s*)?(\S+)")


@dataclass(frozen=True, slots=True)
class Mirrors:
    """``archives`` maps each of ARCHIVES to its address without a final slash; ``snapshot`` is one, or empty."""

    archives: Mapping[str, str]
    snapshot: str = ""

    def current(self, archive: str, now: datetime) -> str:
        """The address of an archive's present state; raises Misuse (``base.no-mirror``)."""
        if archive in self.archives:
            return self.archives[archive]
        if self.snapshot:
            return f"{self.snapshot}/{archive}/{now:%Y%m%dT%H%M%SZ}"
        raise _no_mirror(f"no address of {archive}")

    def addresses(self, path: str, stamps: Mapping[str, str]) -> list[str]:
        """Where to try ``<archive>/<path below it>``, best first; ``stamps`` are the lock's snapshot timestamps."""
        archive, _, rest = path.partition("/")
        found = [f"{self.archives[archive]}/{rest}"] if archive in self.archives else []
        if self.snapshot and archive in stamps:
            found.append(f"{self.snapshot}/{archive}/{stamps[archive]}/{rest}")
        return found


def find_mirrors(base: Base, *, apt: Path = Path("/etc/apt"), template: Path = _TEMPLATE) -> Mirrors:
    """The mirror of ``pipeline.toml``, else of the machine's apt, beside the snapshot archive where one is known.

    An apt of another distribution (Ubuntu) has no Debian sources; then python-apt's ``template`` of Debian counts.

    Raises Misuse (``base.no-mirror``) where neither is there.
    """
    snapshot = base.snapshot or _apt_snapshot()
    known = {**_template_archives(template), **_apt_archives(apt)}
    archives = {name: f"{base.mirror}/{name}" for name in ARCHIVES} if base.mirror else known
    if len(archives) < len(ARCHIVES) and not snapshot:
        raise _no_mirror("no mirror in pipeline.toml, no Debian sources in this machine's apt, no snapshot archive")
    return Mirrors(archives, snapshot)


def _no_mirror(got: str) -> Misuse:
    return Misuse(
        "base.no-mirror",
        f"debian mirror: none known (got {got}, expected one of them)",
        fix='set `[base] mirror = "https://<a Debian mirror>"` in pipeline.toml: the folder that holds debian/ '
        "and debian-security/",
    )


def _apt_archives(apt: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for address in _apt_addresses(apt):
        name = urlsplit(address).path.rstrip("/").rpartition("/")[2]
        if name in ARCHIVES and urlsplit(address).scheme in {"http", "https"} and "@" not in urlsplit(address).netloc:
            found.setdefault(name, address.rstrip("/"))
    return found


def _template_archives(template: Path) -> dict[str, str]:
    """The addresses of python-apt's distribution template: the first ``BaseURI`` behind each ``Suite``."""
    found: dict[str, str] = {}
    archive = None
    for line in _text(template).splitlines():
        key, _, value = line.partition(":")
        if key == "Suite":
            archive = _TEMPLATE_SUITES.get(value.strip())
        elif key == "BaseURI" and archive and value.strip().startswith(("http://", "https://")):
            found.setdefault(archive, value.strip().rstrip("/"))
    return found


def _apt_addresses(apt: Path) -> Iterator[str]:
    for path in [apt / "sources.list", *sorted(apt.glob("sources.list.d/*.list"))]:
        for line in _text(path).splitlines():
            if match := _ONE_LINE.match(line):
                yield match[1]
    for path in sorted(apt.glob("sources.list.d/*.sources")):
        try:
            found = list(stanzas(_text(path)))
        except ValueError:  # apt's own complaint, not ours: the other files may do
            continue
        for stanza in found:
            if "deb" in stanza.get("Types", "").split() and stanza.get("Enabled", "yes") != "no":
                yield from stanza.get("URIs", "").split()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _apt_snapshot() -> str:
    """The snapshot archive that apt itself knows (``Acquire::Snapshots``, apt 2.9 and later), or an empty string."""
    program = shutil.which("apt-config")
    if program is None:
        return ""
    asked = run([program, "dump", "--format", "%v%n", "Acquire::Snapshots::URI::Origin::Debian"], timeout=30)
    template = asked.stdout.decode("utf-8", "replace").strip()
    # For example <scheme>://<host>/archive/@PATH@/@SNAPSHOTID@: the part before the archive's name is the address.
    address = re.split(r"/@", template, maxsplit=1)[0]
    return address if asked.exit_code == 0 and address.startswith(("http://", "https://")) else ""

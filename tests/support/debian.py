"""A small Debian archive of our own: packages, signed indexes, and a loopback server that has them."""

import functools
import hashlib
import io
import lzma
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pysequoia import SignatureMode, Tsk, sign

from pipeline.image.layer import Entry, Kind
from tests.support.loopback import Loopback, Reply, Request, loopback

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DATES = {"trixie": "Sat, 12 Sep 2026 07:55:41 UTC"}
DATE = "Fri, 20 Nov 2026 02:11:10 UTC"
VALID_UNTIL = "Fri, 27 Nov 2026 02:11:10 UTC"


def tar_of(entries: Mapping[str, Entry]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, entry in entries.items():
            member = tarfile.TarInfo(path)
            types = {Kind.FILE: tarfile.REGTYPE, Kind.FOLDER: tarfile.DIRTYPE, Kind.LINK: tarfile.SYMTYPE}
            member.type, member.mode, member.linkname = types[entry.kind], entry.mode, entry.target
            member.size = len(entry.content)
            archive.addfile(member, io.BytesIO(entry.content))
    return packed.getvalue()


def ar_of(members: Mapping[str, bytes]) -> bytes:
    packed = b"!<arch>\n"
    for name, body in members.items():
        packed += (
            f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(body):<10}`\n".encode() + body + b"\n" * (len(body) % 2)
        )
    return packed


def make_deb(name: str, files: Mapping[str, Entry], *, version: str = "1.0-1", data: bytes | None = None) -> bytes:
    """A package whose data.tar holds ``files`` as ``./path``, or ``data`` as it is."""
    control = tar_of({"./control": Entry(Kind.FILE, 0o644, f"Package: {name}\nVersion: {version}\n".encode())})
    plain = tar_of({f"./{path}": entry for path, entry in files.items()}) if data is None else data
    return ar_of(
        {"debian-binary": b"2.0\n", "control.tar.xz": lzma.compress(control), "data.tar.xz": lzma.compress(plain)}
    )


@functools.cache
def key(name: str) -> Tsk:
    return Tsk.generate(user_id=f"{name} <{name}@example.org>")


def write_keys(folder: Path) -> Path:
    """The two archives' keys with their fingerprints, as the repository vendors Debian's."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for archive in ("debian", "debian-security"):
        cert = key(archive).extract_certificate()
        (folder / f"{archive}.gpg").write_bytes(bytes(cert))
        lines.append(f"{cert.fingerprint.upper()}  {archive}  {archive}.gpg\n")
    (folder / "fingerprints.txt").write_text("# fingerprint, archive, file\n" + "".join(lines))
    return folder


@dataclass
class DebianArchive:
    """``files`` maps an address's path to its content, ``replies`` to what is answered instead; both may misbehave."""

    files: dict[str, bytes] = field(default_factory=dict)
    replies: dict[str, Reply] = field(default_factory=dict)

    def add_package(
        self, name: str, deb: bytes, *, archive: str = "debian", version: str = "1.0-1", **fields: str
    ) -> None:
        """Put a package into the pool and into the stanzas of both architectures."""
        path = f"pool/main/{name}/{name}_{version.replace(':', '%3a')}_all.deb"
        self.files[f"/{archive}/{path}"] = deb
        stanza = {
            "Package": name,
            "Version": version,
            "Architecture": "all",
            "Filename": path,
            "Size": str(len(deb)),
            "SHA256": hashlib.sha256(deb).hexdigest(),
            **fields,
        }
        self.stanzas.setdefault(archive, []).append("".join(f"{name}: {value}\n" for name, value in stanza.items()))

    stanzas: dict[str, list[str]] = field(default_factory=dict)

    def publish(self, *, signer: str = "", **changed: str) -> None:
        """Sign the three suites; ``changed`` replaces fields of every InRelease (``Date``, ``Codename`` ...)."""
        for archive, suite in (
            ("debian", "trixie"),
            ("debian", "trixie-updates"),
            ("debian-security", "trixie-security"),
        ):
            text = "\n".join(self.stanzas.get(archive, []) if suite != "trixie-updates" else [])
            packages = lzma.compress(text.encode())
            digest = hashlib.sha256(packages).hexdigest()
            lines = ""
            for architecture in ("amd64", "arm64"):
                folder = f"main/binary-{architecture}"
                self.files[f"/{archive}/dists/{suite}/{folder}/by-hash/SHA256/{digest}"] = packages
                lines += f"\n {digest} {len(packages)} {folder}/Packages.xz"
            fields = {"Codename": suite, "Date": DATES.get(suite, DATE), "Acquire-By-Hash": "yes"}
            fields |= {"Valid-Until": VALID_UNTIL} if suite != "trixie" else {}
            fields |= changed
            content = "".join(f"{name}: {value}\n" for name, value in fields.items() if value) + f"SHA256:{lines}\n"
            self.files[f"/{archive}/dists/{suite}/InRelease"] = clear_sign(content.encode(), signer or archive)

    def answer(self, request: Request) -> Reply:
        content = self.files.get(request.path)
        if request.path in self.replies:
            return self.replies[request.path]
        return Reply(404) if content is None else Reply(200, content)


def clear_sign(content: bytes, signer: str) -> bytes:
    return bytes(sign(key(signer).signer(), content, mode=SignatureMode.CLEAR))


@contextmanager
def served(archive: DebianArchive) -> Iterator[Loopback]:
    with loopback(archive.answer) as server:
        yield server

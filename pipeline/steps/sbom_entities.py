"""Who made, keeps and supplies a component: CycloneDX 1.6 ``organizationalEntity``."""

import email.utils
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.message import Message
from typing import Any

from pipeline.steps.sbom_licences import UNKNOWN

_URL = re.compile(r"https?://[^\s<>\"]+")
_EMAIL = re.compile(r"[^@\s<>]+@[^@\s<>]+")
#: Labels of Project-URL that lead to the project itself (well-known labels of the core metadata), best first.
_LABELS = ("homepage", "source", "repository", "github", "documentation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    name: str
    emails: Sequence[str] = ()
    urls: Sequence[str] = ()

    def document(self) -> dict[str, Any]:
        contact = [{"email": address} for address in self.emails]
        return {
            "name": self.name,
            **({"url": list(self.urls)} if self.urls else {}),
            **({"contact": contact} if contact else {}),
        }


DEBIAN = Entity(name="Debian", urls=("https://www.debian.org/",))


def of_application(name: str, supplier: str, contact: str) -> Entity:
    """As pipeline.toml says; ``contact`` is an address of either kind, or empty."""
    return Entity(
        name=supplier or f"maintainers of {name}",
        emails=[contact] if _EMAIL.fullmatch(contact) else (),
        urls=[contact] if _URL.fullmatch(contact) else (),
    )


def of_maintainer(field: str) -> Entity:
    """Debian's ``Name <address>`` (Debian policy 5.6.2)."""
    name, address = email.utils.parseaddr(field)
    return Entity(name=name or address or UNKNOWN, emails=[address] if _EMAIL.fullmatch(address) else ())


def of_wheel(metadata: Message) -> Entity:
    """The first of author and maintainer that is named, with every address that the metadata has for them."""
    addresses = [
        (name, address)
        for field in ("Author-email", "Maintainer-email")
        for name, address in email.utils.getaddresses([_words(metadata, field)])
    ]
    names = [_words(metadata, "Author"), _words(metadata, "Maintainer")]
    names.append(", ".join(dict.fromkeys(name or address for name, address in addresses if name or address)))
    named = next((name for name in names if name and name.upper() != "UNKNOWN"), UNKNOWN)
    emails = [address for _, address in addresses if _EMAIL.fullmatch(address)]
    return Entity(name=named[:200], emails=tuple(dict.fromkeys(emails)), urls=tuple(_addresses(metadata))[:1])


def _words(metadata: Message, field: str) -> str:
    return " ".join(str(metadata.get(field) or "").split())


def _addresses(metadata: Message) -> Iterator[str]:
    labelled = {}
    for line in metadata.get_all("Project-URL", []):
        label, _, address = str(line).partition(",")
        labelled[re.sub(r"[^a-z]", "", label.lower())] = address.strip()
    found = [_words(metadata, "Home-page"), *(labelled.get(label, "") for label in _LABELS)]
    yield from (address for address in found if _URL.fullmatch(address))

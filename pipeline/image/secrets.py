"""Secrets that were copied into an image: well-known forms everywhere, and random-looking values in the application."""

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.image.layer import Kind, Tree

#: Name, bytes of which a file must hold one before the (slow) expression is tried, expression; as issuers document.
_FORMS: tuple[tuple[str, tuple[bytes, ...], re.Pattern[bytes]], ...] = (
    (
        "private key",
        (b" PRIVATE KEY",),
        re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----\s+[A-Za-z0-9+/=:\s-]{64}"),
    ),
    ("AWS access key", (b"AKIA",), re.compile(rb"(?<![A-Z0-9])AKIA[A-Z2-7]{16}(?![A-Z0-9])")),
    (
        "GitHub token",
        tuple(b"gh%c_" % c for c in b"pousr"),
        re.compile(rb"(?<![A-Za-z0-9_])gh[pousr]_[A-Za-z0-9]{36,}"),
    ),
    ("GitHub token", (b"github_pat_",), re.compile(rb"github_pat_[A-Za-z0-9_]{60,}")),
    ("GitLab token", (b"glpat-",), re.compile(rb"glpat-[A-Za-z0-9_-]{20,}")),
    ("Slack token", (b"xox",), re.compile(rb"(?<![A-Za-z0-9])xox[abeoprs]-[A-Za-z0-9-]{20,}")),
    ("Google API key", (b"AIza",), re.compile(rb"(?<![A-Za-z0-9])AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])")),
    ("Stripe key", (b"_live_",), re.compile(rb"(?<![A-Za-z0-9])[rs]k_live_[A-Za-z0-9]{20,}")),
    ("PyPI token", (b"pypi-AgEI",), re.compile(rb"pypi-AgEI[A-Za-z0-9_-]{50,}")),
    ("npm token", (b"npm_",), re.compile(rb"(?<![A-Za-z0-9_])npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])")),
)
_ASSIGNED = re.compile(
    rb"(?i)(?:secret|passw(?:or)?d|token|api_?key|credential)[a-z0-9_]{0,20}[\"']?\s*[:=]\s*[\"']?([A-Za-z0-9+/_=.-]{20,200})"
)
_TEXT = (".py", ".toml", ".json", ".yaml", ".yml", ".env", ".ini", ".cfg", ".conf", ".txt", ".properties")
#: Bits a character above which a value looks random: English and identifiers stay below, base64 of 20 bytes is above.
ENTROPY = 4.0


@dataclass(frozen=True, slots=True)
class Secret:
    """Where something looks like a secret; its value is never repeated."""

    path: str
    form: str


def find_secrets(tree: Tree) -> list[Secret]:
    """Suspicions in a layer's files, sorted by path."""
    found = {
        Secret(path, form)
        for path, entry in tree.items()
        if entry.kind is Kind.FILE
        for form in _forms(entry.content, is_application=not path.startswith(("usr/", "var/", "etc/ssl/")), path=path)
    }
    return sorted(found, key=lambda secret: (secret.path, secret.form))


def secrets_in_environment(environment: list[str]) -> list[Secret]:
    """The same of ``NAME=value`` lines of an image's configuration."""
    return [
        Secret(f"ENV {line.partition('=')[0]}", form)
        for line in environment
        for form in _forms(line.encode(), is_application=True, path="environment.env")
    ]


def _forms(content: bytes, *, is_application: bool, path: str) -> Iterator[str]:
    for name, needles, expression in _FORMS:
        if any(needle in content for needle in needles) and expression.search(content):
            yield name
    is_text = path.endswith(_TEXT) or path.rpartition("/")[2].startswith(".env")
    if is_application and is_text and any(entropy(match[1]) > ENTROPY for match in _ASSIGNED.finditer(content)):
        yield "random-looking value of a secret's name"


def entropy(value: bytes) -> float:
    """Shannon's, in bits a byte."""
    counts = Counter(value).values()
    return -sum(count / len(value) * math.log2(count / len(value)) for count in counts)

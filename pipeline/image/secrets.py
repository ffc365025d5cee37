"""Secrets that were copied into an image: what detect-secrets says of everything that no installed package brought.

What a published package holds is public, so it is left out; so are certificates. A file that an upper layer removes is
still in the lower one, for everyone to read, so each layer counts.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.image.inventory import Inventory, accounted_for
from pipeline.image.layer import Entry, Kind, Tree
from pipeline.model.documents import canonical_json, parse_json
from pipeline.model.errors import CannotEvaluate
from pipeline.processes import run

#: Bytes of text that are worth a process of their own: the detector reads some 200 kB a second.
SHARE = 64 * 1024
_TIMEOUT = 900
#: "passwd: files" in nsswitch.conf(5) names a database, and looks to the detector like a password.
_HARMLESS = ("etc/nsswitch.conf",)
_PROGRAM = Path(__file__).with_name("secret_scan.py")
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")
#: Text in what is no text (byte code, databases): runs of printable characters, as strings(1) finds them.
_PRINTABLE = re.compile(rb"[\x20-\x7e]{12,4096}")
#: A text that the detector must not pass over, and what it must call it. Put together here, so that it is none itself.
CANARY = ("canary.txt", "key: " + "AKIA" + "Q3EGRIS7YXZWNMUA"), "AWS Access Key"


@dataclass(frozen=True, slots=True, order=True)
class Secret:
    """Where something looks like a secret, and what kind it is by the detector's name; never its value."""

    path: str
    form: str
    accepted: bool = False
    """Somebody answers for it (``policies/secrets.toml``): no flaw, but counted."""


Text = tuple[str, str]
"""Where it is from (a path, or a part of the configuration), and what it says."""
Search = Callable[[Sequence[Text]], list[Secret]]


def texts(layers: Sequence[Tree], tree: Tree, inventory: Inventory, config: Mapping[str, Any]) -> list[Text]:
    """What is searched: ``layers`` one by one, ``tree`` being all of them together, and the image configuration."""
    published = accounted_for(tree, inventory)
    found: dict[Text, None] = {}
    for layer in layers:
        for path, entry in layer.items():
            known = path in _HARMLESS or (path in published and tree.get(path) == entry)
            if entry.kind is Kind.FILE and not known:
                found[path, _text(entry)] = None
    return [item for item in [*found, *_configured(config)] if item[1].strip()]


def _text(entry: Entry) -> str:
    try:
        text = entry.content.decode("utf-8")
        return _CERTIFICATE.sub("", text) if "\0" not in text else _strings(entry.content)
    except UnicodeDecodeError:
        return _strings(entry.content)


def _strings(content: bytes) -> str:
    return "\n".join(run.decode("ascii") for run in _PRINTABLE.findall(content))


def _configured(config: Mapping[str, Any]) -> Iterator[Text]:
    """Environment, labels, commands and history of an image configuration (OCI ``config.md``)."""
    inner = config.get("config") or {}
    for line in inner.get("Env") or ():
        yield f"ENV {line.partition('=')[0]}", line
    labels = (inner.get("Labels") or {}).items()
    words = [*(inner.get("Entrypoint") or ()), *(inner.get("Cmd") or ())]
    history = [str(step.get("created_by", "")) for step in config.get("history") or ()]
    yield "configuration", "\n".join([*(f"{name}={value}" for name, value in labels), *words, *history])


def detector(python: Path) -> Search:
    """detect-secrets, in the environment of ``python``; raises CannotEvaluate (``image.secret-detector``)."""

    def search(wanted: Sequence[Text]) -> list[Secret]:
        shares = _shares(wanted)
        with ThreadPoolExecutor(max(1, len(shares))) as pool:
            return sorted(secret for found in pool.map(lambda share: _scan(python, share), shares) for secret in found)

    return search


def _shares(wanted: Sequence[Text]) -> list[list[Text]]:
    """As many as processors are worth it, of about the same size."""
    total = sum(len(text) for _, text in wanted)
    shares: list[list[Text]] = [[] for _ in range(min(os.cpu_count() or 1, total // SHARE + 1))] if wanted else []
    sizes = [0] * len(shares)
    for item in sorted(wanted, key=lambda item: -len(item[1])):
        smallest = sizes.index(min(sizes))
        shares[smallest].append(item)
        sizes[smallest] += len(item[1])
    return shares


def _scan(python: Path, share: Sequence[Text]) -> list[Secret]:
    canary, expected = CANARY
    # The name says how a text is read (quotes count in code, not in settings); the place stays here.
    sent = [canary, *((_file_name(place), text) for place, text in share)]
    done = run([python, "-I", _PROGRAM], stdin=canonical_json(sent), timeout=_TIMEOUT)
    if done.exit_code != 0:
        raise _useless(f"exit code {done.exit_code}: {done.last_words}")
    found = parse_json(done.stdout, what="detect-secrets' output")
    if not isinstance(found, list) or len(found) != len(sent) or found[0] != [expected]:
        raise _useless("an answer that leaves out the planted secret, or a file")
    return [Secret(place, str(form)) for (place, _), forms in zip(share, found[1:], strict=True) for form in forms]


def _file_name(place: str) -> str:
    return "environment.env" if place.startswith("ENV ") else place.rpartition("/")[2][-100:]


def _useless(got: str) -> CannotEvaluate:
    return CannotEvaluate(
        "image.secret-detector",
        f"detect-secrets: no result that can be trusted (got {got[:300]}, expected one for each file)",
        fix="remove the environments below the state folder and build the image again",
    )

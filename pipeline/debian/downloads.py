"""Files fetched by hash: several at once, resumed, from each address in turn, checked before anyone sees them."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.files import cannot_write, locked, mark_used, sha256_file
from pipeline.model.errors import CannotEvaluate

if TYPE_CHECKING:
    import requests

WORKERS = 8
TIMEOUT = (10.0, 30.0)
"""Seconds to connect, and between two bytes."""
#: The hash is that of the file, not of a compressed form of it.
_IDENTITY = {"Accept-Encoding": "identity"}
ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file by content. ``addresses`` are tried in their order; ``size`` is in bytes."""

    name: str
    sha256: str
    size: int
    addresses: Sequence[str]


def session() -> "requests.Session":
    """One pool of connections; proxies and certificates are the machine's (the command line injects truststore)."""
    import requests  # noqa: PLC0415  (a tenth of a second that a warm build does not need)

    made = requests.Session()
    adapter = requests.adapters.HTTPAdapter(pool_maxsize=WORKERS)
    made.mount("http://", adapter)
    made.mount("https://", adapter)
    return made


def fetch(address: str, *, what: str, limit: int) -> bytes:
    """One small document, at most ``limit`` bytes; raises CannotEvaluate (``download.unreachable``)."""
    import requests  # noqa: PLC0415

    last = "no answer"
    with session() as connection:
        for _ in range(ATTEMPTS):
            try:
                with connection.get(address, headers=_IDENTITY, timeout=TIMEOUT, stream=True) as answer:
                    last = f"status {answer.status_code}"
                    if answer.status_code == requests.codes.ok:
                        content = bytearray()
                        for chunk in _chunks(answer):
                            content += chunk
                            if len(content) > limit:
                                break
                        else:
                            return bytes(content)
                        last = f"more than {limit} bytes"
                    if answer.status_code < requests.codes.internal_server_error:
                        break
            except (requests.RequestException, OSError, _protocol_error()) as error:
                last = type(error).__name__
    raise CannotEvaluate(
        "download.unreachable",
        f"{what}: not fetched (got {last} from {_host(address)}, expected the file)",
        fix="look at the network and at `[base] mirror` in pipeline.toml, then run the command again",
    )


def fetch_all(wanted: Sequence[Wanted], cache: Path, *, say: Callable[[str], None]) -> dict[str, Path]:
    """SHA-256 to the path of each file below ``cache``, every one checked now, also those that were there.

    Raises CannotEvaluate (``download.unreachable``, ``download.wrong-content``, ``files.full``).
    """
    _make_folder(cache)
    with locked(cache / ".lock"):
        missing = [item for item in wanted if not _intact(cache / item.sha256, item)]
        if missing:
            say(f"downloading {len(missing)} of {len(wanted)} packages, {sum(i.size for i in missing) / 1e6:.1f} MB")
            with session() as connection, ThreadPoolExecutor(WORKERS) as pool:
                list(pool.map(lambda item: _download(connection, item, cache), missing))
    found = {item.sha256: cache / item.sha256 for item in wanted}
    mark_used(*found.values())
    return found


def _intact(path: Path, item: Wanted) -> bool:
    return path.is_file() and path.stat().st_size == item.size and sha256_file(path) == item.sha256


def _download(connection: "requests.Session", item: Wanted, cache: Path) -> None:
    part = cache / f"{item.sha256}.part"
    reasons: list[str] = []
    wrong = False
    for address in item.addresses:
        for _ in range(ATTEMPTS):
            resumed = part.exists()
            reason, again = _attempt(connection, address, part, item)
            if not reason:
                if _intact(part, item):
                    os.replace(part, cache / item.sha256)
                    return
                # What an earlier run left may be what is wrong: then the whole file gets its chance.
                wrong, again, reason = True, resumed, "other content"
                part.unlink()
            reasons.append(f"{reason} from {_host(address)}")
            if not again:
                break
    raise CannotEvaluate(
        "download.wrong-content" if wrong else "download.unreachable",
        f"{item.name}: not fetched (got {'; '.join(dict.fromkeys(reasons)) or 'no address'}, "
        f"expected {item.size} bytes with sha256 {item.sha256})",
        fix="lock the base anew with `scripts/nox -s lock -- base` (a superseded package leaves the mirror), "
        "or name an archive that still has it in `[base] snapshot` of pipeline.toml",
    )


def _attempt(connection: "requests.Session", address: str, part: Path, item: Wanted) -> tuple[str, bool]:
    """Fetch what is missing of ``part``: the reason why it is not whole (empty: it is), and whether to try again."""
    import requests  # noqa: PLC0415

    have = part.stat().st_size if part.exists() else 0
    if have >= item.size:
        part.unlink()
        have = 0
    headers = _IDENTITY | ({"Range": f"bytes={have}-"} if have else {})
    try:
        with connection.get(address, headers=headers, timeout=TIMEOUT, stream=True) as answer:
            if answer.status_code not in {requests.codes.ok, requests.codes.partial_content}:
                return f"status {answer.status_code}", answer.status_code >= requests.codes.internal_server_error
            # A server that does not know ranges answers 200 with the whole file.
            resumed = answer.status_code == requests.codes.partial_content
            with part.open("ab" if resumed else "wb") as file:
                for chunk in _chunks(answer):
                    if file.tell() + len(chunk) > item.size:
                        file.truncate(0)
                        return "more bytes than locked", False
                    file.write(chunk)
    except requests.RequestException as error:
        return type(error).__name__, True
    except _protocol_error():
        return f"{part.stat().st_size} bytes", True  # cut off, or silent, in the middle of it
    except OSError as error:
        raise cannot_write(part, error) from error
    size = part.stat().st_size
    return ("", False) if size == item.size else (f"{size} bytes", True)


def _chunks(answer: "requests.Response") -> Iterator[bytes]:
    """The body as it comes. ``iter_content`` would throw away the last piece of one that is cut off."""
    while chunk := answer.raw.read1(1 << 18):
        yield chunk


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error


def _host(address: str) -> str:
    return address.partition("://")[2].partition("/")[0].rpartition("@")[2]


def _protocol_error() -> type[Exception]:
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    return HTTPError

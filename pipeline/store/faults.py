"""What can go wrong with a registry, told in our words; nothing here quotes a header or an address's query."""

import http.client

import requests

from pipeline.model.errors import CannotEvaluate

_MAX_RETRY_AFTER = 30.0


class Retry(Exception):
    """A temporary fault: what to tell when it stays, and how many seconds to wait at least."""

    def __init__(self, told: CannotEvaluate, *, after: float = 0) -> None:
        super().__init__(told.message)
        self.told, self.after = told, after


def unreachable(host: str, got: str) -> CannotEvaluate:
    return CannotEvaluate(
        "registry.unreachable",
        f"{host}: registry does not answer (got {_printable(got)}, expected an answer)",
        fix="check the network, the proxy and the address in `[store] registry`, then run it again",
    )


def garbage(host: str, got: str, expected: str) -> CannotEvaluate:
    return CannotEvaluate(
        "registry.garbage",
        f"{host}: not a registry's answer (got {_printable(got)}, expected {expected})",
        fix="check the address in `[store] registry`: something else answers there",
    )


def fault_of(host: str, error: Exception) -> Exception:
    """What an exchange that broke off means: a CannotEvaluate, or a Retry around one."""
    if isinstance(error, requests.exceptions.SSLError):
        return CannotEvaluate(
            "registry.untrusted",
            f"{host}: certificate not trusted (got {_printable(str(error))}, expected one that the system trusts)",
            fix="add the root certificate of your proxy or registry to the system's store",
        )
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        return garbage(host, "an address that is none", "an https address")
    cause = _innermost(error)
    cut_off = isinstance(cause, ConnectionError | http.client.IncompleteRead)
    if isinstance(cause, http.client.HTTPException) and not cut_off:
        return garbage(host, type(cause).__name__, "HTTP")
    return Retry(unreachable(host, f"{type(cause).__name__}: {cause}"))


def status_fault(host: str, request: str, status: int, words: bytes, retry_after: str) -> Exception:
    """What an unexpected status means. ``request`` is method and path, ``words`` the start of the body."""
    got = _printable(f"{status} {words[:300].decode('utf-8', 'replace')}")
    if status == 429 or status >= 500:
        told = CannotEvaluate(
            "registry.failing",
            f"{host}: {request}: registry fails (got {got}, expected it to work)",
            fix="wait until the registry works again, then run it again",
        )
        return Retry(told, after=_seconds(retry_after))
    if status in (401, 403):
        return CannotEvaluate(
            "registry.refused",
            f"{host}: {request}: not allowed (got {got}, expected credentials that may do this)",
            fix=f"log in with `docker login {host}` as someone who may read and write the repository",
        )
    if 400 <= status < 500:
        return CannotEvaluate(
            "registry.refused",
            f"{host}: {request}: refused (got {got}, expected it to be taken)",
            fix="check that the repository exists and takes OCI manifests",
        )
    return garbage(host, got, "a status of the distribution specification")


def _innermost(error: BaseException) -> BaseException:
    """The cause, which requests and urllib3 wrap in arguments or as ``reason``."""
    for inner in (*error.args, getattr(error, "reason", None)):
        if isinstance(inner, BaseException):
            return _innermost(inner)
    return error


def _seconds(retry_after: str) -> float:
    return min(float(retry_after), _MAX_RETRY_AFTER) if retry_after.isascii() and retry_after.isdigit() else 0


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:300]

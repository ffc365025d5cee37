"""pip-audit as a feed: run isolated and strict, judged by its parsed JSON and never by its exit code alone.

It fails open in several ways (2.10.1): a 404 for a release is no vulnerability, a crash exits like a finding, ``-r``
lines are passed over, unknown ignores are taken. So it gets a list of pins that is written here, with ``-S``, no
ignores, and an empty cache; and what it answers must name exactly what was asked.
"""

import re
import ssl
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

from pipeline.advisories.fetching import describe
from pipeline.advisories.interface import Advisory, Answer, NoAnswer, Pin, pin, silent
from pipeline.model.documents import Document, parse
from pipeline.model.errors import CannotEvaluate
from pipeline.processes import Completed, run, scrubbed

UNKNOWN_RELEASE = "the feed has no data about this release"
_ISOLATED = ("-I", "-m", "pip_audit")
_PINS_ONLY = ("--no-deps", "--disable-pip")
_AS_JSON = ("--format", "json", "--aliases", "on", "--desc", "on", "--progress-spinner", "off")
_FEED_ERROR = re.compile(rb"(?:requests\.exceptions|urllib3\.exceptions)\.(\w+)|(ServiceError|ConnectionError)\b")
_HTTP_STATUS = re.compile(rb"requests\.exceptions\.HTTPError: (\d{3}) ")
_FATAL = b"ERROR:pip_audit._cli:"


class _Vulnerability(Document):
    id: str
    fix_versions: list[str]
    aliases: list[str]
    description: str


class _Dependency(Document):
    name: str
    version: str | None = None
    vulns: list[_Vulnerability] | None = None
    skip_reason: str | None = None


class _Report(Document):
    """pip-audit's ``-f json``."""

    dependencies: list[_Dependency]
    fixes: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PipAudit:
    """``python`` is the scanners' interpreter; ``osv`` the address of an OSV server, empty for PyPI's own data."""

    python: Path
    osv: str = ""
    socket_seconds: int = 10
    """Between two bytes of one answer; ``seconds`` limits the whole run."""
    seconds: float = 60

    @property
    def name(self) -> str:
        return "pip-audit (osv)" if self.osv else "pip-audit (pypi)"

    @property
    def uri(self) -> str:
        return self.osv or "https://github.com/pypa/advisory-database"

    def ask(self, pins: Sequence[Pin]) -> Answer:
        """Raises CannotEvaluate (``audit.unreadable``, ``audit.wrong-set``, ``tool.missing``)."""
        try:
            report = self._report(pins)
        except NoAnswer as reason:
            return silent(self, pins, str(reason))
        return self._answer(pins, report)

    def _report(self, pins: Sequence[Pin]) -> _Report:
        try:
            return read_report(self._run(pins, "--strict"))
        except _Skipped:
            if len(pins) == 1:
                raise
        # Strict stops at the first release that the feed does not know. Asked again without it, the answer says of
        # each which one that is; what it skips counts as unaudited.
        return read_report(self._run(pins))

    def _run(self, pins: Sequence[Pin], *options: str) -> Completed:
        service = ("--vulnerability-service", "osv", "--osv-url", f"{self.osv}/v1/query") if self.osv else ()
        with tempfile.TemporaryDirectory(prefix="gatehouse-audit-") as folder:
            asked = Path(folder, "requirements.txt")
            asked.write_text("".join(f"{item.name}=={item.version}\n" for item in pins), encoding="utf-8")
            fresh = ("--cache-dir", f"{folder}/cache", "--timeout", str(self.socket_seconds))
            command = [self.python, *_ISOLATED, *options, *_PINS_ONLY, *_AS_JSON, *service, *fresh, "-r", asked]
            try:
                return run(command, cwd=Path(folder), env=_system_trust(), timeout=self.seconds)
            except CannotEvaluate as error:
                if error.code != "tool.timeout":
                    raise
                raise NoAnswer("no full answer in time") from error

    def _answer(self, pins: Sequence[Pin], report: _Report) -> Answer:
        skipped = {canonicalize_name(item.name) for item in report.dependencies if item.skip_reason is not None}
        named = [pin(item.name, item.version) for item in report.dependencies if item.version is not None]
        unaudited = {asked: UNKNOWN_RELEASE for asked in pins if asked.name in skipped}
        if sorted([*named, *unaudited]) != sorted(pins):
            raise CannotEvaluate(
                "audit.wrong-set",
                f"pip-audit: answered about other packages than it was asked "
                f"(got {_names([*named, *unaudited])}, expected {_names(pins)})",
                fix="run it again; if it stays so, the tool or its feed is not to be trusted",
            )
        advisories = [
            Advisory(
                pin=pin(item.name, item.version),
                id=found.id,
                aliases=frozenset(found.aliases) - {found.id},
                fixed_in=frozenset(found.fix_versions),
            )
            for item in report.dependencies
            if item.version is not None
            for found in item.vulns or []
        ]
        return Answer(
            feed=self.name,
            uri=self.uri,
            answered=True,
            audited=frozenset(named),
            unaudited=unaudited,
            advisories=tuple(advisories),
        )


def _system_trust() -> dict[str, str]:
    """Makes ``requests`` trust what the system trusts (a proxy's own root), unless the user already said what."""
    paths = ssl.get_default_verify_paths()
    trusted = paths.cafile or paths.capath
    return {"REQUESTS_CA_BUNDLE": trusted} if trusted and "REQUESTS_CA_BUNDLE" not in scrubbed() else {}


class _Skipped(NoAnswer):
    """Strict mode stopped at a release that the feed does not know."""


def read_report(completed: Completed) -> _Report:
    """The report of a run that ended by itself; raises NoAnswer where its feed gave none, else CannotEvaluate.

    A report counts only where it parses whole and agrees with the exit code. Without one, stderr must show that it
    was the feed: anything else is a crash of the tool (``audit.unreadable``).
    """
    if completed.exit_code not in {0, 1}:
        raise _unreadable(f"exit code {completed.exit_code}, {completed.last_words!r}")
    if not completed.stdout.strip():
        raise _why_silent(completed)
    try:
        report = parse(_Report, completed.stdout, what="pip-audit's answer")
    except CannotEvaluate as error:
        raise _unreadable(error.message) from error
    if bool(completed.exit_code) != any(item.vulns for item in report.dependencies):
        raise _unreadable(f"exit code {completed.exit_code} with a report that says otherwise")
    for item in report.dependencies:
        if (item.skip_reason is None) == (item.version is None or item.vulns is None):
            raise _unreadable(f"an entry for {item.name} that is neither audited nor skipped")
    return report


def _why_silent(completed: Completed) -> NoAnswer | CannotEvaluate:
    lines = completed.stderr.strip().splitlines() or [b""]
    if lines[-1].startswith(_FATAL) and b"could not be audited" in lines[-1]:
        return _Skipped(UNKNOWN_RELEASE)
    if lines[-1].startswith(_FATAL + b"Tip: your network"):
        return NoAnswer("no connection")
    if status := _HTTP_STATUS.findall(completed.stderr):
        return NoAnswer(f"HTTP {status[-1].decode()}")
    if error := _FEED_ERROR.match(lines[-1]):
        return NoAnswer(describe((error[1] or error[2]).decode()))
    return _unreadable(f"no report, {completed.last_words!r}")


def _unreadable(got: str) -> CannotEvaluate:
    return CannotEvaluate(
        "audit.unreadable",
        f"pip-audit: no answer that can be judged (got {got}, expected one whole JSON report)",
        fix="run `scripts/nox -s audit` again; if it stays so, make the environment anew with `--fresh`",
    )


def _names(pins: Sequence[Pin]) -> str:
    return ", ".join(str(item) for item in sorted(pins)) or "none"

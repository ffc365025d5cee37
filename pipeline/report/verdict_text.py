"""The verdict for people at a terminal."""

from collections import Counter
from collections.abc import Iterator
from itertools import groupby

from pipeline.gate.judgement import Finding, Judgement, rfc3339
from pipeline.report.terminal import Terminal, hanging
from pipeline.report.text import as_ascii, columns, fit, printable
from pipeline.report.verdict_account import RESULTS, Account, Build, Looked


def render(judgement: Judgement, account: Account, terminal: Terminal) -> str:
    """The whole text, ending in a newline; everything foreign in it is printable and on its own line."""
    labelled = (*_subject(account), *_build(account.build), *_checked(account))
    lines = [line for label, text in labelled for line in hanging(f"{label:11}", text, terminal, 0)]
    text = "\n".join([*lines, "", *_evidence(account, terminal), "", *_verdict(judgement, terminal)]) + "\n"
    return text if terminal.utf8 else as_ascii(text)


def _subject(account: Account) -> Iterator[tuple[str, str]]:
    subject = account.subject
    yield "image", f"{subject.name} {subject.version}".strip() or "without a name"
    yield "", subject.digest
    for name, digest in subject.platforms.items():
        yield "", f"{name} {digest}" if digest != subject.digest else name


def _build(build: Build | None) -> Iterator[tuple[str, str]]:
    if build is None:
        yield "built", "nobody says by whom and from what: no provenance is attached"
        return
    source = build.source
    yield "built", f"by {build.builder}" + ("" if build.trusted else " (a claim: its signer is not trusted here)")
    dirty = ", work tree with uncommitted changes" if source.dirty else ""
    yield "from", f"{source.uri} commit {source.commit}, tree {source.tree}{dirty}"
    if build.packages:
        yield "of", " and ".join(_counted(kind, count) for kind, count in build.packages.items())
    yield "signed", f"{build.signed} by {build.signer}"


def _counted(kind: str, count: int) -> str:
    name = {"deb": "Debian", "pypi": "Python"}.get(kind, kind)
    return f"{count} {name} {'package' if count == 1 else 'packages'}"


def _evidence(account: Account, terminal: Terminal) -> Iterator[str]:
    """Below each signer what they signed, in the order of the kinds."""
    if not account.looked:
        yield "no evidence is attached"
    width = max((columns(printable(one.name)) for one in account.looked), default=0)
    for (signer, counts), signed in groupby(sorted(account.looked, key=_by), _by):
        who = f"evidence signed by {signer}" if signer else "evidence that cannot be read, or does not verify"
        yield from hanging("", who + ("" if counts or not signer else ", who is not trusted here"), terminal, 0)
        for one in signed:
            when = one.time.replace("T", " ").removesuffix("Z") or one.digest[:19]
            row = hanging(f"{fit(printable(one.name), width):{width}}  {when}  ", one.says, terminal)
            yield from (line.rstrip() for line in row)


def _by(one: Looked) -> tuple[str, bool]:
    return one.signer, one.counts


def _checked(account: Account) -> Iterator[tuple[str, str]]:
    counted = Counter(check.result for check in account.checks)
    yield "checked", ", ".join(f"{counted[result]} {result}" for result in RESULTS if counted[result])


def _verdict(judgement: Judgement, terminal: Terminal) -> Iterator[str]:
    state = terminal.paint(judgement.result, "1;32" if judgement.passed else "1;31")
    levels = f", {', '.join(judgement.levels)}" if judgement.passed else ""
    yield f"{printable(judgement.environment)}: {state} as of {rfc3339(judgement.time)}{levels}"
    for finding in judgement.refusals:
        yield from _finding("refused", finding, terminal)
    for finding in judgement.warnings:
        yield from _finding("warning", finding, terminal)
    yield f"policy sha256:{judgement.policy}"


def _finding(label: str, finding: Finding, terminal: Terminal) -> Iterator[str]:
    yield from hanging(f"{label}: ", f"{finding.code}: {finding.message}", terminal)
    yield from hanging("fix: ", finding.fix, terminal, 4)

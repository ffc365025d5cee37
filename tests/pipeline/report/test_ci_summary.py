import re

import pytest

from pipeline.model.errors import CannotEvaluate
from pipeline.report import ci_summary


def with_finding(run, finding):
    return run.model_copy(update={"steps": [run.steps[0].model_copy(update={"finding": finding}), *run.steps[1:]]})


def test_it_tells_steps_verdicts_and_refusals(run):
    text = ci_summary.render(run).decode()
    assert "May run in development. Refused for staging and production." in text
    assert "<td>tests</td><td>✓ passed</td>" in text
    assert "<td>staging</td><td>FAILED</td><td>evidence.missing, signers.untrusted</td>" in text
    assert "<td>let the release workflow attest: a local instance is trusted for development alone</td>" in text


def test_foreign_text_is_neither_html_nor_markdown(run):
    hostile = "<img src=x>\n\n[click](https://evil.example) | @everyone\n# PASSED"
    text = ci_summary.render(with_finding(run, hostile)).decode()
    # On the line of a table's row no Markdown is read: the block that it stands in has no blank line.
    assert "<td>&lt;img src=x&gt; [click](https://evil.example) | @everyone # PASSED</td>" in text
    for block in re.findall(r"<table>.*?</table>", text, re.DOTALL):
        assert "\n\n" not in block


def test_every_html_block_starts_after_a_blank_line(run):
    lines = ci_summary.render(run).decode().splitlines()
    starts = [place for place, line in enumerate(lines) if line.startswith(("<table>", "<p>"))]
    assert starts
    assert all(lines[place - 1] == "" for place in starts)


def test_it_never_passes_the_limit_and_says_what_is_missing(run):
    many = run.model_copy(update={"steps": [with_finding(run, "<" * 400).steps[0]] * 300})
    full = ci_summary.render(many, limit=10_000_000)
    cut = ci_summary.render(many, limit=50_000)
    assert len(cut) <= 50_000 < len(full)
    assert b"There is more than fits here" in cut
    assert ci_summary.render(run, limit=10) == b""


def test_it_is_added_behind_what_is_there(run, tmp_path):
    path = tmp_path / "summary.md"
    path.write_text("before\n")
    ci_summary.append(run, path)
    assert path.read_text() == "before\n" + ci_summary.render(run).decode()


def test_what_is_there_counts_against_the_limit(run, tmp_path):
    path = tmp_path / "summary.md"
    path.write_bytes(b"x" * (ci_summary.LIMIT - 10))
    ci_summary.append(run, path)
    assert path.stat().st_size <= ci_summary.LIMIT


def test_a_summary_that_cannot_be_written_is_said_so(run, tmp_path):
    with pytest.raises(CannotEvaluate, match="expected a file that can be appended to") as caught:
        ci_summary.append(run, tmp_path / "absent" / "summary.md")
    assert caught.value.code == "report.summary"

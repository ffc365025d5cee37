import io
import re

from pipeline.report.run import Difference, Verdict
from pipeline.report.terminal import Terminal, render, terminal_of
from pipeline.report.text import columns

PLAIN = Terminal(width=100, utf8=True)


class Tty(io.StringIO):
    encoding = "UTF-8"

    def isatty(self):
        return True

    def fileno(self):
        raise OSError


def with_finding(run, finding):
    first = run.steps[0].model_copy(update={"finding": finding})
    return run.model_copy(update={"steps": [first, *run.steps[1:]]})


def test_every_step_has_its_line_with_result_seconds_and_finding(run):
    text = render(run, PLAIN)
    for step in run.steps:
        line = next(line for line in text.splitlines() if line.startswith(step.name))
        assert re.match(rf"{step.name} +{step.result} +{step.seconds:.1f}  \S", line)


def test_the_image_digest_stands_whole_on_any_terminal(run):
    for width in (40, 100):
        assert run.image.digest in render(run, Terminal(width=width))


def test_every_refusal_is_told_once_with_its_fix(run):
    text = render(run, PLAIN)
    assert text.count("fix: run `scripts/pipeline smoke` where an engine answers") == 1
    assert "staging      FAILED · 2 refusals" in text
    assert "production   FAILED · 2 refusals\n  as above: evidence.missing, signers.untrusted\n" in text


def test_the_last_line_is_what_to_type_next(run):
    assert render(run, PLAIN).endswith("\nnext: docker load -i dist/image.tar\n")


def test_problems_of_a_step_come_with_their_fix(run):
    text = render(run, PLAIN)
    assert "vulnerabilities.unaudited" in text
    assert "fix: use an index with advisory data, or update pyjwt to its latest release" in text


def test_no_line_but_a_digest_is_wider_than_the_terminal(run):
    for width in (40, 64, 80, 100):
        wide = [line for line in render(run, Terminal(width=width)).splitlines() if columns(line) > width]
        assert all("sha256:" in line for line in wide), wide


def test_without_colour_nothing_steers_the_terminal(run):
    assert "\x1b" not in render(run, PLAIN)


def test_a_finding_cannot_steer_the_terminal_or_fake_a_line(run):
    text = render(with_finding(run, "x\x1b[2J\r\nverify     passed\x9b1A"), Terminal(width=100, colour=True, utf8=True))
    assert "lock       \x1b[32mpassed \x1b[0m      0.4  x verify passed\n" in text


def test_outside_utf8_everything_is_ascii(run):
    assert render(with_finding(run, "naïve …"), Terminal(width=100)).isascii()


def test_a_warning_stands_under_its_verdict(run):
    warned = run.verdicts[0].model_dump()
    warned["warnings"] = [{"code": "trust.expires", "message": "root ends in 20 days", "fix": "x", "kind": None}]
    text = render(run.model_copy(update={"verdicts": [Verdict.model_validate(warned)]}), PLAIN)
    assert "development  PASSED\n  warning: trust.expires: root ends in 20 days\n" in text


def test_colour_needs_a_terminal():
    assert not terminal_of(io.StringIO(), no_color=False).colour
    assert terminal_of(Tty(), no_color=False).colour


def test_no_color_is_honoured():
    assert not terminal_of(Tty(), no_color=True).colour


def test_only_a_utf8_stream_gets_more_than_ascii():
    assert terminal_of(Tty(), no_color=True).utf8
    assert not terminal_of(io.TextIOWrapper(io.BytesIO(), encoding="latin-1"), no_color=True).utf8


def test_the_width_of_a_pipe_is_fixed():
    assert terminal_of(io.StringIO(), no_color=False).width == 100


def test_files_of_a_folder_are_counted_not_listed(run):
    bundles = [run.artifacts[0].model_copy(update={"path": f"dist/bundles/{name}.json"}) for name in "ab"]
    text = render(run.model_copy(update={"artifacts": [*bundles, *run.artifacts]}), PLAIN)
    assert "dist/  bundles/ (2 files), image.tar, sbom.linux-amd64.cdx.json, report.html, summary.json\n" in text


def test_many_problems_of_a_step_are_cut_short(run):
    audit = next(step for step in run.steps if step.name == "audit")
    many = audit.model_copy(update={"problems": audit.problems * 9})
    text = render(run.model_copy(update={"steps": [many]}), PLAIN)
    assert text.count("audit warned\n") == 1
    assert text.count("vulnerabilities.unaudited") == 5
    assert "  and 4 more in dist/report.html\n" in text


def test_a_long_list_of_what_was_got_is_cut_and_what_was_expected_stays(run):
    refusal = run.verdicts[1].refusals[0].model_copy(update={"message": f"x: no (got {'p, ' * 200}, expected all)"})
    verdict = run.verdicts[1].model_copy(update={"refusals": [refusal]})
    text = render(run.model_copy(update={"verdicts": [verdict]}), PLAIN)
    assert len(text.partition("x: no")[2].partition("fix:")[0]) < 200
    assert "expected all)" in text


def test_the_image_is_told_with_its_sizes(run):
    assert "       linux/amd64 · 18.6 MB compressed, 51.1 MB unpacked\n" in render(run, PLAIN)


def test_a_second_build_is_told_with_what_it_shared(run):
    same = run.reproduction.model_copy(update={"count": 0, "differences": []})
    text = render(run.model_copy(update={"reproduction": same}), PLAIN)
    assert "built again  the same 2028 paths from engine docker 28.1; shared: lock, wheels, base, machine\n" in text
    equal = same.model_copy(update={"same_digest": True})
    assert "built again  the same digest from" in render(run.model_copy(update={"reproduction": equal}), PLAIN)


def test_differences_of_a_second_build_are_told_one_a_line_up_to_a_limit(run):
    found = [Difference(place=f"linux/amd64 /x{n}\x1b[2J", what="mode", got="1", expected="2") for n in range(9)]
    many = run.reproduction.model_copy(update={"count": 9, "differences": found})
    text = render(run.model_copy(update={"reproduction": many}), PLAIN)
    assert "built again  9 differences from engine docker 28.1" in text
    assert text.count(": mode\n") == 5
    assert "\x1b" not in text
    assert "             and 4 more in dist/reports/reproduction.txt\n" in text

"""The commands for release managers, from their arguments to stdout and exit code."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import pytest
from icalendar import Calendar

from pipeline import cli
from tests.support import release
from tests.support.stored import Stored

COMMANDS = ("edge", "release", "verify", "export", "forecast", "unblock", "backtest")


@pytest.fixture(scope="module")
def clone(tmp_path_factory, rekor_v1, root):
    """A folder with settings, policy, and a release in its local store."""
    folder = tmp_path_factory.mktemp("clone")
    shutil.copy(root / "pipeline.toml", folder)
    shutil.copytree(root / "policies", folder / "policies")
    stored = Stored.make(folder / "made", rekor_v1, root, state=folder / ".gatehouse")
    stored.attest(release.predicates())
    return SimpleNamespace(folder=folder, image=str(stored.image.digest), policies=folder / "policies")


@pytest.fixture
def run(clone, monkeypatch, capfdbinary):
    """Exit code, stdout and stderr of a command that takes ``clone`` for its own."""
    for name in COMMANDS:
        module = import_module(f"pipeline.commands.{name}")
        monkeypatch.setattr(module, "root_folder", lambda: clone.folder, raising=False)
        monkeypatch.setattr(module, "use_system_certificates", lambda: None, raising=False)

    def call(*arguments):
        code = cli.main([str(argument) for argument in arguments])
        out, err = capfdbinary.readouterr()
        return code, out.decode(), err.decode()

    return call


def test_verify_tells_the_verdict_in_each_form_with_the_same_exit_code(run, clone):
    forms = {
        style: run("verify", clone.image, "--format", style) for style in ("text", "json", "junit", "sarif", "html")
    }
    assert {code for code, _, _ in forms.values()} == {0}
    assert "development: PASSED as of " in forms["text"][1]
    assert json.loads(forms["json"][1])["result"] == "PASSED"
    assert ET.fromstring(forms["junit"][1]).get("failures") == "0"  # noqa: S314 - our own
    assert json.loads(forms["sarif"][1])["runs"][0]["results"] == []
    assert "May run in development." in forms["html"][1]


def test_verify_refuses_with_one_and_as_of_another_time(run, clone):
    assert run("verify", clone.image, "--environment", "staging")[0] == 1
    later = (datetime.now(UTC) + timedelta(days=400)).isoformat()
    code, out, _ = run("verify", clone.image, "--at", later)
    assert (code, "evidence.expired" in out) == (1, True)


def test_an_unknown_image_and_an_unknown_environment_cannot_be_evaluated(run, clone):
    assert run("verify", f"sha256:{'0' * 64}")[0] == 3
    code, out, err = run("verify", clone.image, "--environment", "moon")
    assert (code, out) == (3, "")
    assert err.startswith("policy.environment: environment moon: not in the policy")
    assert "\n  fix: " in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--policy", f"sha256:{'0' * 64}"),
        ("--trust-root", "local=file"),
        ("--offline", "file.tar"),
        ("--offline", "file.tar", "--policy", "policies", "--registry", "host/name"),
    ],
)
def test_options_that_do_not_go_together_are_a_misuse(run, clone, arguments):
    code, out, err = run("verify", clone.image, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("verify.")


def test_export_says_the_digests_that_verify_offline_is_given(run, clone, tmp_path):
    code, out, _ = run("export", clone.image, "--output", tmp_path / "release.tar")
    assert code == 0
    policy = out.partition("policy      ")[2].split()[0]
    root = next(line.split()[-1] for line in out.splitlines() if line.startswith("trust root  local="))
    offline = ("verify", clone.image, "--offline", tmp_path / "release.tar")
    assert run(*offline, "--policy", policy, "--trust-root", root)[0] == 0
    assert run(*offline, "--policy", policy, "--trust-root", root, "--format", "sarif")[0] == 0
    assert run(*offline, "--policy", policy)[0] == 1
    assert run(*offline, "--policy", f"sha256:{'0' * 64}", "--trust-root", root)[0] == 1


def test_export_writes_below_dist_where_nothing_else_is_said(run, clone):
    assert run("export", "v1")[0] == 0
    assert [path.name for path in (clone.folder / "dist").iterdir()] == [f"export-{clone.image[7:19]}.tar"]


def test_forecast_in_each_form(run, clone):
    code, out, _ = run("forecast", clone.image, "--days", "30")
    assert (code, "development: accepts today, refuses from " in out) == (0, True)
    code, out, _ = run("forecast", clone.image, "--format", "json", "--environment", "development", "--days", "9")
    assert [one["environment"] for one in json.loads(out)["environments"]] == ["development"]
    _, out, _ = run("forecast", clone.image, "--format", "ics", "--environment", "development", "--days", "9")
    assert len(Calendar.from_ical(out).walk("VEVENT")) == 1


@pytest.mark.parametrize("days", ["0", "4000", "soon", "-1"])
def test_a_forecast_of_no_days_is_a_misuse(run, clone, days, capfdbinary):
    with pytest.raises(SystemExit) as usage:
        run("forecast", clone.image, f"--days={days}")
    assert usage.value.code == 2


def test_a_forecast_without_an_image_is_of_the_last_one_built(run, clone):
    code, _, err = run("forecast")
    assert (code, err.startswith("image.unknown: image: none was built here")) == (3, True)
    record = {
        "step": "image",
        "context": None,
        "seconds": 1.0,
        "started": 1,
        "outcome": {"status": "passed", "finding": "built", "data": {"digest": clone.image}},
    }
    (clone.folder / ".gatehouse" / "steps").mkdir()
    (clone.folder / ".gatehouse" / "steps" / "image.json").write_text(json.dumps(record))
    assert clone.image in run("forecast", "--days", "1")[1]


def test_unblock_has_the_exit_code_of_the_verdict(run, clone):
    code, out, _ = run("unblock", clone.image)
    assert (code, "nothing to unblock" in out) == (0, True)
    code, out, _ = run("unblock", clone.image, "--environment", "staging")
    assert code == 1
    assert '2 changes turn it:\n  1. set repository = "acme/app"' in out
    assert "judged again: PASSED" in out
    code, out, _ = run("unblock", clone.image, "--environment", "staging", "--format", "json")
    way = json.loads(out)["ways"][0]
    assert ([change["act"] for change in way["changes"]], way["result"]) == (["repository", "build"], "PASSED")


def test_backtest_says_by_its_exit_code_whether_a_verdict_turns(run, clone, tmp_path):
    stricter = tmp_path / "policies"
    shutil.copytree(clone.policies, stricter)
    assert run("backtest", "--policy", stricter)[0] == 0
    limits = (stricter / "environments.toml").read_text()
    (stricter / "environments.toml").write_text(limits.replace("coverage_percent = 80", "coverage_percent = 99"))
    code, out, _ = run("backtest", "--policy", stricter, "--environment", "development")
    assert (code, "development: accepted 1, now 0" in out) == (1, True)
    assert run("backtest", "v9", "--policy", stricter)[0] == 3
    assert run("backtest", "v1", "--policy", clone.policies, "--against", stricter, "--format", "json")[0] == 1

"""What release managers type, on a release that the main job really made."""

import hashlib
import json
import re
import shutil

import pytest

from tests.support.main_job import clone_of
from tests.support.namespaces import OFFLINE, within

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def image(warm):
    record = json.loads((warm.root / ".gatehouse" / "steps" / "image.json").read_bytes())
    return record["outcome"]["data"]["digest"]


@pytest.fixture(scope="module")
def exported(warm, image, tmp_path_factory):
    """(file, what export printed): a path that needs quoting."""
    file = tmp_path_factory.mktemp("handed over") / "release ü.tar"
    ended = warm.run("export", image, "--output", str(file), script="gatehouse")
    assert ended.code == 0, ended.output
    return file, ended.output


def digests(output):
    policy = re.search(r"^policy +(sha256:[0-9a-f]{64})$", output, re.MULTILINE)
    root = re.search(r"^trust root +(local=sha256:[0-9a-f]{64})$", output, re.MULTILINE)
    assert policy is not None
    assert root is not None
    return ["--policy", policy[1], "--trust-root", root[1]]


def test_another_clone_judges_the_file_without_a_network(root, warm, image, exported, tmp_path):
    """It never saw the store, the keys or the registry: only the file, and the digests that it was told."""
    file, output = exported
    receiver = clone_of(root, tmp_path / "receiver", warm.home)
    assert receiver.run("policy", "check", script="gatehouse").code == 0  # makes its environment
    asked = ["verify", image, "--offline", str(file)]
    ended = receiver.run(*asked, *digests(output), within=within(*OFFLINE), script="gatehouse")
    assert ended.code == 0, ended.output
    assert "development: PASSED as of " in ended.output
    ended = receiver.run(*asked, *digests(output)[:2], within=within(*OFFLINE), script="gatehouse")
    assert ended.code == 1, ended.output
    ended = receiver.run(*asked, within=within(*OFFLINE), script="gatehouse")
    assert ended.code == 2
    assert "verify.offline" in ended.output


def test_a_second_export_has_the_same_bytes(warm, image, exported, tmp_path):
    again = tmp_path / "again.tar"
    assert warm.run("export", image, "--output", str(again), script="gatehouse").code == 0
    assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(exported[0].read_bytes()).digest()


def test_the_forecast_names_the_day_on_which_the_audit_is_too_old(warm):
    ended = warm.run("-s", "forecast", "--", "--format", "json", "--days", "10", script="nox")
    assert ended.code == 0, ended.output
    told = json.loads(ended.output[ended.output.index("{\n") : ended.output.rindex("}\n") + 1])
    development = told["environments"][0]
    assert development["result"] == "PASSED"
    assert [(one["code"], one["kind"]) for one in development["events"]] == [("evidence.expired", "vulnerabilities")]
    assert development["ends"] == development["events"][0]["time"]


def test_what_unblocks_staging_and_production_is_judged_again(warm, image):
    for environment in ("staging", "production"):
        ended = warm.run("unblock", image, "--environment", environment, "--format", "json", script="gatehouse")
        assert ended.code == 1, ended.output
        (way,) = json.loads(ended.output)["ways"]
        assert (way["result"], way["needed"]) == ("PASSED", True)
        assert {"repository", "build"} <= {change["act"] for change in way["changes"]}, way["changes"]


def test_a_changed_policy_is_replayed_over_the_store(warm, tmp_path):
    shutil.copytree(warm.root / "policies", tmp_path / "policies")
    ended = warm.run("backtest", "--policy", str(tmp_path / "policies"), script="gatehouse")
    assert ended.code == 0, ended.output
    limits = tmp_path / "policies" / "environments.toml"
    limits.write_text(limits.read_text().replace("coverage_percent = 80", "coverage_percent = 100"))
    ended = warm.run("backtest", "--policy", str(tmp_path / "policies"), script="gatehouse")
    assert ended.code == 1, ended.output
    assert "turned by tests.coverage: 1" in ended.output

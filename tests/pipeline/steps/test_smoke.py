"""The smoke step: evidence from an engine only, a warning from namespaces, and never a pass for a broken service."""

import re
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline import processes
from pipeline.files import sha256_file
from pipeline.model.context import Source
from pipeline.model.errors import CannotEvaluate
from pipeline.model.kinds import Kind, kind_of
from pipeline.model.outcome import Outcome, Status, StepRecord
from pipeline.model.predicates import parse_predicate
from pipeline.runtime import containers
from pipeline.runtime.engines import Engine, Search, connect, find_engine
from pipeline.runtime.exchanges import Exchange
from pipeline.runtime.namespace import Report
from pipeline.runtime.probes import Check
from pipeline.settings import Settings
from pipeline.steps import smoke
from pipeline.steps.built_image import read_image
from pipeline.steps.job import Job
from tests.support.tiny_service import make_rootfs, pack_rootfs, write_image

PORT = 8123
ENGINE = Engine(address="unix:///nowhere", name="docker", version="20.10.24", platform=smoke.MACHINES["x86_64"])
SOURCE = Source(uri="git+https://example.org/app", commit="a" * 40, tree="b" * 40, dirty=False, committed=1)
SETTINGS = Settings.model_validate(
    {
        "app": {
            "name": "app",
            "version": "1.0",
            "directory": "app",
            "tests": "tests",
            "port": PORT,
            "health": "/healthz",
        },
        "image": {"platforms": ["linux/amd64"]},
        "smoke": [{"name": "page", "path": "/", "contains": "fine"}],
    }
)


@pytest.fixture(scope="session")
def rootfs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("image") / "rootfs"
    folder.mkdir()
    command = make_rootfs(folder)
    return SimpleNamespace(command=command, layer=pack_rootfs(folder))


@pytest.fixture(scope="session")
def archives(rootfs: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Archives by mode of the service, each made once."""
    made: dict[str, Any] = {}
    folder = tmp_path_factory.mktemp("archives")

    def make(mode: str) -> Any:
        if mode not in made:
            path = folder / f"{mode}.tar"
            made[mode] = (path, write_image(path, rootfs.layer, [*rootfs.command, str(PORT), mode]))
        return made[mode]

    return make


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(root=tmp_path, settings=SETTINGS, source=SOURCE, now=datetime(2026, 1, 1, tzinfo=UTC))


def record_image(job: Job, archive: Path, written: Any, **data: Any) -> None:
    job.dist.mkdir()
    shutil.copy(archive, job.dist / "image.tar")
    values = {"digest": written.digest, "platforms": written.platforms, "archive": "dist/image.tar"} | data
    outcome = Outcome(status=Status.PASSED, finding="made", data=values)
    context = job.context("composer", "1")
    job.write_record(StepRecord(step="image", context=context, seconds=1, started=1, outcome=outcome))


@pytest.fixture
def made(job: Job, archives: Any) -> Job:
    """A job whose image step has passed."""
    record_image(job, *archives("ok"))
    return job


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smoke, "find_engine", lambda _: Search(None, ("none here",)))


def in_namespaces(job: Job) -> Outcome:
    outcome = smoke.smoke(job, {})
    if outcome.status is Status.SKIPPED:
        pytest.skip(outcome.finding)
    return outcome


def on_fake_engine(monkeypatch: pytest.MonkeyPatch, *checks: Check, engine: Engine = ENGINE) -> dict[str, Any]:
    """Put what an engine would report in its place; gives what the step asked of it."""
    asked: dict[str, Any] = {}

    def run_hardened(found: Engine, archive: Path, identities: frozenset[str], **given: Any) -> containers.Run:
        asked.update(given, engine=found, archive=archive, identities=identities)
        return containers.Run(checks=checks, log=b"started\n\x1b[2Jlast \xff words\n")

    monkeypatch.setattr(smoke, "find_engine", lambda _: Search(engine))
    monkeypatch.setattr(smoke, "run_hardened", run_hardened)
    return asked


GOOD = (Check("runs-hardened", passed=True, detail=""), Check("becomes-healthy", passed=True, detail=""))
BAD = Check("root-answers", passed=False, detail="GET / answered 500")


class TestWithoutAnEngine:
    pytestmark = pytest.mark.usefixtures("no_engine")

    def test_a_sound_image_warns_that_it_ran_unhardened_and_gives_no_evidence(self, made):
        outcome = in_namespaces(made)
        assert outcome.status is Status.WARNED
        assert outcome.finding.startswith("unhardened: user namespace, no engine; 10 checks passed")
        assert (outcome.evidence, outcome.data) == ([], {"hardened": False})

    def test_the_log_is_kept_printable_and_the_work_folder_removed(self, made):
        outcome = in_namespaces(made)
        assert [artifact.path for artifact in outcome.artifacts] == ["dist/reports/smoke.log"]
        log = (made.dist / "reports" / "smoke.log").read_text()
        assert log.startswith("mode ok \\x1b[31mred\n")
        assert not (made.state / "smoke").exists()

    def test_a_service_that_crashes_fails_with_its_last_words(self, job, archives):
        record_image(job, *archives("crash"))
        outcome = in_namespaces(job)
        assert outcome.status is Status.FAILED
        assert outcome.finding == "failed: becomes-healthy in a user namespace"
        assert outcome.evidence == []
        assert outcome.problems[0].code == "smoke.becomes-healthy"
        assert "log: mode crash \\x1b[31mred | cannot start: no database" in outcome.problems[0].message

    def test_an_image_whose_entrypoint_is_missing_fails(self, job, rootfs, tmp_path):
        written = write_image(tmp_path / "broken.tar", rootfs.layer, ["/no/such"])
        record_image(job, tmp_path / "broken.tar", written)
        outcome = in_namespaces(job)
        assert (outcome.status, outcome.problems[0].code) == (Status.FAILED, "smoke.starts")

    def test_where_namespaces_are_not_allowed_the_step_is_skipped_with_the_reason(self, made, monkeypatch):
        report = Report(impossible="unshare user namespace: Operation not permitted")
        monkeypatch.setattr(smoke, "run_in_namespaces", lambda *_, **__: report)
        outcome = smoke.smoke(made, {})
        assert outcome.status is Status.SKIPPED
        assert outcome.finding == f"not run: no container engine, and no user namespace ({report.impossible})"
        assert (outcome.evidence, outcome.data) == ([], {"hardened": False})

    def test_an_image_for_another_machine_is_skipped(self, made, monkeypatch):
        monkeypatch.setattr("platform.machine", lambda: "riscv64")
        outcome = smoke.smoke(made, {})
        assert outcome.status is Status.SKIPPED
        assert outcome.finding.endswith("this machine is riscv64")

    def test_what_a_killed_run_left_is_removed_first(self, made):
        (made.state / "smoke" / "rootfs" / "old").mkdir(parents=True)
        assert in_namespaces(made).status is Status.WARNED
        assert not (made.state / "smoke").exists()


class TestSignals:
    def test_an_end_from_outside_unwinds_and_the_old_handler_comes_back(self, made, monkeypatch):
        before = signal.getsignal(signal.SIGTERM)
        on_fake_engine(monkeypatch, *GOOD)
        monkeypatch.setattr(smoke, "run_hardened", lambda *_, **__: signal.raise_signal(signal.SIGTERM))
        with pytest.raises(SystemExit) as end:
            smoke.smoke(made, {})
        assert end.value.code == 128 + signal.SIGTERM
        assert signal.getsignal(signal.SIGTERM) is before

    def test_a_step_in_a_thread_runs_all_the_same(self, made, monkeypatch):
        on_fake_engine(monkeypatch, *GOOD)
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(smoke.smoke, made, {}).result().status is Status.PASSED


class TestTheImage:
    def test_without_a_record_of_this_tree_the_step_cannot_evaluate(self, job):
        with pytest.raises(CannotEvaluate, match="got no record, expected one of this tree") as refusal:
            smoke.run(job)
        assert refusal.value.code == "smoke.image"

    def test_an_image_of_another_tree_is_none(self, made):
        other = Job(root=made.root, settings=SETTINGS, source=SOURCE.model_copy(update={"tree": "c" * 40}))
        with pytest.raises(CannotEvaluate, match="got no record"):
            smoke.run(other)

    def test_an_archive_swapped_after_the_build_is_refused(self, made, archives):
        shutil.copy(archives("crash")[0], made.dist / "image.tar")
        with pytest.raises(CannotEvaluate, match="another image than the one recorded") as refusal:
            smoke.run(made)
        assert refusal.value.code == "smoke.image"


class TestOnAnEngine:
    def test_a_pass_is_evidence_for_the_platform_that_ran(self, made, monkeypatch):
        on_fake_engine(monkeypatch, *GOOD)
        outcome = smoke.smoke(made, {})
        assert outcome.status is Status.PASSED
        assert outcome.finding == "2 checks passed, hardened, on docker 20.10.24"
        (evidence,) = outcome.evidence
        assert (evidence.kind, evidence.platform) == (Kind.SMOKE, "linux/amd64")
        assert evidence.predicate["result"] == "PASSED"
        assert evidence.predicate["passedTests"] == ["runs-hardened", "becomes-healthy"]
        assert evidence.predicate["gatehouse_measures"] == {
            "tests": 2,
            "failures": 0,
            "hardened": True,
            "engine": "docker",
            "requests": 1,
            "log_sha256": sha256_file(made.dist / "reports" / "smoke.log"),
        }

    def test_the_predicate_is_of_its_kind_and_the_same_on_every_run(self, made, monkeypatch):
        on_fake_engine(monkeypatch, *GOOD)
        one, other = (smoke.smoke(made, {}).evidence[0].predicate for _ in range(2))
        assert one == other
        assert kind_of("https://in-toto.io/attestation/test-result/v0.1", one) is Kind.SMOKE
        parse_predicate(Kind.SMOKE, one)

    def test_a_failed_check_fails_the_step_and_says_so_in_the_evidence(self, made, monkeypatch):
        on_fake_engine(monkeypatch, *GOOD, BAD)
        outcome = smoke.smoke(made, {})
        assert (outcome.status, outcome.finding) == (Status.FAILED, "failed: root-answers on docker")
        assert outcome.evidence[0].predicate["result"] == "FAILED"
        assert outcome.evidence[0].predicate["failedTests"] == ["root-answers"]
        assert "got GET / answered 500" in outcome.problems[0].message

    def test_a_run_that_was_not_hardened_is_not_measured_as_such(self, made, monkeypatch):
        on_fake_engine(monkeypatch, Check("runs-hardened", passed=False, detail="not applied: user"))
        outcome = smoke.smoke(made, {})
        assert outcome.status is Status.FAILED
        assert outcome.evidence[0].predicate["gatehouse_measures"]["hardened"] is False

    def test_foreign_output_reaches_the_log_without_its_control_characters(self, made, monkeypatch):
        on_fake_engine(monkeypatch, *GOOD)
        smoke.smoke(made, {})
        log = (made.dist / "reports" / "smoke.log").read_text()
        assert log == "started\n\\x1b[2Jlast \\xff words\n"

    def test_a_platform_that_the_engine_cannot_run_is_named(self, job, archives, monkeypatch):
        archive, written = archives("ok")
        record_image(job, archive, written, platforms=written.platforms | {"linux/arm64": "sha256:" + "1" * 64})
        on_fake_engine(monkeypatch, *GOOD)
        outcome = smoke.smoke(job, {})
        assert outcome.status is Status.WARNED
        assert outcome.finding.endswith("; not run: linux/arm64")

    def test_an_engine_of_another_platform_runs_nothing(self, made, monkeypatch):
        engine = Engine(address="unix:///nowhere", name="docker", version="1", platform="linux/s390x")
        asked = on_fake_engine(monkeypatch, *GOOD, engine=engine)
        assert smoke.smoke(made, {}).status is Status.SKIPPED
        assert asked == {}

    def test_the_engine_is_told_which_digests_the_image_may_have(self, made, monkeypatch):
        asked = on_fake_engine(monkeypatch, *GOOD)
        smoke.smoke(made, {})
        image = read_image(made, step="smoke")
        assert {image.archive.digest, *image.platforms.values()} <= asked["identities"]
        assert (asked["port"], asked["health"]) == (PORT, "/healthz")
        assert asked["exchanges"] == [Exchange(name="page", path="/", contains="fine")]

    def test_a_service_that_declares_no_request_is_warned_about(self, made, monkeypatch):
        on_fake_engine(monkeypatch, *GOOD)
        outcome = smoke.smoke(replace(made, settings=SETTINGS.model_copy(update={"smoke": []})), {})
        assert outcome.status is Status.WARNED
        assert outcome.finding.endswith("; pipeline.toml declares no [[smoke]] request of the service's own")

    def test_other_requests_are_another_configuration(self, made, monkeypatch):
        on_fake_engine(monkeypatch, *GOOD)
        other = replace(made, settings=SETTINGS.model_copy(update={"smoke": []}))
        one, two = (smoke.smoke(job, {}).evidence[0].predicate["configuration"] for job in (made, other))
        assert one != two

    def test_a_request_of_the_services_own_that_fails_has_the_one_code(self, made, monkeypatch):
        on_fake_engine(monkeypatch, *GOOD, Check("request page", passed=False, detail="GET / gave status 500, not 200"))
        (problem,) = smoke.smoke(made, {}).problems
        assert problem.code == "smoke.request"
        assert "request page does not hold (got GET / gave status 500, not 200" in problem.message


@pytest.fixture(scope="session")
def engine_environment() -> dict[str, str]:
    environment = processes.engine_addresses()
    search = find_engine(environment)
    if search.engine is None:
        pytest.skip(f"no container engine answers: {'; '.join(search.reasons)}")
    return environment


@pytest.fixture
def engine(engine_environment: dict[str, str]) -> Iterator[Any]:
    """A client; what the engine holds is the same after the test."""
    found = find_engine(engine_environment).engine
    assert found is not None
    client = connect(found.address)

    def held() -> tuple[set[Any], dict[Any, Any]]:
        images = client.images.list(all=True)
        return {container.id for container in client.containers.list(all=True)}, {i.id: i.tags for i in images}

    before = held()
    yield client
    assert held() == before
    client.close()


@pytest.mark.engine
class TestOnARealEngine:
    def test_a_sound_image_runs_hardened_and_nothing_is_left(self, made, engine, engine_environment):
        outcome = smoke.smoke(made, engine_environment)
        assert outcome.status is Status.PASSED, outcome.problems
        assert outcome.evidence[0].predicate["passedTests"][:2] == ["runs-hardened", "becomes-healthy"]
        assert outcome.evidence[0].predicate["failedTests"] == []
        log = (made.dist / "reports" / "smoke.log").read_text()
        assert "'CapEff': '0000000000000000', 'CapBnd': '0000000000000000'" in log
        assert "'root_writable': False, 'tmp_writable': True, 'sys_writable': False" in log
        assert "'NoNewPrivs': '1'" in log
        assert "'uid': 65532" in log

    @pytest.mark.parametrize(("mode", "check"), [("crash", "becomes-healthy"), ("bad-exit", "ends-cleanly-on-sigterm")])
    def test_a_broken_service_fails_and_nothing_is_left(self, job, archives, engine, engine_environment, mode, check):
        record_image(job, *archives(mode))
        outcome = smoke.smoke(job, engine_environment)
        assert outcome.status is Status.FAILED
        assert outcome.evidence[0].predicate["failedTests"] == [check]

    def test_its_processes_are_bounded(self, job, archives, engine, engine_environment):
        record_image(job, *archives("many"))
        assert smoke.smoke(job, engine_environment).status is Status.PASSED
        log = (job.dist / "reports" / "smoke.log").read_text()
        children = int(re.search(r"children (\d+) Resource temporarily unavailable", log)[1])  # type: ignore[index]
        assert 50 < children < containers.HARDENING["pids_limit"]

    def test_its_memory_is_bounded(self, job, archives, engine, engine_environment):
        record_image(job, *archives("greedy"))
        outcome = smoke.smoke(job, engine_environment)
        assert outcome.evidence[0].predicate["failedTests"] == ["becomes-healthy"]
        assert "took" not in (job.dist / "reports" / "smoke.log").read_text()

    @pytest.mark.parametrize(("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
    def test_a_signal_leaves_nothing(self, made, engine, engine_environment, monkeypatch, number, raised):
        def interrupt(*_: Any) -> None:
            assert engine.containers.list(filters={"label": containers.LABEL})
            signal.raise_signal(number)

        monkeypatch.setattr(containers, "wait_healthy", interrupt)
        with pytest.raises(raised):
            smoke.smoke(made, engine_environment)

    def test_what_a_killed_run_left_is_removed_by_the_next(self, made, engine, engine_environment):
        (image,) = engine.images.load(read_image(made, step="smoke").path.read_bytes())
        home = containers.owner().rpartition(" ")[0]
        engine.containers.create(image.id, labels={containers.LABEL: f"{home} 999999999"})
        containers.remove_stale(engine)
        assert engine.containers.list(all=True, filters={"label": containers.LABEL}) == []

    def test_another_image_than_the_expected_one_is_refused(self, made, engine, engine_environment):
        found = find_engine(engine_environment).engine
        assert found is not None
        path = read_image(made, step="smoke").path
        with pytest.raises(CannotEvaluate, match="another one was loaded") as refusal:
            containers.run_hardened(found, path, frozenset({"sha256:" + "0" * 64}), port=PORT, health="/")
        assert refusal.value.code == "smoke.identity"

    def test_a_name_that_the_engine_held_for_another_image_is_given_back(
        self, made, archives, engine, engine_environment
    ):
        (old,) = engine.images.load(archives("crash")[0].read_bytes())
        (name,) = old.tags
        try:
            assert smoke.smoke(made, engine_environment).status is Status.PASSED
            assert engine.images.get(name).id == old.id
        finally:
            engine.images.remove(old.id, force=True)

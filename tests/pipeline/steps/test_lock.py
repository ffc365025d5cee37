"""Locks are what their sources resolve to, from one index, with that index's hashes."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import indexes
from pipeline.debian import base_lock
from pipeline.hash_locks import parse_lock
from pipeline.model.errors import CannotEvaluate, Misuse, Refused
from pipeline.model.outcome import Problem, Status
from pipeline.steps import lock
from pipeline.steps.lock_compilers import PipCompile, Uv, prepare, source_of
from tests.support.jobs import fake_environment, make_job
from tests.support.package_index import package_index

A, B, C = "a" * 64, "b" * 64, "c" * 64


def pinned(name: str, version: str, *hashes: str, comment: str = "") -> str:
    lines = " \\\n".join(f"    --hash=sha256:{digest}" for digest in hashes)
    return f"{name}=={version} \\\n{lines}\n{comment}"


STORED = pinned("idna", "3.7", A, B)


class TestDifference:
    def test_the_same_lock_has_none(self):
        assert lock.difference("r.txt", STORED.encode(), STORED.encode()) == ""

    def test_comments_do_not_count(self):
        stored = pinned("idna", "3.7", A, B, comment="    # via -r requirements.in\n")
        assert lock.difference("r.txt", stored.encode(), STORED.encode()) == ""

    def test_files_that_a_release_got_later_do_not_count(self):
        made = pinned("idna", "3.7", A, B, C)
        assert lock.difference("r.txt", STORED.encode(), made.encode()) == ""

    def test_a_hash_that_the_index_does_not_have_counts(self):
        diff = lock.difference("r.txt", pinned("idna", "3.7", A, C).encode(), STORED.replace(B, C[1:] + "0").encode())
        assert f"-    --hash=sha256:{C}" in diff

    def test_another_version_another_package_and_another_marker_count(self):
        for made in (
            pinned("idna", "3.8", A, B),
            STORED + pinned("evil", "1.0", C),
            STORED.replace("3.7", '3.7 ; python_version < "3"'),
        ):
            assert lock.difference("r.txt", STORED.encode(), made.encode()).startswith("--- a/r.txt\n+++ b/r.txt\n")
            assert lock.difference("r.txt", made.encode(), STORED.encode())


LOCKS = ("requirements", *(f"requirements/{name}" for name in ("bootstrap", "checks", "pipeline", "test")))
FILES = {
    **{f"{name}.in": "idna\n" for name in LOCKS},
    **{f"{name}.txt": STORED for name in LOCKS},
}


@pytest.fixture(autouse=True)
def base_is_in_order(monkeypatch):
    """The base lock has its own tests."""
    monkeypatch.setattr(base_lock, "check", lambda *_: [])


def writer(program: Path, text: str) -> Path:
    """A compiler that puts ``text`` where it is told to write."""
    find = 'while [ "$1" != --output-file ]; do shift; done'
    program.write_text(f"#!/bin/sh\n{find}\ncat > \"$2\" <<'EOF'\n{text}EOF\n")
    program.chmod(0o755)
    return program


def uv_that_writes(folder: Path, text: str) -> dict[str, Path]:
    """A bootstrap environment with such a uv."""
    python = fake_environment(folder, python=("", 0))
    writer(python.parent / "uv", text)
    return {"bootstrap": python}


def pip_compile_that_writes(folder: Path, text: str) -> dict[str, Path]:
    """A checks environment of the right Python whose pip-compile does the same."""
    return {"checks": writer(fake_environment(folder, installed=["pip_tools"]), text)}


def check(folder: Path, made: str = STORED, **files: str):
    job = make_job(folder / "clone", FILES | files, uv_that_writes(folder / "tools", made))
    return job, lock.run(job)


def test_fresh_locks_pass_without_evidence(tmp_path):
    job, outcome = check(tmp_path)
    assert (outcome.status, outcome.evidence) == (Status.PASSED, [])
    assert outcome.finding == "5 locks, 5 pins with hashes, fresh by uv"
    assert not (job.dist / "reports" / "lock.diff").exists()


def test_a_stale_lock_fails_with_a_diff_and_the_command_that_mends_it(tmp_path):
    job, outcome = check(tmp_path, **{"requirements.txt": pinned("idna", "3.6", A, B)})
    assert outcome.status == Status.FAILED
    (problem,) = outcome.problems
    assert (problem.code, problem.fix) == ("lock.stale", "scripts/nox -s lock -- update")
    assert "requirements.txt: not what requirements.in resolves to" in problem.message
    diff = (job.dist / "reports" / "lock.diff").read_text()
    assert "-idna==3.6\n+idna==3.7\n" in diff
    assert [artifact.path for artifact in outcome.artifacts] == ["dist/reports/lock.diff"]


def test_a_hash_from_nowhere_has_its_own_code(tmp_path):
    _, outcome = check(tmp_path, **{"requirements/test.txt": pinned("idna", "3.7", A, B, C)})
    assert outcome.problems[0].code == "lock.unknown-hash"
    assert C in outcome.problems[0].message


def test_an_old_diff_does_not_outlive_a_pass(tmp_path):
    job = make_job(tmp_path / "clone", FILES, uv_that_writes(tmp_path / "tools", STORED))
    old = job.dist / "reports" / "lock.diff"
    old.parent.mkdir(parents=True)
    old.write_text("old")
    lock.run(job)
    assert not old.exists()


@pytest.mark.parametrize(
    ("code", "files"),
    [
        ("lock.unhashed", {"requirements.txt": "idna==3.7\n"}),
        ("lock.include", {"requirements/test.txt": STORED + "-r ../requirements.txt\n"}),
        ("lock.url", {"requirements/test.txt": STORED + "--extra-index-url https://evil.example\n"}),
        ("lock.floating", {"requirements/checks.txt": "idna>=3\n"}),
        ("lock.unhashed", {"requirements/more.in": "idna\n", "requirements/more.txt": "idna==3.7\n"}),
        ("lock.missing", {"requirements/more.in": "idna\n"}),
        ("lock.missing", {"requirements/more.txt": STORED}),
        ("lock.second-index", {"requirements.in": "--extra-index-url https://evil.example\nidna\n"}),
        ("lock.url", {"requirements.in": "idna @ https://evil.example/idna.whl\n"}),
    ],
)
def test_a_lock_that_is_none_is_refused_before_anything_is_asked(tmp_path, code, files):
    with pytest.raises(Refused) as refused:
        lock.run(make_job(tmp_path, FILES | files))  # no environment is there: nothing could be asked
    assert refused.value.code == code


def test_a_list_of_debian_packages_is_no_python_lock(tmp_path):
    _, outcome = check(tmp_path, **{"requirements/base.in": "libc6\n"})
    assert outcome.status == Status.PASSED


def test_problems_of_the_base_lock_fail_the_step(tmp_path, monkeypatch):
    problem = Problem(code="base.list", message="base: differs", fix="scripts/nox -s lock -- base")
    monkeypatch.setattr(base_lock, "check", lambda *_: [problem])
    _, outcome = check(tmp_path)
    assert (outcome.status, outcome.problems) == (Status.FAILED, [problem])


def test_an_unknown_option_is_misuse(tmp_path):
    with pytest.raises(Misuse, match="got 'upgrade'") as refused:
        lock.run(make_job(tmp_path, FILES, options=["upgrade"]))
    assert refused.value.code == "lock.option"


NEW = pinned("idna", "3.8", C)


def test_update_writes_what_both_compilers_agree_on(tmp_path):
    tools = uv_that_writes(tmp_path / "b", NEW) | pip_compile_that_writes(tmp_path / "c", NEW)
    # A lock that cannot be read is no reason to refuse: update is what mends it.
    job = make_job(tmp_path / "clone", FILES | {"requirements.txt": "idna\n"}, tools, ["update"])
    assert lock.run(job).finding.endswith("pip-compile and uv agree byte for byte")
    assert {(job.root / f"{name}.txt").read_text() for name in LOCKS} == {NEW}


def test_update_writes_nothing_where_the_compilers_differ(tmp_path):
    tools = uv_that_writes(tmp_path / "b", NEW) | pip_compile_that_writes(tmp_path / "c", NEW.replace(C, A))
    job = make_job(tmp_path / "clone", FILES, tools, ["update"])
    with pytest.raises(Refused, match="pip-compile and uv differ") as refused:
        lock.run(job)
    assert refused.value.code == "lock.disagree"
    assert {(job.root / f"{name}.txt").read_text() for name in LOCKS} == {STORED}


def test_update_writes_no_lock_without_hashes(tmp_path):
    bare = "idna==3.8\n"
    tools = uv_that_writes(tmp_path / "b", bare) | pip_compile_that_writes(tmp_path / "c", bare)
    with pytest.raises(Refused) as refused:
        lock.run(make_job(tmp_path / "clone", FILES, tools, ["update"]))
    assert refused.value.code == "lock.unhashed"


def test_update_needs_the_python_that_locks_are_made_for(tmp_path):
    tools = {"checks": fake_environment(tmp_path / "c", python=("", 0))}
    with pytest.raises(Misuse, match="resolves for the Python that runs it") as refused:
        lock.run(make_job(tmp_path / "clone", FILES, tools, ["update"]))
    assert refused.value.code == "lock.python"


def failing_uv(folder: Path, words: str, code: int) -> Uv:
    python = fake_environment(folder / "tools", uv=("", code, words), python=("", 0))
    return Uv(python.parent / "uv", python, {})


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("error: Request failed after 3 retries\n  cause: Failed to fetch: https://u:pw@i.example/simple/idna/", 2),
        ("error: invalid peer certificate: UnknownIssuer", 2),
        ("error: No solution found\nhint: Packages were unavailable because the network was disabled.", 1),
        ("", 137),
    ],
)
def test_an_index_that_does_not_answer_cannot_be_evaluated(tmp_path, words, code):
    job = make_job(tmp_path / "clone", FILES)
    with pytest.raises(CannotEvaluate) as refused:
        lock.compile_all(job.root, lock.read_all(job.root), failing_uv(tmp_path, words, code))
    assert refused.value.code == "lock.unresolvable"
    assert "pw@" not in refused.value.message


def test_ranges_that_cannot_hold_together_are_refused(tmp_path):
    job = make_job(tmp_path / "clone", FILES)
    with pytest.raises(Refused) as refused:
        lock.compile_all(
            job.root, lock.read_all(job.root), failing_uv(tmp_path, "error: No solution found when resolving", 1)
        )
    assert refused.value.code == "lock.unsolvable"


def test_compilers_see_pins_without_hashes_and_nothing_else_of_the_tree(tmp_path):
    job = make_job(tmp_path / "clone", FILES | {"uv.toml": "x = 1\n", "pyproject.toml": ""})
    prepare(job.root, tmp_path / "work", {"requirements.txt": {"idna": "3.7"}})
    written = {path.relative_to(tmp_path / "work").as_posix() for path in (tmp_path / "work").rglob("*.*")}
    assert written == {"requirements.in", "requirements.txt"}
    assert (tmp_path / "work/requirements.txt").read_text() == "idna==3.7\n"


def test_markers_of_direct_requirements_are_written_back(tmp_path):
    marked = 'idna; platform_machine == "x86_64"\n'
    tools = uv_that_writes(tmp_path / "tools", STORED)
    job = make_job(tmp_path / "clone", FILES | {"requirements.in": marked}, tools)
    made = lock.compile_all(job.root, lock.read_all(job.root), lock.uv(job))
    assert parse_lock(made["requirements.txt"], what="x")["idna"].marker == 'platform_machine == "x86_64"'


@pytest.fixture
def real(root, tools):
    """A job over this repository with its own environments."""
    if not {"bootstrap", "checks"} <= tools.keys():
        pytest.skip("environments bootstrap and checks are not made: run scripts/test")
    return root, tools


@pytest.fixture
def index(monkeypatch, tmp_path):
    """A private index with a password, as pip's only configuration."""
    with package_index(("idna", "3.7"), ("idna", "3.8")) as found:
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
        monkeypatch.setenv("PIP_INDEX_URL", found.url)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield found


def locked_from(index, folder: Path, tools, lock_text: str):
    job = make_job(folder, FILES | {f"{name}.txt": lock_text for name in LOCKS}, tools)
    return lock.run(job)


def test_locks_are_held_to_the_configured_index_and_keep_their_pins(tmp_path, real, index):
    right = pinned("idna", "3.7", index.sha256("idna", "3.7"))
    outcome = locked_from(index, tmp_path / "clone", real[1], right)
    assert (outcome.status, outcome.problems) == (Status.PASSED, [])
    assert index.server.requests, "a newer release is there, and the pin still fits"


def test_a_forged_hash_does_not_confirm_itself(tmp_path, real, index):
    """Compilers copy hashes from the lock that they find; ours find none."""
    outcome = locked_from(index, tmp_path / "clone", real[1], pinned("idna", "3.7", A))
    assert {problem.code for problem in outcome.problems} == {"lock.unknown-hash"}
    assert A in outcome.problems[0].message


def test_a_second_index_with_a_newer_release_is_refused_and_never_asked(tmp_path, real, index, monkeypatch):
    with package_index(("idna", "99.0")) as confusing:
        monkeypatch.setenv("PIP_EXTRA_INDEX_URL", confusing.url)
        with pytest.raises(Refused) as refused:
            locked_from(index, tmp_path / "clone", real[1], STORED)
    assert refused.value.code == "lock.second-index"
    assert confusing.server.requests == []
    assert "sesame" not in str(refused.value)


def test_an_index_that_goes_away_cannot_be_evaluated(tmp_path, real, monkeypatch):
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://reader:sesame@127.0.0.1:1/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(CannotEvaluate) as refused:
        locked_from(None, tmp_path / "clone", real[1], STORED)
    assert refused.value.code == "lock.unresolvable"
    assert "sesame" not in str(refused.value)


@pytest.mark.network
@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_the_locks_hold_for_every_supported_python(root, real, tmp_path, version):
    """Made for the oldest, they name every package that a newer one needs, at the same version."""
    locks = lock.read_all(root)
    job = make_job(tmp_path, {}, real[1])
    made = lock.compile_all(root, locks, replace(lock.uv(job), version=version))
    for name, content in made.items():
        pins = {pin.name: pin.version for pin in locks[name].values()}
        for pin in parse_lock(content, what=name).values():
            assert pins.get(pin.name) == pin.version, f"{name} on {version}: {pin.name} from {source_of(name)}"


@pytest.mark.network
def test_pip_compile_and_uv_agree_byte_for_byte(root, real, tmp_path):
    """For whichever Python pip-compile runs on here."""
    checks = real[1]["checks"]
    (library,) = checks.parent.parent.glob("lib/python*")
    reference = PipCompile(checks, indexes.pip_environment())
    ours = replace(lock.uv(make_job(tmp_path, {}, real[1])), version=library.name.removeprefix("python"))
    small = {name: lock.read_all(root)[name] for name in ("requirements.txt", "requirements/bootstrap.txt")}
    assert lock.compile_all(root, small, reference) == lock.compile_all(root, small, ours)

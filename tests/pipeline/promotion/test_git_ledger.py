"""The ledger branch, on a real remote: only ever forward, one of two wins, and the clone stays as it was."""

import pytest

from pipeline.git import git, text
from pipeline.model.errors import CannotEvaluate, Refused
from pipeline.promotion import git_ledger
from pipeline.promotion.git_ledger import GitLedger
from pipeline.promotion.ledger_store import LocalLedger, Overtaken
from tests.support.repositories import make_repository


@pytest.fixture
def remote(tmp_path):
    assert git(tmp_path, "init", "-q", "--bare", "remote.git").exit_code == 0
    return tmp_path / "remote.git"


@pytest.fixture
def clones(tmp_path, remote):
    """Two machines of one team."""
    made = [make_repository(tmp_path / name, {"file": name}) for name in ("one", "two")]
    for clone in made:
        assert git(clone, "remote", "add", "origin", str(remote)).exit_code == 0
    return made


@pytest.fixture
def ledgers(clones):
    return [GitLedger(clone, "origin", "ledger") for clone in clones]


def log(remote):
    return text(git(remote, "log", "--format=%s", "ledger")).splitlines()


def test_what_one_writes_the_other_reads(ledgers, remote):
    one, two = ledgers
    one.refresh()
    assert one.read("production.jsonl") is None
    one.write({"grants/x.json": b"{}\n", "production.jsonl": b"\x00\xff\n"}, "production: entry 1")
    two.refresh()
    assert (two.read("production.jsonl"), two.read("grants/x.json")) == (b"\x00\xff\n", b"{}\n")
    two.write({"production.jsonl": b"more\n"}, "production: entry 2")
    one.refresh()
    assert (one.read("production.jsonl"), one.read("grants/x.json")) == (b"more\n", b"{}\n")
    assert log(remote) == ["production: entry 2", "production: entry 1"]


@pytest.mark.parametrize("begun", [False, True])
def test_of_two_at_once_one_wins_and_the_other_is_told(ledgers, remote, begun):
    one, two = ledgers
    if begun:
        one.refresh()
        one.write({"file": b"zero"}, "zero")
    one.refresh()
    two.refresh()
    two.write({"file": b"two"}, "two")
    with pytest.raises(Overtaken) as error:
        one.write({"file": b"one"}, "one")
    assert error.value.code == "ledger.overtaken"
    assert error.value.message.startswith("ledger origin/ledger: somebody else wrote first (got ")
    one.refresh()
    assert one.read("file") == b"two"
    one.write({"file": b"one"}, "one")
    assert log(remote)[:2] == ["one", "two"]


def test_the_clone_itself_is_untouched(ledgers, clones):
    before = [text(git(clones[0], *words)) for words in (("status", "--porcelain"), ("branch",), ("rev-parse", "HEAD"))]
    files = sorted(path.name for path in clones[0].iterdir())
    ledgers[0].refresh()
    ledgers[0].write({"production.jsonl": b"1\n"}, "one")
    ledgers[0].refresh()
    after = [text(git(clones[0], *words)) for words in (("status", "--porcelain"), ("branch",), ("rev-parse", "HEAD"))]
    assert (after, sorted(path.name for path in clones[0].iterdir())) == (before, files)
    assert not (clones[0] / ".git" / "FETCH_HEAD").exists()


def test_a_rewritten_branch_is_refused_by_who_saw_it(ledgers, clones, remote):
    """Attack: force the branch back by one entry."""
    one, two = ledgers
    one.refresh()
    one.write({"file": b"1"}, "one")
    one.write({"file": b"2"}, "two")
    assert git(remote, "update-ref", "refs/heads/ledger", "refs/heads/ledger~1").exit_code == 0
    two.refresh()  # sees nothing wrong: it never saw the longer one
    assert one.read("file") == b"2"
    two.write({"file": b"fork"}, "fork")
    with pytest.raises(Refused) as error:
        one.refresh()
    assert error.value.code == "ledger.rewritten"
    assert "not what this clone saw before, with something added (got " in error.value.message


def test_a_branch_whose_name_ends_the_same_is_another(ledgers, clones, remote):
    """Attack: ls-remote finds every ref that ends with what it is asked for, sorted by name."""
    assert git(clones[1], "push", "-q", "origin", "HEAD:refs/heads/a/refs/heads/ledger").exit_code == 0
    one = ledgers[0]
    one.refresh()
    assert one.read("file") is None
    one.write({"file": b"1"}, "one")
    one.refresh()
    assert (one.read("file"), log(remote)) == (b"1", ["one"])


def test_a_branch_that_is_gone_is_refused_by_who_saw_it(ledgers, remote):
    one, two = ledgers
    one.refresh()
    one.write({"file": b"1"}, "one")
    assert git(remote, "update-ref", "-d", "refs/heads/ledger").exit_code == 0
    two.refresh()
    assert two.read("file") is None
    with pytest.raises(Refused, match="got no branch, expected a descendant of"):
        one.refresh()


def test_a_remote_that_is_not_there_cannot_be_evaluated(ledgers, remote):
    ledgers[0].refresh()
    remote.rename(remote.with_name("elsewhere"))
    for call in (ledgers[0].refresh, lambda: ledgers[0].write({"file": b"1"}, "one")):
        with pytest.raises(CannotEvaluate) as error:
            call()
        assert error.value.code == "ledger.unreachable"


def test_a_remote_that_takes_no_push_is_not_taken_for_a_race(ledgers, remote):
    hook = remote / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho no entry >&2\nexit 1\n")
    hook.chmod(0o755)
    ledgers[0].refresh()
    with pytest.raises(CannotEvaluate) as error:
        ledgers[0].write({"file": b"1"}, "one")
    assert error.value.code == "ledger.unreachable"
    assert "does not allow it" in error.value.message


def test_a_push_whose_answer_was_lost_was_taken(ledgers, remote, monkeypatch):
    one, _ = ledgers

    def lossy(root, *arguments, **options):
        done = git(root, *arguments, **options)
        return type(done)(128, b"", b"connection reset") if arguments[0] == "push" else done

    one.refresh()
    monkeypatch.setattr(git_ledger, "git", lossy)
    one.write({"file": b"1"}, "one")
    one.refresh()
    assert (one.read("file"), log(remote)) == (b"1", ["one"])


def test_a_folder_in_place_of_a_file_cannot_be_read(ledgers):
    ledgers[0].refresh()
    ledgers[0].write({"production.jsonl/file": b"1"}, "one")
    with pytest.raises(CannotEvaluate) as error:
        ledgers[0].read("production.jsonl")
    assert error.value.code == "ledger.unreadable"


def test_a_file_of_an_absurd_size_is_not_read(ledgers, tmp_path, monkeypatch):
    from pipeline.promotion import ledger_store  # noqa: PLC0415

    for module in (ledger_store, git_ledger):
        monkeypatch.setattr(module, "MAX_FILE", 10)
    ledgers[0].refresh()
    for store in (ledgers[0], LocalLedger(tmp_path / "state")):
        store.write({"development.jsonl": b"x" * 11}, "one")
        with pytest.raises(CannotEvaluate) as error:
            store.read("development.jsonl")
        assert error.value.code == "ledger.unreadable"

import json
import shutil

import pytest

from pipeline.debian import base_lock, mirrors
from pipeline.debian.packages import LIST, LOCK
from pipeline.model.errors import CannotEvaluate, Misuse, Refused
from pipeline.settings import Base, load
from tests.support.debian import NOW, DebianArchive, make_deb, served, write_keys


@pytest.fixture
def clone(root, tmp_path):
    """A folder with this repository's settings, list and lock."""
    (tmp_path / "requirements").mkdir()
    for name in ("pipeline.toml", LIST, LOCK):
        (tmp_path / name).write_bytes((root / name).read_bytes())
    return tmp_path


def change(clone, **changed):
    lock = json.loads((clone / LOCK).read_text())
    (clone / LOCK).write_text(json.dumps(lock | changed))


def problems(clone, settings=None):
    return [(problem.code, problem.message) for problem in base_lock.check(clone, settings or load(clone))]


class TestCheck:
    def test_the_repositorys_own_lock_is_fine(self, root):
        assert base_lock.check(root, load(root)) == []

    def test_a_missing_lock_is_told(self, clone):
        (clone / LOCK).unlink()
        ((code, message),) = problems(clone)
        assert code == "base.no-lock"
        assert message.startswith(f"{LOCK}: not readable")

    def test_a_lock_with_an_unknown_field_is_told(self, clone):
        change(clone, more=1)
        assert [code for code, _ in problems(clone)] == ["document.shape"]

    def test_a_lock_for_another_suite_is_told(self, clone):
        settings = load(clone).model_copy(update={"base": Base(suite="forky")})
        assert problems(clone, settings) == [
            ("base.other-suite", f"{LOCK}: locked for another suite (got trixie, expected forky)")
        ]

    def test_a_package_that_was_added_to_the_list_is_told_for_both_architectures(self, clone):
        (clone / LIST).write_text((clone / LIST).read_text() + "libnew\n")
        found = problems(clone)
        assert [code for code, _ in found] == ["base.stale-lock", "base.stale-lock"]
        assert "got a difference in libnew" in found[0][1]

    def test_a_package_that_is_locked_twice_is_told(self, clone):
        lock = json.loads((clone / LOCK).read_text())
        lock["packages"]["amd64"].append(lock["packages"]["amd64"][0])
        change(clone, packages=lock["packages"])
        assert "a package twice" in problems(clone)[0][1]

    def test_a_missing_architecture_is_told(self, clone):
        lock = json.loads((clone / LOCK).read_text())
        change(clone, packages={"amd64": lock["packages"]["amd64"]})
        assert [code for code, _ in problems(clone)] == ["base.stale-lock"]

    def test_a_missing_list_is_told(self, clone):
        (clone / LIST).unlink()
        assert [code for code, _ in problems(clone)] == ["base.no-list"]


def test_what_check_finds_stops_a_build(clone):
    settings = load(clone).model_copy(update={"base": Base(suite="forky")})
    with pytest.raises(CannotEvaluate) as refused:
        base_lock.require(clone, settings)
    assert refused.value.code == "base.other-suite"


class TestUpdate:
    @pytest.fixture
    def archive(self):
        made = DebianArchive()
        made.add_package("python3.13-minimal", make_deb("p", {}), version="3.13.5-2")
        made.publish()
        return made

    @pytest.fixture
    def update(self, archive, clone):
        (clone / LOCK).unlink()
        (clone / LIST).write_text("python3.13-minimal\n")
        write_keys(clone / "requirements" / "keys")

        def run():
            said: list[str] = []
            with served(archive) as server:
                settings = load(clone).model_copy(update={"base": Base(mirror=server.origin)})
                base_lock.update(clone, settings, said.append, now=NOW)
            return said

        return run

    def test_it_writes_a_lock_that_passes(self, clone, update):
        assert "amd64 python3.13-minimal: new -> 3.13.5-2" in update()
        assert base_lock.check(clone, load(clone)) == []

    def test_a_second_time_it_changes_nothing(self, clone, update):
        update()
        first = (clone / LOCK).read_bytes()
        assert not [line for line in update() if "->" in line]
        assert (clone / LOCK).read_bytes() == first

    def test_a_refusal_leaves_the_old_lock(self, clone, archive, update):
        update()
        first = (clone / LOCK).read_bytes()
        archive.publish(signer="stranger")
        with pytest.raises(Refused):
            update()
        assert (clone / LOCK).read_bytes() == first

    def test_a_lock_that_cannot_be_read_is_not_taken_for_none(self, clone, update):
        (clone / LOCK).write_text("{")
        with pytest.raises(CannotEvaluate):
            update()

    def test_without_a_mirror_it_does_not_start(self, clone, update, monkeypatch, tmp_path):
        find, none = mirrors.find_mirrors, tmp_path / "none"
        monkeypatch.setattr(base_lock, "find_mirrors", lambda base: find(base, apt=none, template=none))
        monkeypatch.setattr(shutil, "which", lambda _: None)
        with pytest.raises(Misuse) as refused:
            base_lock.update(clone, load(clone), lambda _: None, now=NOW)
        assert refused.value.code == "base.no-mirror"


@pytest.mark.network
def test_debians_own_archive_resolves_to_a_lock_that_passes(root, clone):
    write = clone / "requirements" / "keys"
    write.mkdir()
    for path in (root / "requirements" / "keys").iterdir():
        (write / path.name).write_bytes(path.read_bytes())
    try:
        base_lock.update(clone, load(clone), lambda _: None)
    except Misuse as error:
        pytest.skip(error.message)
    except CannotEvaluate as error:
        if error.code == "download.unreachable":
            pytest.skip(error.message)
        raise
    assert base_lock.check(clone, load(clone)) == []

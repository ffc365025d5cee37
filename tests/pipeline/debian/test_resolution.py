from datetime import timedelta

import pytest

from pipeline.debian.mirrors import Mirrors
from pipeline.debian.packages import PackageList
from pipeline.debian.resolution import choose, resolve_base
from pipeline.model.errors import CannotEvaluate, GatehouseError, Refused
from tests.support.debian import NOW, DebianArchive, make_deb, served, write_keys

WANTED = PackageList(("libc6", "python3.13-minimal"), ("dpkg",))


@pytest.fixture
def archive():
    """Two packages, one of them newer in the security suite."""
    made = DebianArchive()
    made.add_package("libc6", make_deb("libc6", {}), version="2.41-12", Source="glibc (2.41-11)")
    made.add_package(
        "libc6", make_deb("libc6", {}), archive="debian-security", version="2.41-12+deb13u1", Source="glibc"
    )
    made.add_package("python3.13-minimal", make_deb("p", {}), version="3.13.5-2", Depends="libc6 (>= 2), dpkg")
    made.publish()
    return made


@pytest.fixture
def resolve(archive, tmp_path):
    def run(wanted=WANTED, *, previous=None, now=NOW):
        with served(archive) as server:
            mirrors = Mirrors({name: f"{server.origin}/{name}" for name in ("debian", "debian-security")})
            keys = write_keys(tmp_path / "keys")
            return resolve_base(wanted, "trixie", mirrors, keys=keys, now=now, previous=previous, say=lambda _: None)

    return run


def refusal(call, *arguments, **named):
    with pytest.raises(Refused) as refused:
        call(*arguments, **named)
    return refused.value


def test_the_newest_version_of_any_suite_is_locked(resolve):
    lock = resolve()
    for architecture in ("amd64", "arm64"):
        libc, python = lock.packages[architecture]
        assert (libc.name, libc.version) == ("libc6", "2.41-12+deb13u1")
        assert libc.path.startswith("debian-security/pool/main/libc6/")
        assert (python.source, python.source_version) == ("python3.13-minimal", "3.13.5-2")


def test_a_source_version_of_its_own_is_kept(archive, resolve):
    archive.stanzas["debian-security"].clear()
    archive.publish()
    libc = resolve().packages["amd64"][0]
    assert (libc.source, libc.source_version) == ("glibc", "2.41-11")


def test_each_suites_date_and_the_snapshot_are_locked(resolve):
    lock = resolve()
    assert {suite.name: suite.date for suite in lock.suites} == {
        "trixie": "2026-09-12T07:55:41Z",
        "trixie-updates": "2026-11-20T02:11:10Z",
        "trixie-security": "2026-11-20T02:11:10Z",
    }
    assert lock.snapshot == {"debian": "20261120T141110Z", "debian-security": "20261120T141110Z"}


def test_without_a_changed_package_the_base_keeps_its_time(archive, resolve):
    first = resolve()
    archive.publish(Date="Sat, 21 Nov 2026 02:11:10 UTC")
    second = resolve(previous=first)
    assert second.time == first.time
    assert second.suites != first.suites


def test_a_changed_package_moves_the_time(archive, resolve):
    first = resolve()
    archive.add_package("libc6", make_deb("libc6", {}), version="2.41-13")
    archive.publish(Date="Sat, 21 Nov 2026 02:11:10 UTC")
    assert resolve(previous=first).time > first.time


def test_a_mirror_that_went_back_in_time_is_refused(archive, resolve):
    first = resolve()
    archive.publish(Date="Thu, 19 Nov 2026 02:11:10 UTC")
    assert refusal(resolve, previous=first).code == "base.rollback"


def test_a_mirror_that_stands_still_is_refused(resolve):
    assert refusal(resolve, now=NOW + timedelta(days=30)).code == "base.expired"


def test_security_updates_need_the_security_archives_key(archive, resolve):
    archive.publish(signer="debian")
    error = refusal(resolve)
    assert error.code == "base.signature"
    assert "trixie-security" in error.message


def test_an_index_that_was_swapped_is_refused(archive, resolve):
    for path in archive.files:
        if "by-hash" in path:
            archive.files[path] = b"other"
    assert refusal(resolve).code == "base.index-hash"


def test_a_missing_index_cannot_be_judged(archive, resolve):
    archive.files = {path: body for path, body in archive.files.items() if "trixie-updates" not in path}
    with pytest.raises(CannotEvaluate) as refused:
        resolve()
    assert refused.value.code == "download.unreachable"


def test_a_name_that_no_suite_has_is_refused():
    error = refusal(choose, PackageList(("libnone",), ()), [], architecture="arm64")
    assert error.code == "base.no-package"
    assert error.message == (
        "requirements/base.in: not in the suite for arm64 (got libnone, expected names of packages)"
    )


def stanza(name, **fields):
    found = {"Package": name, "Version": "1", "Architecture": "all", "SHA256": "a" * 64, "Size": "1"}
    return "debian", {**found, "Filename": f"pool/{name}.deb", **fields}


def test_a_dependency_that_is_neither_listed_nor_left_out_is_refused():
    error = refusal(choose, PackageList(("a",), ()), [stanza("a", Depends="b (>= 1) | c")], architecture="amd64")
    assert error.code == "base.dependency"
    assert "got none of b | c" in error.message
    assert "`!b  # why`" in error.fix


@pytest.mark.parametrize(
    ("wanted", "provides"),
    [(PackageList(("aa", "bb"), ()), ""), (PackageList(("aa",), ("bb",)), ""), (PackageList(("aa", "xx"), ()), "bb")],
)
def test_a_dependency_may_be_listed_left_out_or_provided(wanted, provides):
    found = [stanza("aa", **{"Pre-Depends": "bb"}), stanza("bb"), stanza("xx", Provides=provides)]
    assert choose(wanted, found, architecture="amd64")


@pytest.mark.parametrize(
    ("field", "value", "code"), [("Version", "x:1", "base.malformed"), ("Size", "many", "document.shape")]
)
def test_a_package_whose_fields_say_nothing_is_refused(field, value, code):
    stanza = {"Package": "libc6", "Version": "1", "Architecture": "all", "Size": "1", "SHA256": "0" * 64}
    stanza |= {"Filename": "pool/main/a.deb", field: value}
    with pytest.raises(GatehouseError) as refused:
        choose(PackageList(("libc6",), ()), [("debian", stanza), ("debian", stanza)], architecture="amd64")
    assert refused.value.code == code

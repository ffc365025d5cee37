import shutil

import pytest

from pipeline.debian.mirrors import Mirrors, find_mirrors
from pipeline.model.errors import Misuse
from pipeline.settings import Base
from tests.support.debian import NOW

DEB822 = """\
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm

Types: deb
URIs: http://mirror.example/debian-security/
Suites: bookworm-security
"""

#: As python-apt has it: a suite's stanza repeats keys, and older forms of a suite come later.
TEMPLATE = """\
ChangelogURI: https://changelogs.example/%s

Suite: {series}
RepositoryType: deb
BaseURI: https://debian.example/debian/
MatchURI: debian\\.example
Component: main
Component: contrib

Suite: {series}-security
RepositoryType: deb
BaseURI: https://security.example/
ParentSuite: {series}

Suite: {series}
BaseURI: https://older.example/debian/
"""


@pytest.fixture
def no_apt(monkeypatch):
    """A machine without apt."""
    monkeypatch.setattr(shutil, "which", lambda _: None)


@pytest.mark.usefixtures("no_apt")
class TestWhereThePackagesComeFrom:
    def test_the_setting_is_first(self, tmp_path):
        found = find_mirrors(Base(mirror="https://own.example/m"), apt=tmp_path, template=tmp_path / "none")
        assert found.archives["debian-security"] == "https://own.example/m/debian-security"

    def test_else_the_machines_deb822_sources(self, tmp_path):
        (tmp_path / "sources.list.d").mkdir()
        (tmp_path / "sources.list.d" / "debian.sources").write_text(DEB822)
        assert find_mirrors(Base(), apt=tmp_path, template=tmp_path / "none").archives == {
            "debian": "http://mirror.example/debian",
            "debian-security": "http://mirror.example/debian-security",
        }

    def test_else_its_one_line_sources(self, tmp_path):
        (tmp_path / "sources.list").write_text(
            "# deb http://no.example/debian x main\n"
            "deb [signed-by=/k.gpg] http://a.example/debian/ trixie main\n"
            "deb-src http://src.example/debian trixie main\n"
            "deb http://a.example/debian-security trixie-security main\n"
            "deb http://other.example/node x main\n"
        )
        assert find_mirrors(Base(), apt=tmp_path, template=tmp_path / "none").archives == {
            "debian": "http://a.example/debian",
            "debian-security": "http://a.example/debian-security",
        }

    def test_else_what_ubuntu_knows_of_debian(self, tmp_path):
        (tmp_path / "sources.list").write_text("deb http://ubuntu.example/ubuntu noble main\n")
        (tmp_path / "Debian.info").write_text(TEMPLATE)
        assert find_mirrors(Base(), apt=tmp_path, template=tmp_path / "Debian.info").archives == {
            "debian": "https://debian.example/debian",
            "debian-security": "https://security.example",
        }

    def test_the_machines_own_sources_are_before_what_ubuntu_knows(self, tmp_path):
        (tmp_path / "sources.list").write_text("deb http://own.example/debian trixie main\n")
        (tmp_path / "Debian.info").write_text(TEMPLATE)
        found = find_mirrors(Base(), apt=tmp_path, template=tmp_path / "Debian.info").archives
        assert found == {"debian": "http://own.example/debian", "debian-security": "https://security.example"}

    def test_a_damaged_or_disabled_source_is_passed_over(self, tmp_path):
        (tmp_path / "sources.list.d").mkdir()
        (tmp_path / "sources.list.d" / "a.sources").write_text(" broken\n")
        (tmp_path / "sources.list.d" / "b.sources").write_text(
            DEB822.replace("Types: deb\n", "Types: deb\nEnabled: no\n")
        )
        with pytest.raises(Misuse) as refused:
            find_mirrors(Base(), apt=tmp_path, template=tmp_path / "none")
        assert refused.value.code == "base.no-mirror"

    def test_without_any_of_them_the_fix_names_the_setting(self, tmp_path):
        with pytest.raises(Misuse) as refused:
            find_mirrors(Base(), apt=tmp_path, template=tmp_path / "none")
        assert refused.value.code == "base.no-mirror"
        assert "[base] mirror" in refused.value.fix

    def test_a_snapshot_archive_is_enough(self, tmp_path):
        found = find_mirrors(Base(snapshot="https://past.example/archive"), apt=tmp_path, template=tmp_path / "none")
        assert found.current("debian", NOW) == "https://past.example/archive/debian/20261121T120000Z"


def test_the_snapshot_archive_is_the_one_that_apt_knows(monkeypatch, tmp_path):
    program = tmp_path / "apt-config"
    program.write_text("#!/bin/sh\necho https://past.example/archive/@PATH@/@SNAPSHOTID@/\n")
    program.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda _: str(program))
    assert find_mirrors(Base(), apt=tmp_path, template=tmp_path / "none").snapshot == "https://past.example/archive"


def test_the_mirror_is_tried_before_the_snapshot():
    found = Mirrors({"debian": "http://m.example/debian"}, "http://s.example/archive")
    assert found.addresses("debian/pool/a.deb", {"debian": "20261120T141110Z"}) == [
        "http://m.example/debian/pool/a.deb",
        "http://s.example/archive/debian/20261120T141110Z/pool/a.deb",
    ]


def test_an_archive_that_nobody_names_has_no_present_state():
    with pytest.raises(Misuse) as refused:
        Mirrors({}).current("debian", NOW)
    assert refused.value.code == "base.no-mirror"

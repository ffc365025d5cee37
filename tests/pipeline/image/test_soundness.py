import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.image.layer import Entry, Kind, file, folder, link, with_folders
from pipeline.image.soundness import flaws, resolve


def codes(tree):
    return [(flaw.code, flaw.path) for flaw in flaws(tree)]


SOUND = {
    "usr": folder(),
    "usr/bin": folder(),
    "usr/bin/python3": link("python3.13"),
    "usr/bin/python3.13": file(b"", executable=True),
    "bin": link("usr/bin"),
    "tmp": folder(0o1777),
    "app": folder(),
    "app/sh": file(b"a data file"),
}


def test_a_sound_tree_has_no_flaws():
    assert flaws(SOUND) == []


@pytest.mark.parametrize(
    ("path", "entry", "code"),
    [
        ("usr/bin/sudo", Entry(Kind.FILE, 0o4755), "image.setuid"),
        ("usr/bin/wall", Entry(Kind.FILE, 0o2755), "image.setuid"),
        ("app/data", Entry(Kind.FILE, 0o666), "image.world-writable"),
        ("app/spool", folder(0o777), "image.world-writable"),
        ("usr/bin/sh", Entry(Kind.FILE, 0o755), "image.shell"),
        ("usr/bin/bash", link("python3.13"), "image.shell"),
        ("app/busybox", Entry(Kind.FILE, 0o755), "image.shell"),
        ("usr/bin/dpkg", Entry(Kind.FILE, 0o755), "image.package-manager"),
        ("usr/lib/python3/dist-packages/pip/__main__.py", Entry(Kind.FILE), "image.package-manager"),
        ("app/gone", link("nowhere"), "image.dangling-link"),
        ("app/loop", link("loop"), "image.dangling-link"),
    ],
)
def test_each_flaw_is_found_by_its_code(path, entry, code):
    assert codes({**SOUND, path: entry}) == [(code, path)]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("bin/python3", "usr/bin/python3.13"),
        ("/bin/../bin/python3.13", "usr/bin/python3.13"),
        ("usr/../tmp", "tmp"),
        ("absent", None),
        ("app/sh/below", None),
    ],
)
def test_links_are_followed_inside_the_image_only(path, expected):
    assert resolve(SOUND, path) == expected


class TestTheElfClosure:
    """With this machine's own Python as the program."""

    @pytest.fixture
    def python(self):
        content = Path(sys.executable).resolve().read_bytes()
        if not content.startswith(b"\x7fELF"):
            pytest.skip("this Python is no ELF file")
        return content

    def test_each_absent_library_is_named(self, python):
        found = [flaw for flaw in flaws({"usr/bin/python": file(python)}) if flaw.code == "image.missing-library"]
        assert "needs libc.so.6" in [flaw.detail for flaw in found]

    @pytest.mark.parametrize("folder_", ["usr/lib", "usr/lib/x86_64-linux-gnu"])
    def test_a_library_counts_in_a_library_folder(self, python, folder_):
        tree = with_folders({"usr/bin/python": file(python), f"{folder_}/libc.so.6": file(b"")})
        assert "needs libc.so.6" not in [flaw.detail for flaw in flaws(tree)]

    def test_a_library_elsewhere_does_not_count(self, python):
        tree = with_folders({"usr/bin/python": file(python), "app/libc.so.6": file(b"")})
        assert "needs libc.so.6" in [flaw.detail for flaw in flaws(tree)]

    def test_a_folder_of_the_cache_counts_where_there_is_a_cache(self, python):
        tree = with_folders(
            {
                "usr/bin/python": file(python),
                "opt/lib/libc.so.6": file(b""),
                "etc/ld.so.conf.d/opt.conf": file(b"# ours\n/opt/lib\n"),
            }
        )
        assert "needs libc.so.6" in [flaw.detail for flaw in flaws(tree)]
        assert "needs libc.so.6" not in [flaw.detail for flaw in flaws({**tree, "etc/ld.so.cache": file(b"")})]

    def test_a_damaged_program_is_a_flaw(self):
        assert codes({"app/x": file(b"\x7fELF rubbish")}) == [("image.missing-library", "app/x")]

    @given(st.binary(max_size=200))
    def test_no_bytes_crash_the_reader(self, content):
        flaws({"app/x": file(b"\x7fELF" + content)})

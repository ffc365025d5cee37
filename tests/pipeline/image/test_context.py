from dataclasses import replace

import pytest

from pipeline.git import take_snapshot
from pipeline.image.context import copied, ignore, own_folders, read_context
from pipeline.image.dockerfile import Copy, Made
from pipeline.image.layer import Kind, file, link
from pipeline.model.errors import CannotEvaluate, Refused
from tests.support.repositories import commit_all, make_repository


@pytest.fixture
def clone(tmp_path):
    return make_repository(
        tmp_path / "clone", {"app/a.py": "a", "app/sub/b.py": "b", "other.py": "o", ".gitignore": "*.log\n"}
    )


def context(clone, directory="app"):
    return read_context(clone, directory, take_snapshot(clone))


def copy(*sources, target="/srv", into=True, owner=0):
    return Copy(7, sources, target, into, owner)


class TestWhatGitSees:
    def test_it_is_the_files_below_the_folder(self, clone):
        assert context(clone) == {"a.py": file(b"a"), "sub/b.py": file(b"b")}

    def test_a_new_file_counts_and_an_ignored_one_does_not(self, clone):
        (clone / "app" / "new.py").write_text("n")
        (clone / "app" / "debug.log").write_text("secret")
        assert set(context(clone)) == {"a.py", "sub/b.py", "new.py"}

    def test_modes_are_gits_two(self, clone):
        (clone / "app" / "a.py").chmod(0o777)
        assert context(clone)["a.py"].mode == 0o755
        (clone / "app" / "a.py").chmod(0o600)
        assert context(clone)["a.py"].mode == 0o644

    def test_a_file_that_changes_meanwhile_is_told(self, clone):
        snapshot = take_snapshot(clone)
        (clone / "app" / "a.py").write_text("changed")
        with pytest.raises(CannotEvaluate) as refused:
            read_context(clone, "app", snapshot)
        assert refused.value.code == "source.changed"
        assert refused.value.message.startswith("app/a.py: not the file that git listed")

    def test_a_file_that_vanishes_meanwhile_is_told(self, clone):
        snapshot = take_snapshot(clone)
        (clone / "app" / "a.py").unlink()
        with pytest.raises(CannotEvaluate) as refused:
            read_context(clone, "app", snapshot)
        assert refused.value.code == "source.changed"

    def test_a_link_inside_stays_a_link(self, clone):
        (clone / "app" / "sub" / "link").symlink_to("../a.py")
        assert context(clone)["sub/link"] == link("../a.py")

    @pytest.mark.parametrize("target", ["/etc/passwd", "../other.py", "sub/../../other.py"])
    def test_a_link_out_of_the_context_is_refused(self, clone, target):
        (clone / "app" / "link").symlink_to(target)
        with pytest.raises(Refused) as refused:
            context(clone)
        assert refused.value.code == "context.link"
        assert repr(target) in refused.value.message

    def test_a_submodule_is_refused(self, clone):
        make_repository(clone / "app" / "module", {"x": "x"})
        commit_all(clone / "app" / "module")
        with pytest.raises(Refused) as refused:
            context(clone)
        assert refused.value.code == "context.submodule"


TREE = {name: file(b"") for name in ("a.py", "a.pyc", "b/c.py", "b/d/e.py", "b/d/keep.txt", "Dockerfile", "[x]")}


@pytest.mark.parametrize(
    ("patterns", "gone"),
    [
        ("", set()),
        ("# comment\n\nDockerfile\n", {"Dockerfile"}),
        ("*.py", {"a.py"}),
        ("**/*.py", {"a.py", "b/c.py", "b/d/e.py"}),
        ("b", {"b/c.py", "b/d/e.py", "b/d/keep.txt"}),
        ("/b/d/", {"b/d/e.py", "b/d/keep.txt"}),
        ("b\n!b/d/keep.txt", {"b/c.py", "b/d/e.py"}),
        ("!a.py\na.py", {"a.py"}),
        ("a.py?", {"a.pyc"}),
        ("[ab].py", {"a.py"}),
        ("*/d", {"b/d/e.py", "b/d/keep.txt"}),
        ("\\[x]", {"[x]"}),
    ],
)
def test_dockerignore_leaves_out_what_it_names(patterns, gone):
    assert TREE.keys() - ignore(TREE, patterns).keys() == gone


@pytest.mark.parametrize(
    "line", ["[z-a]", "[\\]]", "a/../b", "a//b", "a/./b", "..", "!", " # a", " !a", "\ufeffa", "a\x0cb"]
)
def test_a_pattern_that_engines_might_read_otherwise_is_refused_with_its_line(line):
    with pytest.raises(Refused) as refused:
        ignore(TREE, f"*.pyc\n{line}\n")
    assert refused.value.code == "dockerfile.ignore"
    assert refused.value.message.startswith(".dockerignore:2: not a pattern that every builder reads alike (got ")


FILES = {"a.py": file(b"a"), "sub/b.py": file(b"b"), "sub/c/d.py": file(b"d")}


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        (copy("."), {"srv/a.py", "srv/sub/b.py", "srv/sub/c/d.py"}),
        (copy("sub"), {"srv/b.py", "srv/c/d.py"}),
        (copy("sub/", "a.py"), {"srv/b.py", "srv/c/d.py", "srv/a.py"}),
        (copy("a.py"), {"srv/a.py"}),
        (copy("a.py", into=False), {"srv"}),
        (copy("./sub/b.py", target="/"), {"b.py"}),
    ],
)
def test_copy_puts_files_where_an_engine_would(instruction, expected):
    assert {path for path, entry in copied(FILES, [instruction]).items() if entry.kind is not Kind.FOLDER} == expected


def test_copy_sets_the_owner():
    assert {entry.owner for entry in copied(FILES, [copy(".", owner=7)]).values()} == {7}


def test_a_copy_from_outside_the_context_is_refused():
    with pytest.raises(Refused) as refused:
        copied(FILES, [copy("sub/../../secrets")])
    assert refused.value.code == "dockerfile.outside-context"
    assert "Dockerfile:7: COPY from outside the context (got sub/../../secrets" in refused.value.message


def test_a_copy_of_nothing_is_refused():
    with pytest.raises(Refused) as refused:
        copied(FILES, [copy("absent.py")])
    assert refused.value.code == "dockerfile.no-source"


@pytest.mark.parametrize("name", [".wh.passwd", ".wh..wh..opq", ".wh.etc/x"])
def test_a_name_that_would_remove_files_of_the_base_is_refused(clone, name):
    (clone / "app" / name).parent.mkdir(exist_ok=True)
    (clone / "app" / name).write_text("")
    with pytest.raises(Refused) as refused:
        context(clone)
    assert refused.value.code == "context.whiteout"
    assert refused.value.message.startswith(f"{name}: a name that removes files")


class TestAsEnginesCopy:
    """Each of these was seen with BuildKit; the engine tests hold whole images against it."""

    FILES = {"a": file(b"a"), "d/x/y": file(b"y"), "to-a": link("a"), "to-d": link("d"), "d/up": link("../a")}

    def test_a_link_that_is_named_is_followed_and_one_in_a_folder_is_not(self):
        tree = copied(self.FILES, [copy("to-a", "to-d/x/y"), copy("to-d", target="/copy"), copy("d", target="/d")])
        assert tree["srv/to-a"] == file(b"a")
        assert tree["copy/x/y"] == file(b"y")
        assert tree["srv/y"] == file(b"y")
        assert tree["d/up"] == link("../a")

    def test_a_link_to_what_is_ignored_copies_nothing(self):
        with pytest.raises(Refused) as refused:
            copied({"to-a": link("a"), "b": file(b"")}, [copy("to-a/x")])
        assert refused.value.code == "dockerfile.no-source"

    def test_folders_belong_to_the_copy_that_makes_them(self):
        tree = copied(self.FILES, [copy("a", target="/one"), copy("d", target="/one/two", owner=7)])
        assert {path: entry.owner for path, entry in tree.items()} == {
            "one": 0,
            "one/a": 0,
            "one/two": 7,
            "one/two/x": 7,
            "one/two/x/y": 7,
            "one/two/up": 7,
        }

    def test_every_workdir_makes_its_folder_in_its_turn(self):
        copy_between = replace(copy("a", target="/w/v", owner=7), line=5)
        tree = copied(self.FILES, [copy_between], [Made(4, "/w"), Made(6, "/w/v"), Made(7, "/u")])
        assert {path: entry.owner for path, entry in tree.items()} == {"w": 0, "w/v": 7, "w/v/a": 7, "u": 0}

    def test_a_folder_that_is_copied_again_changes_hands_and_its_target_does_not(self):
        tree = copied(self.FILES, [copy("d", target="/one", owner=7), copy("d", target="/one", owner=8)])
        assert {path: entry.owner for path, entry in tree.items()} == {
            "one": 7,
            "one/x": 8,
            "one/x/y": 8,
            "one/up": 8,
        }

    def test_the_folders_that_a_copy_brings_itself_are_those_below_its_target(self):
        assert own_folders(self.FILES, [copy(".", target="/")]) == {"d", "d/x"}
        assert own_folders(self.FILES, [copy("d", target="/one/two")]) == {"one/two/x"}
        assert own_folders(self.FILES, [copy("a", target="/one/two")]) == frozenset()

    @pytest.mark.parametrize(
        ("copies", "made", "got", "fix"),
        [
            ([copy("a", target="/w", into=False)], [Made(1, "/w")], "a file where a folder is", "end the"),
            (
                [copy("d", target="/e"), copy("a", target="/e/x", into=False)],
                [],
                "a file where a folder",
                "end the",
            ),
            ([copy("a", target="/e", into=False), copy("a", target="/e")], [], "a folder where a file", "copy beside"),
            (
                [copy("d", target="/e"), copy("a", target="/e/up")],
                [],
                "a folder where a link is (got /e/",
                "copy beside",
            ),
            ([copy("d", target="/e"), copy("a", target="/e/up", into=False)], [], "a file where a link", "copy beside"),
            (
                [copy("a", target="/w", into=False)],
                [Made(9, "/w/v")],
                "a folder where a file is (got /w,",
                "copy beside",
            ),
        ],
    )
    def test_what_engines_would_each_do_otherwise_is_refused(self, copies, made, got, fix):
        with pytest.raises(Refused) as refused:
            copied(self.FILES, copies, made)
        assert refused.value.code == "dockerfile.in-the-way"
        assert got in refused.value.message
        assert refused.value.fix.startswith(fix)

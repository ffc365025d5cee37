"""Hash locks have one reading, and whatever pip-audit or pip could read otherwise is refused."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.hash_locks import parse_lock, read_lock
from pipeline.model.errors import Refused

A, B = "a" * 64, "b" * 64
GOOD = f"tornado==6.6.1 \\\n    --hash=sha256:{A} \\\n    --hash=sha256:{B}\n    # via -r requirements.in\n"


def refusal(text: str) -> Refused:
    with pytest.raises(Refused) as refused:
        parse_lock(text.encode(), what="requirements.txt")
    assert refused.value.fix
    assert "requirements.txt" in refused.value.message
    return refused.value


def test_a_pin_with_its_hashes_is_read():
    locked = parse_lock(GOOD.encode(), what="x")["tornado"]
    assert (locked.version, locked.hashes, locked.marker) == ("6.6.1", frozenset({A, B}), None)


def test_names_are_canonical_and_markers_kept():
    text = f'Py_YAML==6.0 ; platform_machine == "x86_64" \\\n    --hash=sha256:{A}\n'
    assert parse_lock(text.encode(), what="x")["py-yaml"].marker == 'platform_machine == "x86_64"'


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("lock.include", "-r other.txt"),
        ("lock.include", "--requirement=other.txt"),
        ("lock.include", "-c constraints.txt"),
        ("lock.url", "--index-url https://evil.example/simple"),
        ("lock.url", "--extra-index-url https://evil.example/simple"),
        ("lock.url", "--find-links wheels"),
        ("lock.url", "-e ."),
        ("lock.url", "tornado @ https://evil.example/tornado.whl"),
        ("lock.url", "git+https://evil.example/tornado"),
        ("lock.url", "./tornado-6.6.1-py3-none-any.whl"),
        ("lock.option", "--pre"),
        ("lock.floating", "tornado"),
        ("lock.floating", "tornado>=6"),
        ("lock.floating", "tornado==6.*"),
        ("lock.floating", "tornado===6.6.1"),
        ("lock.unhashed", "tornado==6.6.1"),
        ("lock.malformed", f"tornado==6.6.1 --hash=sha256:{A}"),
        ("lock.hash", f"tornado==6.6.1 \\\n    --hash=md5:{A}"),
        ("lock.hash", f"tornado==6.6.1 \\\n    --hash=sha256:{A[1:]}"),
        ("lock.malformed", f"tornado==6.6.1 \\\n    --hash=sha256:{A} \\"),
        ("lock.floating", f"tornado==6.6.1 ; nonsense \\\n    --hash=sha256:{A}"),
    ],
)
def test_what_is_no_hashed_pin_is_refused(code, line):
    # A good requirement before it: one bad line among many is enough.
    assert refusal(f"{GOOD.replace('tornado', 'idna')}{line}\n").code == code


def test_a_package_is_locked_once():
    assert refusal(GOOD + GOOD.replace("tornado", "Tornado")).code == "lock.duplicate"


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n"])
def test_a_lock_of_nothing_is_refused(text):
    assert refusal(text).code == "lock.empty"


@pytest.mark.parametrize("character", ["\r", "\x0c", "\u2028", "\x85", "\t", "\x00"])
def test_characters_at_which_readers_split_lines_differently_are_refused(character):
    refused = refusal(f"# comment{character}-r other.txt\n{GOOD}")
    assert refused.code == "lock.malformed"


def test_a_comment_that_goes_on_is_refused():
    assert refusal(f"# comment \\\n{GOOD}").code == "lock.malformed"


def test_a_missing_lock_is_refused(tmp_path):
    with pytest.raises(Refused, match="not readable") as refused:
        read_lock(tmp_path, "requirements.txt")
    assert refused.value.code == "lock.missing"


@given(st.text(alphabet=f"tornado==6.1 \\\n-hasr#/:;{A[0]}", max_size=200))
def test_any_text_is_read_whole_or_refused(text):
    with contextlib.suppress(Refused):  # and nothing else is ever raised
        assert all(locked.hashes for locked in parse_lock(text.encode(), what="x").values())


def test_every_lock_of_this_repository_is_read(root):
    for name in ("requirements.txt", "requirements/test.txt", "requirements/checks.txt"):
        assert read_lock(root, name)

"""Accepted findings are read strictly: id, file, reason, owner, expiry."""

from datetime import date

import pytest

from pipeline.model.errors import CannotEvaluate
from pipeline.steps.accepted import load_accepted, load_accepted_secrets

ENTRY = (
    '[[accepted]]\nid = "B602"\nfile = "service/a.py"\nreason = "checked"\nowner = "somebody"\nexpires = 2026-12-31\n'
)


def write(folder, text):
    (folder / "policies").mkdir()
    (folder / "policies/sast.toml").write_text(text)
    return folder


def test_an_entry_counts_up_to_and_on_its_last_day(tmp_path):
    (entry,) = load_accepted(write(tmp_path, ENTRY))
    assert entry.holds(date(2026, 12, 31))
    assert not entry.holds(date(2027, 1, 1))


def test_an_empty_file_accepts_nothing(tmp_path):
    assert load_accepted(write(tmp_path, "")) == []


@pytest.mark.parametrize(
    "text",
    [
        ENTRY.replace("reason", "note"),
        ENTRY.replace('owner = "somebody"\n', ""),
        ENTRY.replace("expires = 2026-12-31\n", ""),
        ENTRY.replace("2026-12-31", '"2026-12-31"'),
        ENTRY.replace("B602", "*"),
        ENTRY.replace("service/a.py", "service/*"),
        ENTRY.replace("service/a.py", "../a.py"),
        ENTRY.replace('"checked"', '""'),
        ENTRY + ENTRY,
        ENTRY + 'id = "B603"\n',
        "ignored = true\n",
        "[[accepted]\n",
    ],
)
def test_anything_else_cannot_be_evaluated(tmp_path, text):
    with pytest.raises(CannotEvaluate) as refused:
        load_accepted(write(tmp_path, text))
    assert refused.value.code == "sast.accepted"
    assert refused.value.fix


def test_a_missing_file_cannot_be_evaluated(tmp_path):
    with pytest.raises(CannotEvaluate, match=r"policies/sast\.toml: not readable"):
        load_accepted(tmp_path)


def test_what_this_repository_accepts_is_readable(root):
    assert all(entry.owner for entry in load_accepted(root))


SECRET = (
    '[[accepted]]\nid = "Secret Keyword"\nfile = "app/a b.py"\nreason = "public"\nowner = "somebody"\n'
    "expires = 2026-12-31\n"
)


def write_secrets(folder, text):
    (folder / "policies").mkdir()
    (folder / "policies/secrets.toml").write_text(text)
    return folder


@pytest.mark.parametrize("place", ["app/a b.py", "ENV API_KEY"])
def test_what_looks_like_a_secret_is_accepted_by_form_and_place(tmp_path, place):
    (entry,) = load_accepted_secrets(write_secrets(tmp_path, SECRET.replace("app/a b.py", place)))
    assert (entry.id, entry.file) == ("Secret Keyword", place)


@pytest.mark.parametrize(
    "text", [SECRET + SECRET, SECRET.replace("app/a b.py", "/app/a.py"), SECRET.replace("reason", "why"), "[["]
)
def test_another_shape_of_accepted_secrets_cannot_be_evaluated(tmp_path, text):
    with pytest.raises(CannotEvaluate, match=r"policies/secrets\.toml: not readable") as refused:
        load_accepted_secrets(write_secrets(tmp_path, text))
    assert refused.value.code == "image.accepted"


def test_without_a_file_no_secret_is_accepted(tmp_path, root):
    assert load_accepted_secrets(tmp_path) == []
    assert all(entry.owner for entry in load_accepted_secrets(root))

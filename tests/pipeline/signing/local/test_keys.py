import datetime as dt
import json

import pytest

from pipeline.model.errors import CannotEvaluate
from pipeline.signing.local.keys import FILE, der, load_or_create

NOW = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    load_or_create(folder, NOW)
    return (folder / FILE).read_bytes()


def put(folder, content):
    (folder / FILE).write_bytes(content)
    (folder / FILE).chmod(0o600)


def test_keys_are_private_and_made_once(tmp_path):
    first = load_or_create(tmp_path, NOW)
    again = load_or_create(tmp_path, NOW + dt.timedelta(days=400))
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert der(again.root_certificate) == der(first.root_certificate)
    assert again.start == first.start == NOW - dt.timedelta(minutes=1)


def test_keys_cut_in_half_are_damaged_and_not_replaced(tmp_path, stored):
    put(tmp_path, stored[: len(stored) // 2])
    with pytest.raises(CannotEvaluate) as refusal:
        load_or_create(tmp_path, NOW)
    assert refusal.value.code == "state.damaged"
    assert f"remove {tmp_path}" in refusal.value.fix
    assert (tmp_path / FILE).read_bytes() == stored[: len(stored) // 2]


def test_a_missing_key_is_damage(tmp_path, stored):
    content = json.loads(stored)
    del content["keys"]["ct"]
    put(tmp_path, json.dumps(content).encode())
    with pytest.raises(CannotEvaluate, match="KeyError"):
        load_or_create(tmp_path, NOW)


def test_a_certificate_of_another_key_is_damage(tmp_path, stored):
    content = json.loads(stored)
    content["certificates"]["tsa"] = content["certificates"]["root"]
    put(tmp_path, json.dumps(content).encode())
    with pytest.raises(CannotEvaluate, match="ValueError"):
        load_or_create(tmp_path, NOW)


def test_no_piece_of_a_key_is_in_the_error(tmp_path, stored):
    secret = json.loads(stored)["keys"]["root"].splitlines()[1]
    put(tmp_path, stored.replace(b"END PRIVATE", b"END GARBLED"))
    with pytest.raises(CannotEvaluate) as refusal:
        load_or_create(tmp_path, NOW)
    assert secret not in str(refusal.value)
    assert refusal.value.__cause__ is None

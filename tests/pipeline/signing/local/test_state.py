import os
import subprocess

import pytest

from pipeline.model.errors import CannotEvaluate, Misuse
from pipeline.signing.local import state


def test_the_folder_is_made_for_its_user_alone(tmp_path):
    state.prepare_folder(tmp_path / "deep" / "sigstore")
    assert (tmp_path / "deep" / "sigstore").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o750, 0o701, 0o770])
def test_a_folder_open_to_others_is_refused(tmp_path, mode):
    folder = tmp_path / "sigstore"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(Misuse) as refusal:
        state.prepare_folder(folder)
    assert refusal.value.code == "state.keys-exposed"
    assert f"(got mode {mode:04o}, expected 0700)" in refusal.value.message
    assert f"`chmod -R go-rwx {folder}`" in refusal.value.fix


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_key_file_open_to_others_is_refused(tmp_path, mode):
    path = tmp_path / "keys.json"
    path.write_bytes(b"{}")
    path.chmod(mode)
    with pytest.raises(Misuse) as refusal:
        state.read_secret(path)
    assert refusal.value.code == "state.keys-exposed"
    assert f"(got mode {mode:04o}, expected 0600)" in refusal.value.message


def test_the_fix_for_exposed_keys_works(tmp_path):
    folder = tmp_path / "sigstore"
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "keys.json").write_bytes(b"{}")
    with pytest.raises(Misuse) as refusal:
        state.prepare_folder(folder)
    fix = refusal.value.fix.split("`")[1].split()
    subprocess.run(fix, check=True)
    state.prepare_folder(folder)
    assert state.read_secret(folder / "keys.json") == b"{}"


def test_a_key_file_is_never_read_through_a_link(tmp_path):
    (tmp_path / "elsewhere").write_bytes(b"{}")
    (tmp_path / "elsewhere").chmod(0o600)
    (tmp_path / "keys.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CannotEvaluate) as refusal:
        state.read_secret(tmp_path / "keys.json")
    assert refusal.value.code == "state.unreadable"


def test_keys_of_another_user_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "keys.json"
    path.write_bytes(b"{}")
    path.chmod(0o600)
    if path.stat().st_uid == 0:
        os.chown(path, 4242, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 4242)
    with pytest.raises(Misuse) as refusal:
        state.read_secret(path)
    assert refusal.value.code == "state.keys-exposed"
    assert "owner" in refusal.value.message
    assert f"chown -R {os.geteuid()} {tmp_path}" in refusal.value.fix


def test_a_folder_that_is_a_file_is_not_readable(tmp_path):
    (tmp_path / "sigstore").write_bytes(b"")
    with pytest.raises(CannotEvaluate) as refusal:
        state.prepare_folder(tmp_path / "sigstore")
    assert refusal.value.code == "state.unreadable"


def test_a_folder_that_its_user_may_not_write_is_not_readable(tmp_path, monkeypatch):
    (tmp_path / "sigstore").mkdir(mode=0o700)
    monkeypatch.setattr(os, "access", lambda *_: False)  # the superuser may always
    with pytest.raises(CannotEvaluate) as refusal:
        state.prepare_folder(tmp_path / "sigstore")
    assert refusal.value.code == "state.unreadable"


def test_a_key_file_of_absurd_size_is_damaged(tmp_path):
    path = tmp_path / "keys.json"
    path.write_bytes(bytes(state.MAX_BYTES + 1))
    path.chmod(0o600)
    with pytest.raises(CannotEvaluate) as refusal:
        state.read_secret(path)
    assert refusal.value.code == "state.damaged"

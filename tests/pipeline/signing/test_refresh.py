"""Refreshing against a real TUF repository on loopback."""

import datetime as dt
import shutil
import socket
from typing import Any

import pytest
from securesystemslib.signer._crypto_signer import CryptoSigner
from tuf.api._payload import MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.metadata import Metadata

from pipeline.model.errors import CannotEvaluate
from pipeline.signing.refresh import refresh_public
from pipeline.signing.vendored import INDEX, SIGNING_CONFIG, TRUSTED_ROOT, read_vendored
from tests.support.loopback import Reply, loopback

TODAY = dt.date(2026, 5, 1)
LATER = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(days=1)


def repository(trusted_root: bytes, signing_config: bytes, expires: dt.datetime = LATER) -> dict[str, bytes]:
    """Path to content of a small TUF repository (specification, sections 4 and 6.2)."""
    signer = CryptoSigner.generate_ed25519()
    targets = {"trusted_root.json": trusted_root, "signing_config.v0.2.json": signing_config}
    files = {path: TargetFile.from_data(path, content, ["sha256"]) for path, content in targets.items()}
    root = Root(expires=expires, consistent_snapshot=True)
    for role in ("root", "timestamp", "snapshot", "targets"):
        root.add_key(signer.public_key, role)
    roles: dict[str, Root | Targets | Snapshot | Timestamp] = {
        "1.root.json": root,
        "1.targets.json": Targets(expires=expires, targets=files),
        "1.snapshot.json": Snapshot(expires=expires, meta={"targets.json": MetaFile(1)}),
        "timestamp.json": Timestamp(expires=expires, snapshot_meta=MetaFile(1)),
    }
    served = {}
    for name, signed in roles.items():
        metadata: Metadata[Any] = Metadata(signed)
        metadata.sign(signer)
        served[f"/{name}"] = metadata.to_bytes()
    for path, file in files.items():
        served[f"/targets/{file.hashes['sha256']}.{path}"] = targets[path]
    return served


def serving(served):
    return loopback(lambda asked: Reply(200, served[asked.path]) if asked.path in served else Reply(404))


@pytest.fixture
def folder(root, tmp_path):
    return shutil.copytree(root / "policies" / "trust", tmp_path / "trust")


def content_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refresh(folder, served):
    with serving(served) as server:
        return refresh_public(folder, today=TODAY, url=server.origin, bootstrap=served["/1.root.json"])


def refused(folder, served):
    before = content_of(folder)
    with pytest.raises(CannotEvaluate) as refusal:
        refresh(folder, served)
    assert content_of(folder) == before
    return refusal.value


def test_what_is_current_stays_as_it_is(folder):
    before, vendored = content_of(folder), read_vendored(folder)
    assert refresh(folder, repository(vendored.trusted_root, vendored.signing_config)).changed == ()
    assert content_of(folder) == before


def test_what_is_new_replaces_the_old_with_date_and_digest(folder):
    vendored = read_vendored(folder)
    new = vendored.trusted_root + b"\n"
    assert refresh(folder, repository(new, vendored.signing_config)).changed == (TRUSTED_ROOT, SIGNING_CONFIG, INDEX)
    found = read_vendored(folder)
    assert (found.trusted_root, found.taken, found.source[:5]) == (new, TODAY, "TUF, ")
    assert {path.name for path in folder.iterdir()} == {TRUSTED_ROOT, SIGNING_CONFIG, INDEX}


def test_a_damaged_folder_is_mended(folder):
    vendored = read_vendored(folder)
    (folder / TRUSTED_ROOT).write_bytes(b"half")
    refresh(folder, repository(vendored.trusted_root, vendored.signing_config))
    assert read_vendored(folder).trusted_root == vendored.trusted_root


def test_a_repository_that_is_not_reached_changes_nothing(folder):
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    before = content_of(folder)
    with pytest.raises(CannotEvaluate) as refusal:
        refresh_public(folder, today=TODAY, url=url, bootstrap=repository(b"", b"")["/1.root.json"])
    assert refusal.value.code == "trust.unreachable"
    assert "vendored files stay as they are" in refusal.value.fix
    assert content_of(folder) == before


def test_a_repository_that_is_out_of_date_is_refused(folder):
    vendored = read_vendored(folder)
    old = repository(vendored.trusted_root + b"\n", vendored.signing_config, expires=LATER - dt.timedelta(days=30))
    refusal = refused(folder, old)
    assert refusal.code == "trust.refused"
    assert "expired" in refusal.message


def test_a_repository_of_other_keys_is_refused(folder):
    vendored = read_vendored(folder)
    served = repository(vendored.trusted_root + b"\n", vendored.signing_config)
    other = repository(vendored.trusted_root, vendored.signing_config)
    assert refused(folder, {**served, "/1.root.json": other["/1.root.json"]}).code == "trust.refused"


def test_a_target_that_was_swapped_is_refused(folder):
    vendored = read_vendored(folder)
    served = repository(vendored.trusted_root + b"\n", vendored.signing_config)
    path = next(path for path in served if path.endswith("trusted_root.json"))
    assert refused(folder, {**served, path: vendored.trusted_root + b" "}).code == "trust.refused"


def test_a_signed_root_that_is_not_usable_is_refused(folder):
    vendored = read_vendored(folder)
    refusal = refused(folder, repository(b"{}", vendored.signing_config))
    assert refusal.code == "trust.unreadable"


def test_a_repository_without_the_files_is_refused(folder):
    vendored = read_vendored(folder)
    served = repository(vendored.trusted_root, vendored.signing_config)
    gone = {path: content for path, content in served.items() if not path.startswith("/targets/")}
    assert refused(folder, gone).code == "trust.unreachable"


@pytest.mark.full
def test_sigstores_own_repository_verifies_from_the_embedded_root(folder):
    try:
        refresh_public(folder, today=TODAY)
    except CannotEvaluate as refusal:
        if refusal.code == "trust.unreachable":
            pytest.skip(refusal.message)
        raise
    read_vendored(folder)

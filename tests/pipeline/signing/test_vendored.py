import datetime as dt
import json
import shutil
from hashlib import sha256

import pytest

from pipeline.model.errors import CannotEvaluate
from pipeline.signing.trust import load_trusted_root, warnings
from pipeline.signing.vendored import (
    INDEX,
    SIGNING_CONFIG,
    TRUSTED_ROOT,
    index,
    load_client_trust,
    load_public,
    read_vendored,
)

NOW = dt.datetime.now(dt.UTC)


@pytest.fixture
def folder(root, tmp_path):
    return shutil.copytree(root / "policies" / "trust", tmp_path / "trust")


def test_the_vendored_trust_is_what_its_index_names(root):
    folder = root / "policies" / "trust"
    vendored = read_vendored(folder)
    assert (folder / INDEX).read_bytes() == index(vendored)
    assert vendored.taken <= NOW.date()


def test_the_vendored_trust_is_good_for_the_public_instance(root):
    trust = load_public(root / "policies" / "trust")
    services = json.loads(trust.config)["signingConfig"]
    assert services["caUrls"][0]["url"] == "https://fulcio.sigstore.dev"
    assert warnings(load_trusted_root(trust.trusted_root, now=NOW), NOW) == []


@pytest.mark.parametrize("name", [TRUSTED_ROOT, SIGNING_CONFIG])
def test_a_changed_file_is_told_by_both_digests(folder, name):
    expected = sha256((folder / name).read_bytes()).hexdigest()
    (folder / name).write_bytes(b"{}")
    with pytest.raises(CannotEvaluate) as refusal:
        read_vendored(folder)
    assert refusal.value.code == "trust.altered"
    assert f"(got sha256 {sha256(b'{}').hexdigest()}, expected {expected})" in refusal.value.message
    assert "git checkout policies/trust" in refusal.value.fix


@pytest.mark.parametrize("name", [TRUSTED_ROOT, SIGNING_CONFIG, INDEX])
def test_a_missing_file_is_unreadable(folder, name):
    (folder / name).unlink()
    with pytest.raises(CannotEvaluate) as refusal:
        read_vendored(folder)
    assert refusal.value.code == "trust.unreadable"
    assert name in refusal.value.message


@pytest.mark.parametrize("text", ["", "[", "[sigstore_public]\ntaken = 2026-01-01\n", "[other]\n", "\xff"])
def test_an_index_that_is_none_is_unreadable(folder, text):
    (folder / INDEX).write_text(text, encoding="latin-1")
    with pytest.raises(CannotEvaluate) as refusal:
        read_vendored(folder)
    assert refusal.value.code == "trust.unreadable"


def test_trust_that_expired_signs_nothing(folder):
    with pytest.raises(CannotEvaluate) as refusal:
        load_public(folder, now=dt.datetime(2040, 1, 1, tzinfo=dt.UTC))
    assert refusal.value.code == "trust.expired"


def without(key):
    def change(config):
        del config[key]

    return change


def without_services(config):
    config["signingConfig"]["rekorTlogUrls"] = []


@pytest.mark.parametrize("change", [without("trustedRoot"), without("signingConfig"), without_services])
def test_a_client_trust_config_without_a_part_is_unusable(rekor_v1, change):
    config = json.loads(rekor_v1.instance.client_trust_config())
    change(config)
    with pytest.raises(CannotEvaluate) as refusal:
        load_client_trust(json.dumps(config).encode(), what="instance.json")
    assert refusal.value.code == "trust.unreadable"
    assert refusal.value.message.startswith("instance.json: not usable (got ")

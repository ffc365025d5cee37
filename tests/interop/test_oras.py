"""Debian sid's oras sees every referrer, in the registry and in the layout, and moves them whole; so does skopeo."""

import json

import pytest

from pipeline.store.layout import OciLayout
from pipeline.store.referrers import attached_bundles, fallback_tag
from pipeline.store.registry import Registry
from pipeline.store.transfer import copy

pytestmark = [pytest.mark.interop, pytest.mark.registry]

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"


@pytest.fixture
def discover(program):
    def call(*arguments):
        found = program("oras")("discover", "--format", "json", "--depth", "1", *arguments)
        assert found.exit_code == 0, found.last_words
        return json.loads(found.stdout)["referrers"]

    return call


def described(release):
    return {(str(referrer.digest), BUNDLE) for referrer in release.store.referrers(release.image.digest)}


def as_told(referrers):
    return {(referrer["digest"], referrer["artifactType"]) for referrer in referrers}


def digests(store, release):
    return {one.digest for one in attached_bundles(store, release.image.digest)}


def test_discover_lists_every_referrer_with_type_and_annotations(discover, release):
    found = discover("--plain-http", release.reference)
    assert as_told(found) == described(release)
    assert len(found) == len(release.own)
    types = sorted(referrer["annotations"]["dev.sigstore.bundle.predicateType"] for referrer in found)
    assert types == sorted(one.statement.predicate_type for one in release.own)


def test_discover_by_artifact_type_finds_them_too(discover, release):
    assert len(discover("--plain-http", "--artifact-type", BUNDLE, release.reference)) == len(release.own)
    assert not discover("--plain-http", "--artifact-type", "application/example", release.reference)


def test_discover_reads_our_layout(discover, release, tmp_path):
    copy(release.store, release.image, OciLayout(tmp_path / "layout"), tag="1.0")
    found = discover("--oci-layout", f"{tmp_path / 'layout'}:1.0")
    assert as_told(found) == described(release)


def test_a_recursive_copy_to_a_registry_is_complete(program, release, registry_host, tmp_path):
    target = f"{registry_host}/{tmp_path.name.replace('_', '-')}/copied"
    done = program("oras")("cp", "-r", "--from-plain-http", "--to-plain-http", release.reference, f"{target}:1.0")
    assert done.exit_code == 0, done.last_words
    copied = Registry(target)
    assert copied.resolve("1.0") == release.image
    assert digests(copied, release) == {one.digest for one in release.own}


def test_a_recursive_copy_into_a_layout_is_read_by_ours(program, release, tmp_path):
    done = program("oras")(
        "cp", "-r", "--from-plain-http", "--to-oci-layout", release.reference, f"{tmp_path / 'layout'}:1.0"
    )
    assert done.exit_code == 0, done.last_words
    layout = OciLayout(tmp_path / "layout")
    assert layout.resolve("1.0").digest == release.image.digest
    assert digests(layout, release) == {one.digest for one in release.own}


def test_a_recursive_copy_out_of_our_layout_is_complete(program, release, registry_host, tmp_path):
    copy(release.store, release.image, OciLayout(tmp_path / "layout"), tag="1.0")
    target = f"{registry_host}/{tmp_path.name.replace('_', '-')}/out"
    done = program("oras")(
        "cp", "-r", "--from-oci-layout", "--to-plain-http", f"{tmp_path / 'layout'}:1.0", f"{target}:1.0"
    )
    assert done.exit_code == 0, done.last_words
    assert digests(Registry(target), release) == {one.digest for one in release.own}


def test_our_copy_to_another_registry_is_seen_by_oras(discover, release, registry_host, tmp_path):
    target = Registry(f"{registry_host}/{tmp_path.name.replace('_', '-')}/ours")
    copy(release.store, release.image, target)
    assert as_told(discover("--plain-http", f"{target.address}@{release.image.digest}")) == described(release)


def test_skopeo_moves_image_and_fallback_tag(program, release, registry_host, tmp_path):
    target = f"{registry_host}/{tmp_path.name.replace('_', '-')}/skopeo"
    # Not with --preserve-digests: skopeo 1.9 writes an index anew, in another order, and checks that too.
    plain = ("--src-tls-verify=false", "--dest-tls-verify=false", "--all")
    for source, tag in (
        (f"@{release.image.digest}", "1.0"),
        (f":{fallback_tag(release.image.digest)}", fallback_tag(release.image.digest)),
    ):
        done = program("skopeo")(
            "copy", *plain, f"docker://{release.store.address}{source}", f"docker://{target}:{tag}"
        )
        assert done.exit_code == 0, done.last_words
    assert digests(Registry(target), release) == {one.digest for one in release.own}

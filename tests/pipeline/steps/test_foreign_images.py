import pytest

from pipeline.image.foreign_base import Reference
from pipeline.model.documents import canonical_json
from pipeline.model.errors import CannotEvaluate, Refused
from pipeline.steps import foreign_images
from pipeline.steps.foreign_images import pull
from pipeline.store.interface import INDEX, Descriptor
from pipeline.store.layout import OciLayout
from pipeline.store.transfer import push_archive
from tests.support.evidence import make_job
from tests.support.images import write_archive


@pytest.fixture
def job(tmp_path):
    return make_job(tmp_path / "clone")


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """A store that the image's registry stands for; its own tests hold each kind of store to the same contract."""
    store = OciLayout(tmp_path / "registry")
    asked = []

    def opened(address, _state, *, docker_config):
        asked.append((address, docker_config))
        return store

    monkeypatch.setattr(foreign_images, "open_store", opened)
    store.asked = asked  # type: ignore[attr-defined]
    return store


def pushed(registry, tmp_path, *platforms):
    written = write_archive(tmp_path / "image.tar", platforms=platforms)
    push_archive(tmp_path / "image.tar", registry, "latest")
    return Reference("registry.example/base", str(written.image)), written


def test_the_platforms_own_image_is_taken_out_of_an_index(registry, job, tmp_path):
    reference, written = pushed(registry, tmp_path, "amd64", "arm64")
    found = pull(job, reference, "linux/arm64")
    assert found.digest == str(written.platforms["arm64"])
    assert found.config["architecture"] == "arm64"
    assert [media_type for media_type, _ in found.layers] == ["application/vnd.oci.image.layer.v1.tar"]
    assert registry.asked == [("registry.example/base", None)]


def test_an_image_of_one_platform_needs_no_index(registry, job, tmp_path):
    reference, written = pushed(registry, tmp_path, "amd64")
    assert pull(job, reference, "linux/amd64").digest == str(written.image)


def test_what_was_fetched_is_not_asked_for_again(registry, job, tmp_path):
    reference, _ = pushed(registry, tmp_path, "amd64", "arm64")
    first = pull(job, reference, "linux/amd64")
    (tmp_path / "registry").rename(tmp_path / "gone")
    assert pull(job, reference, "linux/amd64") == first


def test_what_was_damaged_in_the_cache_is_fetched_again(registry, job, tmp_path):
    reference, _ = pushed(registry, tmp_path, "amd64")
    first = pull(job, reference, "linux/amd64")
    for blob in (job.state / "cache" / "bases" / "blobs" / "sha256").iterdir():
        blob.write_bytes(b"damaged")
    assert pull(job, reference, "linux/amd64") == first


@pytest.mark.parametrize(
    ("made", "got"), [(("amd64",), "linux/amd64"), (("amd64", "riscv64"), "linux/amd64, linux/riscv64")]
)
def test_a_platform_that_it_has_not(registry, job, tmp_path, made, got):
    reference, _ = pushed(registry, tmp_path, *made)
    with pytest.raises(Refused) as refused:
        pull(job, reference, "linux/arm64")
    assert refused.value.code == "base.platform"
    assert refused.value.message == (
        f"{reference}: not for every platform of the image (got {got}, expected linux/arm64)"
    )


def test_a_digest_that_the_registry_has_not(registry, job, tmp_path):
    pushed(registry, tmp_path, "amd64")
    with pytest.raises(CannotEvaluate) as refused:
        pull(job, Reference("registry.example/base", "sha256:" + "a" * 64), "linux/amd64")
    assert refused.value.code == "base.no-image"


def test_other_content_below_the_digest(registry, job, tmp_path):
    reference, written = pushed(registry, tmp_path, "amd64")
    (tmp_path / "registry" / "blobs" / "sha256" / written.image.hex).write_bytes(b"{}")
    with pytest.raises(Refused) as refused:
        pull(job, reference, "linux/amd64")
    assert refused.value.code == "store.digest"


def test_an_index_of_indexes_holds_no_platform(registry, job, tmp_path):
    _, written = pushed(registry, tmp_path, "amd64", "arm64")
    inner = Descriptor(INDEX, written.image, 1).to_json() | {"platform": {"os": "linux", "architecture": "amd64"}}
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [inner]}
    outer = registry.put_blob(canonical_json(index))
    with pytest.raises(Refused) as refused:
        pull(job, Reference("registry.example/base", str(outer.digest)), "linux/amd64")
    assert refused.value.code == "base.platform"


def test_more_than_any_base_is(registry, job, tmp_path, monkeypatch):
    reference, _ = pushed(registry, tmp_path, "amd64")
    monkeypatch.setattr(foreign_images, "MAX_BASE", 100)
    with pytest.raises(Refused) as refused:
        pull(job, reference, "linux/amd64")
    assert refused.value.code == "base.layer"
    assert "bytes of layers, expected at most 100)" in refused.value.message

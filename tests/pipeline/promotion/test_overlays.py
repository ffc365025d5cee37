"""The overlay that kustomize reads."""

import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline.promotion.overlays import overlay, overlay_image, overlay_path

IMAGE = "a" * 64


def test_it_is_a_component_that_pins_the_digest():
    assert overlay_path("production") == "overlays/production/kustomization.yaml"
    assert yaml.safe_load(overlay("production", "noticeboard", "ghcr.io/acme/app", IMAGE)) == {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "images": [{"name": "noticeboard", "newName": "ghcr.io/acme/app", "digest": f"sha256:{IMAGE}"}],
    }


def test_an_image_in_no_registry_keeps_its_name():
    (image,) = yaml.safe_load(overlay("development", "noticeboard", "", IMAGE))["images"]
    assert image == {"name": "noticeboard", "digest": f"sha256:{IMAGE}"}


def test_what_it_pins_is_read_again():
    content = overlay("production", "noticeboard", "ghcr.io/acme/app", IMAGE)
    assert overlay_image(content) == IMAGE
    assert overlay_image(content.replace(b"digest", b"newTag")) is None
    assert overlay_image(content + content.splitlines(keepends=True)[-1]) is None
    assert overlay_image(b"") is None


@given(st.binary(max_size=300))
def test_whatever_stands_in_it_is_an_image_or_none(content):
    found = overlay_image(content)
    assert found is None or len(found) == 64

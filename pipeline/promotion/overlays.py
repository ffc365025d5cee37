"""The overlay of an environment on the ledger branch: the digest that runs there, as kustomize reads it.

``deploy/`` takes it in as a component, so that what is deployed is what the ledger says, and nobody edits a digest.
"""

import re

from pipeline.model.digests import Digest

_DIGEST = re.compile(rb"^ {4}digest: (sha256:[0-9a-f]{64})$", re.MULTILINE)


def overlay_path(environment: str) -> str:
    return f"overlays/{environment}/kustomization.yaml"


def overlay(environment: str, name: str, repository: str, image: str) -> bytes:
    """A kustomize component (``kustomize.config.k8s.io/v1alpha1``) that pins the image ``name``.

    ``repository`` is ``host/repository``, empty where the image is in no registry; ``image`` a SHA-256 in hexadecimal.
    """
    place = f"    newName: {repository}\n" if repository else ""
    return (
        f"# Written by promotion from the ledger of {environment}; a change by hand is refused.\n"
        "apiVersion: kustomize.config.k8s.io/v1alpha1\n"
        "kind: Component\n"
        "images:\n"
        f"  - name: {name}\n"
        f"{place}"
        f"    digest: sha256:{image}\n"
    ).encode()


def overlay_image(content: bytes) -> str | None:
    """The image (SHA-256 in hexadecimal) that an overlay pins, None where it does not pin exactly one."""
    found = _DIGEST.findall(content)
    return Digest.parse(found[0].decode()).hex if len(found) == 1 else None

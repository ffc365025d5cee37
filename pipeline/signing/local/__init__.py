"""An embedded Sigstore instance: OIDC issuer, CA with SCT, Rekor v1 and v2, timestamp authority.

It listens on loopback for as long as it is open, and vouches for nothing: whoever can read its state
folder can sign as anybody, so only the development environment trusts it.
"""

from pipeline.signing.local.instance import LocalSigstore

__all__ = ["LocalSigstore"]

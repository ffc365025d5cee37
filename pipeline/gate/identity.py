"""Who signed what and when, as frozen data that needs no cryptography to be read."""

from dataclasses import dataclass, fields
from datetime import datetime

from pipeline.model.statement import Statement

#: The code for a certificate that no known root issued: somebody else's evidence, rather than damaged evidence.
FOREIGN = "bundle.root"


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """What the certificate says of the signer; fields that it does not state are empty."""

    issuer: str
    """The OIDC issuer."""
    san: str
    """The subject alternative name: an address or the URI of a workflow."""
    workflow: str = ""
    """Build Signer URI: the reusable workflow that signed, with ``@ref``."""
    workflow_digest: str = ""
    runner: str = ""
    """``github-hosted`` or ``self-hosted``."""
    repository: str = ""
    """Source Repository URI, ``https://github.com/owner/name``."""
    commit: str = ""
    """Source Repository Digest: the commit that the workflow ran on."""
    ref: str = ""
    caller: str = ""
    """Build Config URI: the workflow that the run started with."""
    caller_digest: str = ""
    trigger: str = ""
    run: str = ""
    visibility: str = ""

    def facts(self) -> dict[str, str]:
        """The fields by name, as rules see them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __str__(self) -> str:
        return f"{self.san} by {self.issuer}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verified:
    """A statement that a known root vouches for. ``bundle_digest`` is the SHA-256 of the bundle, in hexadecimal."""

    statement: Statement
    identity: Identity
    verified_at: datetime
    """The earliest verified time, so that evidence is never taken for younger than it is."""
    root: str
    """The name of the trust root."""
    bundle_digest: str

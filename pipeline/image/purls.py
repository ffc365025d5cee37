"""Package URLs (purl specification) of what goes into an image."""

from urllib.parse import quote

from pipeline.debian.packages import Package
from pipeline.image.foreign_base import Reference
from pipeline.image.wheels import Wheel


def _quoted(text: str) -> str:
    # The specification leaves the colon of a Debian epoch as it is.
    return quote(text, safe=":")


def debian_purl(package: Package, *, suite: str) -> str:
    """``pkg:deb/debian/libc6@2.41-12?arch=amd64&distro=trixie``."""
    return deb_purl("debian", package.name, package.version, package.architecture, suite)


def deb_purl(vendor: str, name: str, version: str, architecture: str, suite: str) -> str:
    """Of a package in Debian's format; ``vendor`` and ``suite`` are os-release's ID and VERSION_CODENAME."""
    return f"pkg:deb/{_quoted(vendor)}/{_quoted(name)}@{_quoted(version)}?arch={architecture}&distro={_quoted(suite)}"


def pypi_purl(name: str, version: str) -> str:
    """``pkg:pypi/tornado@6.5``; ``name`` is normalised (PEP 503)."""
    return f"pkg:pypi/{_quoted(name)}@{_quoted(version)}"


def wheel_purl(wheel: Wheel) -> str:
    return pypi_purl(wheel.name, wheel.version)


def oci_purl(reference: Reference) -> str:
    """``pkg:oci/python@sha256%3A...?repository_url=docker.io/library/python`` (type definition ``oci``)."""
    name = reference.address.rpartition("/")[2]
    digest, repository = quote(reference.digest, safe=""), quote(reference.address, safe="/:")
    return f"pkg:oci/{_quoted(name)}@{digest}?repository_url={repository}"

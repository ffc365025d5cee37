"""Package URLs (purl specification) of what goes into an image."""

from urllib.parse import quote

from pipeline.image.base_packages import Package
from pipeline.image.wheels import Wheel


def _quoted(text: str) -> str:
    # The specification leaves the colon of a Debian epoch as it is.
    return quote(text, safe=":")


def debian_purl(package: Package, *, suite: str) -> str:
    """``pkg:deb/debian/libc6@2.41-12?arch=amd64&distro=trixie``."""
    return (
        f"pkg:deb/debian/{_quoted(package.name)}@{_quoted(package.version)}"
        f"?arch={package.architecture}&distro={_quoted(suite)}"
    )


def wheel_purl(wheel: Wheel) -> str:
    """``pkg:pypi/tornado@6.5``."""
    return f"pkg:pypi/{_quoted(wheel.name)}@{_quoted(wheel.version)}"

"""Package URLs, by which advisories and SBOMs name packages (purl specification, types pypi and deb)."""

from urllib.parse import quote

from pipeline.image.base_packages import Package


def pypi(name: str, version: str) -> str:
    """``name`` is normalised (PEP 503)."""
    return f"pkg:pypi/{name}@{_quoted(version)}"


def debian(package: Package, suite: str) -> str:
    return (
        f"pkg:deb/debian/{_quoted(package.name)}@{_quoted(package.version)}?arch={package.architecture}&distro={suite}"
    )


def _quoted(text: str) -> str:
    return quote(text, safe="")

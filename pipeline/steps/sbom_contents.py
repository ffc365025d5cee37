"""What is in one platform's image, gathered for its SBOM: the image's own records, and the locked files behind them."""

import hashlib
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from pipeline.debian import base_lock
from pipeline.debian.packages import Architecture
from pipeline.hash_locks import Locked
from pipeline.image.inventory import Inventory, files_of, runs
from pipeline.image.layer import Tree
from pipeline.image.wheels import fetch_wheels, for_image, marker_environment
from pipeline.indexes import pip_environment
from pipeline.model.errors import Refused
from pipeline.steps import sbom_debian, sbom_python
from pipeline.steps.built_image import BuiltImage
from pipeline.steps.job import Job
from pipeline.steps.sbom_debian import DebFile
from pipeline.steps.sbom_graph import Contents, ImageFile
from pipeline.steps.sbom_python import WheelFile, dependencies

DIRECT = "requirements.in"
Release = tuple[str, str]
"""Normalised name, and version as PEP 440 normalises it."""


def release(name: str, version: str) -> Release:
    return str(canonicalize_name(name)), str(Version(version))


def architecture_of(platform: str) -> Architecture:
    return "arm64" if platform == "linux/arm64" else "amd64"


def minor_of(inventory: Inventory) -> str:
    return ".".join(inventory.python.split(".")[:2])


def gather(
    job: Job, locked: list[Locked], image: BuiltImage, platform: str, tree: Tree, inventory: Inventory
) -> Contents:
    """Everything that is in the image of ``platform``, with the locked files that it came from."""
    architecture, python = architecture_of(platform), minor_of(inventory)
    if not python:
        raise Refused(
            "sbom.no-python",
            f"image of {platform}: no Python in it (got none in its package records and bin folders, expected one)",
            fix="build on the locked base, or on an image that holds Python",
        )
    debs = {} if image.base else _locked_debs(job, architecture)
    wheels = _locked_wheels(job, locked, architecture, python)
    packages = [
        sbom_python.read_package(
            found, wheels.get(release(found.name, found.version)), executable=runs(tree, files_of(tree, found))
        )
        for found in inventory.distributions
    ]
    environment = marker_environment(architecture, python)
    by_name = {package.name: package for package in packages}
    of_debian = any(one.name.startswith(f"python{python}") for one in inventory.debian)
    return Contents(
        platform=platform,
        image=_image_file(image, platform),
        system=inventory.system if image.base else ("debian", base_lock.load(job.root).suite),
        python=packages,
        needs=dependencies(direct_requirements(job.root), by_name, environment),
        debian=[
            sbom_debian.read_package(
                found, debs.get((found.name, found.version)), executable=runs(tree, files_of(tree, found))
            )
            for found in inventory.debian
        ],
        locked=list(debs.values()),
        interpreter="" if of_debian else inventory.python,
        base=image.base,
    )


def _image_file(image: BuiltImage, platform: str) -> ImageFile:
    content = image.path.read_bytes()
    return ImageFile(
        name=image.path.name,
        sha256=hashlib.sha256(content).hexdigest(),
        sha512=hashlib.sha512(content).hexdigest(),
        manifest=image.platforms[platform],
    )


def _locked_wheels(job: Job, locked: list[Locked], architecture: Architecture, python: str) -> dict[Release, WheelFile]:
    wheels = fetch_wheels(
        for_image(locked, architecture=architecture, python=python),
        architecture=architecture,
        python=python,
        cache=job.state / "cache" / "wheels",
        pip=job.python("checks"),
        pip_environment=pip_environment(),
        say=job.say,
    )
    return {release(wheel.name, wheel.version): sbom_python.read_file(wheel, path) for wheel, path in wheels.items()}


def _locked_debs(job: Job, architecture: Architecture) -> dict[tuple[str, str], DebFile]:
    lock = base_lock.require(job.root, job.settings)
    files = base_lock.fetch_packages(lock, architecture, job.settings.base, job.state / "cache", job.say)
    return {(package.name, package.version): sbom_debian.read_file(package, path) for package, path in files.items()}


def direct_requirements(root: Path) -> list[Requirement]:
    """What ``requirements.in`` asks for; raises Refused (``sbom.direct``) for a line that is no requirement."""
    lines = [line.partition("#")[0].strip() for line in (root / DIRECT).read_text(encoding="utf-8").splitlines()]
    try:
        return [Requirement(line) for line in lines if line]
    except InvalidRequirement as error:
        raise Refused(
            "sbom.direct",
            f"{DIRECT}: a line that is no requirement (got {str(error).splitlines()[0]!r}, expected name and version)",
            fix=f"keep options, addresses and other files out of {DIRECT}",
        ) from error

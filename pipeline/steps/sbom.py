"""The software bill of materials: one CycloneDX 1.6 document per platform, held against the lock and the schema.

cyclonedx-bom says which components the lock has; the exact wheel files, their licences, suppliers and needs come from
the wheels that go into the image, and the base's packages from their own control and copyright files.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from pipeline.debian import base_lock
from pipeline.debian.packages import Architecture, BaseLock
from pipeline.hash_locks import Locked, read_lock
from pipeline.image.wheels import LOCK, fetch_wheels, for_image, marker_environment
from pipeline.indexes import pip_environment
from pipeline.model.errors import Refused
from pipeline.model.kinds import Kind
from pipeline.model.outcome import Artifact, Evidence, Outcome, Status
from pipeline.processes import run as run_tool
from pipeline.steps import sbom_schema
from pipeline.steps.installed import version_of
from pipeline.steps.job import Job
from pipeline.steps.sbom_debian import read_packages
from pipeline.steps.sbom_document import Contents, compose
from pipeline.steps.sbom_python import dependencies, read_package
from pipeline.steps.tool_output import Report, read_json, typed, unreadable

TOOL = "cyclonedx-bom"
DIRECT = "requirements.in"
Release = tuple[str, str]
"""Normalised name, and version as PEP 440 normalises it."""


class _Component(Report):
    name: str
    version: str


class _Bom(Report):
    components: list[_Component]


def run(job: Job) -> Outcome:
    """Raises Refused (``sbom.missing-component``, ``sbom.extra-component``, ``lock.*``) and CannotEvaluate
    (``sbom.*``, ``base.*``, ``wheels.*``, ``download.*``, ``tool.*``).
    """
    locked = read_lock(job.root, LOCK)
    ask_reference(job, {release(item.name, item.version) for item in locked.values()})
    base = base_lock.require(job.root, job.settings)
    everything = [gather(job, list(locked.values()), base, platform) for platform in job.settings.image.platforms]
    documents = {contents.platform: describe(job, contents) for contents in everything}
    for platform, document in documents.items():
        inside = for_image(list(locked.values()), architecture=_architecture(platform), python=base.python())
        check_components(document, {release(item.name, item.version) for item in inside})
    check_schema(job, list(documents.values()))
    artifacts = [_write(job, platform, document) for platform, document in documents.items()]
    return Outcome(
        status=Status.PASSED,
        finding="; ".join(_line(contents) for contents in everything),
        evidence=[Evidence(kind=Kind.SBOM, predicate=item, platform=platform) for platform, item in documents.items()],
        artifacts=artifacts,
        data={"sboms": [artifact.path for artifact in artifacts]},
    )


def _write(job: Job, platform: str, document: Mapping[str, Any]) -> Artifact:
    content = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    return job.write_artifact(job.dist / f"sbom.{platform.replace('/', '-')}.cdx.json", content.encode())


def _line(contents: Contents) -> str:
    python, debian = len(contents.python), len(contents.debian)
    wheels = "1 wheel" if python == 1 else f"{python} wheels"
    return f"{contents.platform}: {wheels}, {debian} Debian packages, each with its hash"


def release(name: str, version: str) -> Release:
    return str(canonicalize_name(name)), str(Version(version))


def ask_reference(job: Job, locked: set[Release]) -> None:
    """Hold the components that cyclonedx-bom reads from the lock against our own reading of it."""
    options = ("--output-reproducible", "--spec-version", "1.6", "--output-format", "JSON", "--no-validate")
    command = (job.python("checks"), "-I", "-m", "cyclonedx_py", "requirements", *options, job.root / LOCK)
    completed = run_tool(command, cwd=job.root, timeout=120)
    bom = typed("sbom", TOOL, _Bom, read_json("sbom", TOOL, completed, {0}))
    try:
        found = {release(component.name, component.version) for component in bom.components}
    except InvalidVersion as error:
        raise unreadable("sbom", TOOL, str(error), "PEP 440 versions") from error
    compare(found, locked, what=TOOL)


def compare(found: Collection[Release], locked: set[Release], *, what: str) -> None:
    """Raises Refused (``sbom.missing-component``, ``sbom.extra-component``) naming what differs."""
    for code, word, differing in (
        ("sbom.missing-component", "leaves out a locked package", locked - set(found)),
        ("sbom.extra-component", "names a package that is not locked", set(found) - locked),
    ):
        if differing:
            names = ", ".join(f"{name} {version}" for name, version in sorted(differing))
            raise Refused(
                code,
                f"{what}: {word} (got a difference in {names}, expected exactly what {LOCK} locks)",
                fix="run `scripts/nox -s lock sbom` again; if it stays so, the tool misreads the lock",
            )


def check_components(document: Mapping[str, Any], locked: set[Release]) -> None:
    """Lock minus SBOM and SBOM minus lock are both empty; raises Refused as ``compare`` does."""
    python = [item for item in document["components"] if str(item.get("purl", "")).startswith("pkg:pypi/")]
    compare([release(item["name"], item["version"]) for item in python], locked, what="SBOM")


def _architecture(platform: str) -> Architecture:
    return "arm64" if platform == "linux/arm64" else "amd64"


def gather(job: Job, locked: list[Locked], base: BaseLock, platform: str) -> Contents:
    """Everything that goes into the image of ``platform``, each file checked against its lock."""
    architecture, python = _architecture(platform), base.python()
    wheels = fetch_wheels(
        for_image(locked, architecture=architecture, python=python),
        architecture=architecture,
        python=python,
        cache=job.state / "cache" / "wheels",
        pip=job.python("checks"),
        pip_environment=pip_environment(),
        say=job.say,
    )
    packages = [read_package(wheel, path) for wheel, path in sorted(wheels.items(), key=lambda item: item[0].name)]
    debs = base_lock.fetch_packages(base, architecture, job.settings.base, job.state / "cache", job.say)
    by_name = {str(canonicalize_name(package.wheel.name)): package for package in packages}
    return Contents(
        platform=platform,
        suite=base.suite,
        python=packages,
        needs=dependencies(direct_requirements(job.root), by_name, marker_environment(architecture, python)),
        debian=read_packages(debs),
    )


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


def describe(job: Job, contents: Contents) -> dict[str, Any]:
    version = version_of(job.python("checks"), TOOL)
    context = job.context(TOOL, version)
    return compose(job.settings.app, context, contents, {TOOL: version, "gatehouse": "1"})


def check_schema(job: Job, documents: Sequence[Mapping[str, Any]]) -> None:
    """Hold the documents against CycloneDX's JSON schema; raises CannotEvaluate (``sbom.unreadable``)."""
    what = "CycloneDX schema"
    command = (job.python("checks"), "-I", Path(sbom_schema.__file__))
    completed = run_tool(command, stdin=json.dumps(documents).encode(), timeout=120)
    result = read_json("sbom", what, completed, {0})
    if result != {"documents": len(documents), "errors": []}:
        raise unreadable("sbom", what, json.dumps(result), f"{len(documents)} documents that fit it")

"""The software bill of materials: one CycloneDX 1.6 document per platform, read from the image itself and held against
the lock, the image and the schema.

What is installed the image's own layers say. Where a lock names it, the file that it came from is known by its hashes.
cyclonedx-bom says which components the lock has, so that our own reading of it is not the only one.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from pipeline.hash_locks import Locked, read_lock
from pipeline.image.inventory import Inventory, read_inventory
from pipeline.image.wheels import LOCK, for_image
from pipeline.model.errors import Refused
from pipeline.model.kinds import Kind
from pipeline.model.outcome import Artifact, Evidence, Outcome, Problem, Status
from pipeline.processes import run as run_tool
from pipeline.steps import sbom_schema
from pipeline.steps.built_image import read_image
from pipeline.steps.installed import version_of
from pipeline.steps.job import Job
from pipeline.steps.sbom_contents import Release, architecture_of, gather, minor_of, release
from pipeline.steps.sbom_document import compose
from pipeline.steps.sbom_elements import lacking_bsi, lacking_ntia
from pipeline.steps.sbom_graph import Contents
from pipeline.steps.tool_output import Report, read_json, typed, unreadable

TOOL = "cyclonedx-bom"


class _Component(Report):
    name: str
    version: str


class _Bom(Report):
    components: list[_Component]


def run(job: Job) -> Outcome:
    """Raises Refused (``sbom.missing-component``, ``sbom.extra-component``, ``sbom.not-in-image``, ``lock.*``) and
    CannotEvaluate (``sbom.*``, ``image.inventory``, ``base.*``, ``wheels.*``, ``download.*``, ``tool.*``).
    """
    locked = list(read_lock(job.root, LOCK).values())
    ask_reference(job, {release(item.name, item.version) for item in locked})
    image = read_image(job, step="sbom")
    everything = []
    for platform in sorted(image.platforms):
        tree = image.archive.tree(platform)
        inventory = read_inventory(tree)
        contents = gather(job, locked, image, platform, tree, inventory)
        document = describe(job, contents)
        check_components(document, wanted(contents, locked, inventory), inventory)
        everything.append((contents, document))
    documents = {contents.platform: document for contents, document in everything}
    check_schema(job, list(documents.values()))
    artifacts = [_write(job, platform, document) for platform, document in documents.items()]
    problems = [one for platform, document in documents.items() for one in _incomplete(platform, document)]
    return Outcome(
        status=Status.WARNED if problems else Status.PASSED,
        finding="; ".join([_line(contents) for contents, _ in everything] + [problem.message for problem in problems]),
        evidence=[Evidence(kind=Kind.SBOM, predicate=item, platform=platform) for platform, item in documents.items()],
        problems=problems,
        artifacts=artifacts,
        data={"sboms": [artifact.path for artifact in artifacts]},
    )


def _incomplete(platform: str, document: Mapping[str, Any]) -> list[Problem]:
    """What the packages themselves do not say, and so the document cannot."""
    lists = {"NTIA's minimum elements": lacking_ntia(document), "BSI TR-03183-2": lacking_bsi(document)}
    return [
        Problem(
            code="sbom.incomplete",
            message=f"SBOM of {platform}: without all of {name} (got {len(lacking)} fields too few, the first "
            f"{lacking[0]}, expected every field)",
            fix="say what is the application's in pipeline.toml (app.supplier, app.contact, app.licence); "
            "of a package, ask its author, or lock another",
        )
        for name, lacking in lists.items()
        if lacking
    ]


def _write(job: Job, platform: str, document: Mapping[str, Any]) -> Artifact:
    content = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    return job.write_artifact(job.dist / f"sbom.{platform.replace('/', '-')}.cdx.json", content.encode())


def _line(contents: Contents) -> str:
    unlocked = sum(one.file is None for one in contents.python) + sum(one.file is None for one in contents.debian)
    python = "1 wheel" if len(contents.python) == 1 else f"{len(contents.python)} wheels"
    hashes = f"all but {unlocked} with the hash of a locked file" if unlocked else "each with its hash"
    return f"{contents.platform}: {python}, {len(contents.debian)} Debian packages, {hashes}"


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


def wanted(contents: Contents, locked: Sequence[Locked], inventory: Inventory) -> set[str]:
    """What the locks say is in the image."""
    inside = for_image(locked, architecture=architecture_of(contents.platform), python=minor_of(inventory))
    debian = {_deb(file.package.name, file.package.version) for file in contents.locked}
    return {_wheel(item.name, item.version) for item in inside} | debian


def check_components(document: Mapping[str, Any], locked: Collection[str], inventory: Inventory) -> None:
    """Lock minus SBOM, SBOM minus image and image minus SBOM are all empty.

    Raises Refused (``sbom.missing-component``, ``sbom.not-in-image``) naming what differs.
    """
    named = {
        _wheel(item["name"], item["version"])
        if item["purl"].startswith("pkg:pypi/")
        else _deb(item["name"], item["version"])
        for item in document["components"]
        if str(item.get("purl", "")).startswith(("pkg:pypi/", "pkg:deb/"))
    }
    there = {_wheel(one.name, one.version) for one in inventory.distributions}
    there |= {_deb(one.name, one.version) for one in inventory.debian}
    for code, differs, differing, expected in (
        ("sbom.missing-component", "leaves out what a lock names", set(locked) - named, "every locked package"),
        ("sbom.not-in-image", "names what the image does not hold", named - there, "what is installed"),
        ("sbom.missing-component", "leaves out what the image holds", there - named, "all that is installed"),
    ):
        if differing:
            raise Refused(
                code,
                f"SBOM: {differs} (got a difference in {', '.join(sorted(differing))[:500]}, expected {expected})",
                fix="build the image again with `scripts/pipeline --fresh`; it was not made from these locks",
            )


def _wheel(name: str, version: str) -> str:
    return f"python {canonicalize_name(name)} {Version(version)}"


def _deb(name: str, version: str) -> str:
    return f"debian {name} {version}"


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

"""What a second build shows: the differences, what both builds shared, and the predicate that says so."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from pipeline import __version__
from pipeline.gate.identity import Identity
from pipeline.image.archive import Archive
from pipeline.image.comparison import NOTHING, Difference, compare_bytes, compare_files
from pipeline.model.context import Context, Tool
from pipeline.model.digests import Digest
from pipeline.model.documents import canonical_json
from pipeline.model.predicates import BuildDefinition, Descriptor, Provenance, TestResult, dump
from pipeline.reproduction.rebuilding import Rebuilt
from pipeline.signing.identities import GITHUB_ISSUER

#: Differences that the evidence names one by one; the text report has them all.
MAX_NAMED = 200
#: Lock to what it decides. Both builds read the same ones, so a package that is bad in one is bad in both.
SHARED_LOCKS = {"requirements.txt": "wheels", "requirements/base.lock.json": "base"}
_PURLS = {"wheels": "pkg:pypi/", "base": "pkg:deb/"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Reproduction:
    """``compared`` is ``bytes`` within one builder (the same digest was due), else ``files``."""

    first: str
    second: str
    """The builders, with their versions where those are for people."""
    compared: Literal["bytes", "files"]
    same_builder: bool
    """The same program. Where ``compared`` is ``files``, in another version."""
    same_digest: bool
    """Where ``compared`` is ``files``, more than was asked for."""
    paths: int
    """Paths of the first image, over all platforms."""
    differences: Mapping[str, tuple[Difference, ...]]
    """By check: ``materials``, ``files``, ``bytes``. Printable."""

    @property
    def all_differences(self) -> list[Difference]:
        return [one for found in self.differences.values() for one in found]

    @property
    def passed(self) -> bool:
        return not self.all_differences

    @property
    def conclusive(self) -> bool:
        """Another version of the same builder may build otherwise, and that would be nobody's fault."""
        return self.passed or not (self.same_builder and self.compared == "files")


def compare(provenance: Provenance, first: Archive, second: Rebuilt) -> Reproduction:
    """Hold the second build against image and provenance; raises CannotEvaluate (``archive.malformed``)."""
    builders = [_builder(one) for one in (provenance, second.provenance)]
    same_version = provenance.run_details.builder.version == second.provenance.run_details.builder.version
    same = builders[0] == builders[1]
    found = {
        "materials": list(compare_materials(provenance, second.provenance)),
        "files": compare_files(first, second.archive),
        **({"bytes": compare_bytes(first, second.archive)} if same and same_version else {}),
    }
    return Reproduction(
        first=_named(provenance),
        second=_named(second.provenance),
        compared="bytes" if "bytes" in found else "files",
        same_builder=same,
        same_digest=first.digest == second.archive.digest,
        paths=sum(len(first.tree(platform)) for platform in first.platforms),
        differences={check: tuple(map(_printable, items)) for check, items in found.items()},
    )


def _builder(provenance: Provenance) -> str:
    return str(provenance.build_definition.external_parameters.get("builder"))


def _named(provenance: Provenance) -> str:
    """``composer``, or ``engine docker 20.10.24``: digests of our own code say nothing to people."""
    version = provenance.run_details.builder.version
    words = [f"{name} {value}" for name, value in sorted(version.items()) if not value.startswith("sha256:")]
    return _plain(" ".join([_builder(provenance), *words]))[:200]


def compare_materials(first: Provenance, second: Provenance) -> Iterator[Difference]:
    """What the provenance says went in, against what went into the second build: all but the builder's own name."""
    sides = [_materials(one.build_definition) for one in (second, first)]
    for place in sorted(sides[0].keys() | sides[1].keys()):
        got, expected = (side.get(place, NOTHING) for side in sides)
        if got != expected:
            yield Difference(place="provenance", what=place, got=got, expected=expected)


def _materials(definition: BuildDefinition) -> dict[str, str]:
    parameters = {**definition.external_parameters, **definition.internal_parameters}
    texts = {f"parameter {name}": canonical_json(value).decode() for name, value in parameters.items()}
    texts.pop("parameter builder", None)
    for one in definition.resolved_dependencies:
        texts[str(one.uri or one.name)] = " ".join(
            f"{kind}:{value}" for kind, value in sorted((one.digest or {}).items())
        )
    return {"build type": definition.build_type, **texts}


def _printable(one: Difference) -> Difference:
    """Names come out of images: nothing in them may steer a terminal or break the JSON that is signed."""
    return replace(
        one, place=_plain(one.place), what=_plain(one.what), got=_plain(one.got), expected=_plain(one.expected)
    )


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)[:1000]


def another_machine(first: Identity, *, signer: str, issuer: str) -> bool:
    """Whether the build that ``first`` signed ran elsewhere: on a hosted runner, for a workflow that is not ``signer``.

    Each job of a hosted platform has a machine of its own, and two workflows are two jobs.
    """
    hosted = first.issuer == GITHUB_ISSUER and first.runner == "github-hosted"
    return hosted and issuer == GITHUB_ISSUER and signer != first.san


def shared_inputs(result: Reproduction, *, machine: bool) -> list[str]:
    """What a defect could be in without any second build showing it."""
    builder = ["builder"] if result.same_builder else []
    return ["lock", *SHARED_LOCKS.values(), *builder, *(["machine"] if machine else [])]


def context_of(provenance: Provenance) -> Context:
    """What the second build was made of; the tool is the pipeline, as in the lists that attest writes."""
    return provenance.context.model_copy(update={"tool": Tool(name="gatehouse", version=__version__)})


def predicate(result: Reproduction, provenance: Provenance, *, machine: bool) -> dict[str, Any]:
    """The test result (Kind.REPRODUCTION). ``machine``: both builds may have run on the same one.

    ``configuration`` names what the builds shared behind itself, each as ``shared: ...``; independence is claimed of
    what ``gatehouse_measures`` says, machine and builder, and of nothing else.
    """
    shared = shared_inputs(result, machine=machine)
    about = {"first": result.first, "second": result.second, "compared": result.compared}
    named = [f"{check}: {one.place}: {one.what}" for check, items in result.differences.items() for one in items]
    more = [f"and {len(named) - MAX_NAMED} more"] if len(named) > MAX_NAMED else []
    return dump(
        TestResult(
            gatehouse_context=context_of(provenance),
            result="PASSED" if result.passed else "FAILED",
            configuration=[
                Descriptor(
                    name="reproduction", digest={"sha256": Digest.of(canonical_json(about)).hex}, annotations=about
                ),
                *_shared(provenance, shared),
            ],
            passedTests=[check for check, items in result.differences.items() if not items],
            failedTests=[*named[:MAX_NAMED], *more],
            gatehouse_measures={
                "tests": len(result.differences),
                "failures": sum(1 for items in result.differences.values() if items),
                "differences": len(named),
                "paths": result.paths,
                "same_digest": result.same_digest,
                "compared": result.compared,
                "independent_builder": not result.same_builder,
                "independent_machine": not machine,
                "shared": ", ".join(shared),
            },
        )
    )


def _shared(provenance: Provenance, shared: list[str]) -> Iterator[Descriptor]:
    dependencies = provenance.build_definition.resolved_dependencies
    materials = [str(one.uri) for one in dependencies]
    for one in dependencies:
        if str(one.uri).startswith("pkg:oci/"):
            yield Descriptor(name="shared: base image", uri=one.uri, digest=one.digest)
    for lock, name in SHARED_LOCKS.items():
        if digest := provenance.context.locks.get(lock):
            count = sum(1 for uri in materials if uri.startswith(_PURLS[name]))
            yield Descriptor(name=f"shared: lock {lock}", digest={"sha256": digest})
            yield Descriptor(name=f"shared: {name}", annotations={"packages": count})
    yield from (Descriptor(name=f"shared: {name}") for name in ("builder", "machine") if name in shared)

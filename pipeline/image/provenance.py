"""SLSA build provenance of an image (SLSA v1.2, ``provenance``): how it was built, and from what exactly."""

from collections.abc import Iterator
from typing import Any

from pipeline.debian.packages import Package
from pipeline.image.composer import Composed
from pipeline.image.foreign_base import Reference
from pipeline.image.layer import compressor
from pipeline.image.layer_cache import code_digest
from pipeline.image.purls import debian_purl, oci_purl, wheel_purl
from pipeline.image.wheels import Wheel
from pipeline.model.context import Context
from pipeline.model.predicates import BuildDefinition, Builder, Descriptor, Provenance, RunDetails, dump
from pipeline.settings import Settings

BUILD_TYPE = "https://gatehouse.dev/build-types/image/v1"
_BUILDERS = "https://gatehouse.dev/builders"


def builder_id(builder: str, *, hosted: bool) -> str:
    """``hosted``: in a job of GitHub Actions. A local build says nothing to trust beyond ``development``."""
    return f"{_BUILDERS}/{builder}/{'github' if hosted else 'local'}"


def build_provenance(
    context: Context, settings: Settings, composed: Composed, *, suite: str, hosted: bool = False
) -> dict[str, Any]:
    """The predicate. Nothing in it varies between runs. ``suite`` is that of the locked packages."""
    packages = [package for items in composed.packages.values() for package in items]
    wheels = [wheel for items in composed.wheels.values() for wheel in items]
    definition = BuildDefinition(
        buildType=BUILD_TYPE,
        externalParameters={
            **({"base": settings.base.image} if settings.base.image else {}),
            "builder": settings.image.builder,
            "directory": settings.app.directory,
            "dockerfile": f"{settings.app.directory}/Dockerfile",
            "platforms": sorted(settings.image.platforms),
            "source": f"{context.source.uri}@{context.source.commit}",
        },
        internalParameters={
            "byte_code": settings.image.byte_code,
            "compressor": compressor(),
            "version": settings.app.version,
        },
        resolvedDependencies=[
            _source(context),
            *_locks(context),
            *([_base(composed.base)] if composed.base else []),
            *_unique(_package(package, suite) for package in packages),
            *_unique(_wheel(wheel) for wheel in wheels),
        ],
    )
    builder = Builder(
        id=builder_id(settings.image.builder, hosted=hosted),
        version={"composer": code_digest(), **composed.versions},
    )
    return dump(
        Provenance(gatehouse_context=context, buildDefinition=definition, runDetails=RunDetails(builder=builder))
    )


def _base(reference: Reference) -> Descriptor:
    """As an OCI purl (package-url specification, type ``oci``)."""
    digest = reference.digest.removeprefix("sha256:")
    return Descriptor(name=str(reference), uri=oci_purl(reference), digest={"sha256": digest})


def _source(context: Context) -> Descriptor:
    # The digest names of in-toto's DigestSet for git objects.
    source = context.source
    digest = {"gitCommit": source.commit, "gitTree": source.tree}
    return Descriptor(uri=f"{source.uri}@{source.commit}", digest=digest, annotations={"dirty": source.dirty})


def _locks(context: Context) -> list[Descriptor]:
    return [Descriptor(name=name, digest={"sha256": digest}) for name, digest in sorted(context.locks.items())]


def _package(package: Package, suite: str) -> Descriptor:
    return Descriptor(
        name=package.path.rpartition("/")[2], uri=debian_purl(package, suite=suite), digest={"sha256": package.sha256}
    )


def _wheel(wheel: Wheel) -> Descriptor:
    return Descriptor(name=wheel.filename, uri=wheel_purl(wheel), digest={"sha256": wheel.sha256})


def _unique(descriptors: Iterator[Descriptor]) -> list[Descriptor]:
    """Once each, sorted: two platforms share their ``all`` packages and pure wheels."""
    return [item for _, item in sorted({(str(item.uri), str(item.name)): item for item in descriptors}.items())]

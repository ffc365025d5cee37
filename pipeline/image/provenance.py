"""SLSA build provenance of a composed image (SLSA v1.2, ``provenance``): how it was built, and from what exactly."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.debian.packages import Package
from pipeline.image.layer_cache import code_digest
from pipeline.image.purls import debian_purl, wheel_purl
from pipeline.image.wheels import Wheel
from pipeline.model.context import Context
from pipeline.model.predicates import BuildDefinition, Builder, Descriptor, Provenance, RunDetails, dump
from pipeline.settings import Settings

BUILD_TYPE = "https://gatehouse.dev/build-types/image/v1"
#: A build on somebody's own machine: it says nothing that anyone should trust beyond ``development``.
LOCAL_BUILDER = "https://gatehouse.dev/builders/composer/local"


def build_provenance(
    context: Context,
    settings: Settings,
    *,
    packages: Mapping[str, Sequence[Package]],
    wheels: Mapping[str, Sequence[Wheel]],
    suite: str,
    builder_id: str = LOCAL_BUILDER,
) -> dict[str, Any]:
    """The predicate; ``packages`` and ``wheels`` are what was used, by platform. Nothing in it varies between runs."""
    definition = BuildDefinition(
        buildType=BUILD_TYPE,
        externalParameters={
            "builder": settings.image.builder,
            "directory": settings.app.directory,
            "dockerfile": f"{settings.app.directory}/Dockerfile",
            "platforms": sorted(settings.image.platforms),
            "source": f"{context.source.uri}@{context.source.commit}",
        },
        internalParameters={"byte_code": settings.image.byte_code, "version": settings.app.version},
        resolvedDependencies=[
            _source(context),
            *_locks(context),
            *_unique(_package(package, suite) for items in packages.values() for package in items),
            *_unique(_wheel(wheel) for items in wheels.values() for wheel in items),
        ],
    )
    run = RunDetails(builder=Builder(id=builder_id, version={"composer": code_digest()}))
    return dump(Provenance(gatehouse_context=context, buildDefinition=definition, runDetails=run))


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

"""What a second build shows, from two provenances and two images."""

from dataclasses import replace

import pytest

from pipeline.gate.identity import Identity
from pipeline.image.comparison import Difference
from pipeline.model.documents import validate
from pipeline.model.predicates import Provenance
from pipeline.reproduction.result import (
    MAX_NAMED,
    Reproduction,
    another_machine,
    compare_materials,
    predicate,
    shared_inputs,
)
from pipeline.signing.identities import GITHUB_ISSUER, LOCAL_ISSUER
from tests.support import release

MACHINE = Identity(issuer=GITHUB_ISSUER, san="https://github.com/acme/app/attest.yml", runner="github-hosted")
RESULT = Reproduction(
    first="composer",
    second="engine docker 28.1",
    compared="files",
    same_builder=False,
    same_digest=False,
    paths=7,
    differences={"materials": (), "files": ()},
)


def provenance(**definition):
    predicate = release.predicates()["provenance"]
    predicate["buildDefinition"] |= definition
    return validate(Provenance, predicate, what="provenance")


def differing(**definition):
    found = compare_materials(provenance(), provenance(**definition))
    return [(one.what, one.got, one.expected) for one in found]


def test_the_builder_s_name_is_no_material():
    assert differing(externalParameters={"builder": "engine", "platforms": [release.PLATFORM]}) == []


def test_parameters_and_packages_are():
    assert differing(
        externalParameters={"builder": "composer", "platforms": ["linux/arm64"], "more": 1},
        resolvedDependencies=[{"uri": "pkg:pypi/other@1", "digest": {"sha256": "1" * 64}}],
        buildType="https://gatehouse.dev/build-types/other/v1",
    ) == [
        ("build type", "https://gatehouse.dev/build-types/other/v1", "https://gatehouse.dev/build-types/image/v1"),
        ("parameter more", "1", "nothing"),
        ("parameter platforms", '["linux/arm64"]', '["linux/amd64"]'),
        ("pkg:pypi/other@1", f"sha256:{'1' * 64}", "nothing"),
        ("pkg:pypi/tornado@6.5", "nothing", f"sha256:{'e' * 64}"),
    ]


SECOND = "https://github.com/acme/app/reproduce.yml"


def test_two_hosted_workflows_are_two_machines():
    assert another_machine(MACHINE, signer=SECOND, issuer=GITHUB_ISSUER)


@pytest.mark.parametrize(
    "changed",
    [{"runner": "self-hosted"}, {"issuer": LOCAL_ISSUER}, {"san": SECOND}],
    ids=lambda changed: next(iter(changed)),
)
def test_anything_less_may_be_one_machine(changed):
    assert not another_machine(replace(MACHINE, **changed), signer=SECOND, issuer=GITHUB_ISSUER)


def test_a_local_signer_cannot_tell():
    assert not another_machine(MACHINE, signer=SECOND, issuer=LOCAL_ISSUER)


def test_lock_base_and_wheels_are_always_shared():
    assert shared_inputs(RESULT, machine=False) == ["lock", "wheels", "base"]
    assert shared_inputs(replace(RESULT, same_builder=True), machine=True)[3:] == ["builder", "machine"]


def test_differences_past_the_limit_are_counted():
    more = tuple(Difference(place=f"/{n}", what="mode", got="1", expected="2") for n in range(MAX_NAMED + 5))
    said = predicate(replace(RESULT, differences={"files": more}), provenance(), machine=False)
    assert (said["result"], len(said["failedTests"]), said["failedTests"][-1]) == ("FAILED", 201, "and 5 more")
    assert said["gatehouse_measures"]["differences"] == 205


@pytest.mark.parametrize(
    ("same_builder", "compared", "conclusive"),
    [(False, "files", True), (True, "bytes", True), (True, "files", False)],
)
def test_only_another_version_of_the_same_builder_proves_nothing_by_differing(same_builder, compared, conclusive):
    one = Difference(place="/x", what="mode", got="1", expected="2")
    result = replace(RESULT, same_builder=same_builder, compared=compared, differences={"files": (one,)})
    assert not result.passed
    assert result.conclusive is conclusive
    assert replace(result, differences={"files": ()}).conclusive


def test_a_base_that_is_an_image_is_shared_by_its_digest():
    base = {"uri": "pkg:oci/python@sha256%3A00?repository_url=registry.example/python", "digest": {"sha256": "0" * 64}}
    said = predicate(RESULT, provenance(resolvedDependencies=[base]), machine=False)
    assert said["configuration"][1] == {"name": "shared: base image", **base}

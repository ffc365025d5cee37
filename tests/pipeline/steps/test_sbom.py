"""The bill of materials of a small service for two platforms, made with the real tools from a loopback index."""

import copy
import json
from dataclasses import replace

import pytest

from pipeline.debian import base_lock
from pipeline.hash_locks import read_lock
from pipeline.model.context import Context
from pipeline.model.errors import CannotEvaluate, Refused
from pipeline.model.kinds import Kind
from pipeline.model.outcome import Status
from pipeline.model.predicates import Sbom, parse_predicate
from pipeline.steps import sbom
from tests.support.jobs import SETTINGS, fake_environment, make_job
from tests.support.supplies import fill_debs, lock_of, locks, make_wheel, sha256, simple_index

WEB = make_wheel("web", "1.0", "Author: The Web Team", "License-Expression: MIT", "Requires-Dist: core>=1")
CORE = make_wheel("core", "2.1", "Author-email: Ann <ann@example.org>", "License: BSD")
PINS = {"web==1.0": sha256(WEB), "core==2.1": sha256(CORE), "pywin32==300 ; sys_platform == 'win32'": "c" * 64}
BOTH = SETTINGS.replace('["linux/amd64"]', '["linux/amd64", "linux/arm64"]') + '[base]\nmirror = "http://127.0.0.1:9"\n'


@pytest.fixture(scope="module")
def job(tmp_path_factory, checks_python):
    files = {"pipeline.toml": BOTH, **locks(lock_of(PINS), "web")}
    made = make_job(tmp_path_factory.mktemp("sbom"), files, {"checks": checks_python})
    fill_debs(made.state)
    return made


@pytest.fixture(scope="module")
def outcome(job):
    wheels = ("web-1.0-py3-none-any.whl", WEB), ("core-2.1-py3-none-any.whl", CORE)
    with simple_index(*wheels) as index, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_INDEX_URL", index)
        return sbom.run(job)


@pytest.fixture(scope="module")
def document(outcome):
    return outcome.evidence[0].predicate


def describe(job, platform):
    locked = list(read_lock(job.root, "requirements.txt").values())
    return sbom.describe(job, sbom.gather(job, locked, base_lock.load(job.root), platform))


def component(document, name):
    (found,) = [item for item in document["components"] if item["name"] == name]
    return found


def needs(document, ref):
    (found,) = [item["dependsOn"] for item in document["dependencies"] if item["ref"] == ref]
    return found


def test_there_is_one_document_per_platform_as_evidence_and_as_file(job, outcome):
    assert outcome.status is Status.PASSED
    assert [(item.kind, item.platform) for item in outcome.evidence] == [
        (Kind.SBOM, "linux/amd64"),
        (Kind.SBOM, "linux/arm64"),
    ]
    paths = ["dist/sbom.linux-amd64.cdx.json", "dist/sbom.linux-arm64.cdx.json"]
    assert [artifact.path for artifact in outcome.artifacts] == paths
    assert [json.loads((job.root / path).read_bytes()) for path in paths] == [
        item.predicate for item in outcome.evidence
    ]
    assert outcome.finding == (
        "linux/amd64: 2 wheels, 2 Debian packages, each with its hash; "
        "linux/arm64: 2 wheels, 2 Debian packages, each with its hash"
    )


def test_every_locked_wheel_of_the_platform_is_there_with_the_hashes_of_its_file(document):
    python = [item for item in document["components"] if item.get("purl", "").startswith("pkg:pypi/")]
    assert [item["purl"] for item in python] == ["pkg:pypi/core@2.1", "pkg:pypi/web@1.0"]
    hashes = {item["alg"]: item["content"] for item in component(document, "web")["hashes"]}
    assert hashes["SHA-256"] == sha256(WEB)
    assert len(hashes["SHA-512"]) == 128


def test_licence_and_supplier_come_from_the_wheel(document):
    assert component(document, "web")["licenses"] == [{"expression": "MIT", "acknowledgement": "declared"}]
    assert component(document, "web")["supplier"] == {"name": "The Web Team"}
    assert component(document, "core")["supplier"] == {"name": "Ann"}


def test_every_debian_package_is_there_with_purl_hash_and_source(document):
    found = component(document, "python3.13-minimal")
    assert found["purl"] == "pkg:deb/debian/python3.13-minimal@3.13.5-2%2Bdeb13u5?arch=amd64&distro=trixie"
    assert found["hashes"][0]["alg"] == "SHA-256"
    assert {"name": "gatehouse:source", "value": "python3.13 3.13.5-2+deb13u5"} in found["properties"]
    assert found["supplier"] == {"name": "Debian", "contact": [{"name": "Ada Maintainer"}]}


def test_the_graph_is_rooted_in_the_application(document):
    root = document["metadata"]["component"]["bom-ref"]
    assert needs(document, root) == ["operating-system:debian-trixie", "pkg:pypi/web@1.0"]
    assert needs(document, "pkg:pypi/web@1.0") == ["pkg:pypi/core@2.1"]
    tzdata, python = component(document, "tzdata")["bom-ref"], component(document, "python3.13-minimal")["bom-ref"]
    assert needs(document, "operating-system:debian-trixie") == sorted([tzdata, python])
    assert needs(document, python) == [tzdata]


def test_every_component_has_its_line_in_the_graph_and_can_be_reached(document):
    edges = {item["ref"]: item["dependsOn"] for item in document["dependencies"]}
    reached, waiting = set(), [document["metadata"]["component"]["bom-ref"]]
    while waiting:
        ref = waiting.pop()
        if ref not in reached:
            reached.add(ref)
            waiting += edges[ref]
    assert (
        reached == edges.keys() == {item["bom-ref"] for item in document["components"]} | {"pkg:generic/service@1.0.0"}
    )


def test_it_has_the_minimum_elements_of_ntia(document):
    metadata = document["metadata"]
    assert metadata["authors"]
    assert metadata["timestamp"] == "2026-01-02T03:04:05Z"  # the commit's, not the clock's
    for item in [metadata["component"], *document["components"]]:
        assert item["supplier"]["name"], item
        assert item["name"], item
        assert item["version"], item
        assert item.get("purl") or item["type"] == "operating-system", item
    assert document["dependencies"]


def test_it_says_when_it_was_made_and_how_complete_it_is(document):
    assert document["metadata"]["lifecycles"] == [{"phase": "build"}]
    whole, partial = document["compositions"]
    assert whole["aggregate"] == "complete"
    assert "pkg:pypi/web@1.0" in whole["dependencies"]
    assert partial["aggregate"] == "incomplete"
    assert all(ref.startswith("pkg:deb/") for ref in partial["dependencies"])


def test_it_names_the_source_that_it_speaks_of(job, document):
    parsed = parse_predicate(Kind.SBOM, document)
    assert isinstance(parsed, Sbom)
    assert isinstance(parsed.context, Context)
    assert parsed.context.source == job.source
    assert parsed.context.tool.name == "cyclonedx-bom"


def test_a_second_run_gives_the_same_document(job, outcome):
    # The wheels are in the cache now: no index is asked.
    assert [describe(job, item.platform) for item in outcome.evidence] == [item.predicate for item in outcome.evidence]


def test_another_tree_gives_another_serial_number(job, outcome):
    other = replace(job, source=job.source.model_copy(update={"tree": "f" * 40}))
    assert describe(other, "linux/amd64")["serialNumber"] != outcome.evidence[0].predicate["serialNumber"]


def test_a_component_that_is_left_out_is_refused_by_name(document):
    cut = copy.deepcopy(document)
    cut["components"] = [item for item in cut["components"] if item["name"] != "core"]
    with pytest.raises(Refused) as raised:
        sbom.check_components(cut, {("web", "1.0"), ("core", "2.1")})
    assert raised.value.code == "sbom.missing-component"
    assert raised.value.message == (
        "SBOM: leaves out a locked package (got a difference in core 2.1, expected exactly what requirements.txt locks)"
    )


def test_a_component_that_is_not_locked_is_refused_by_name(document):
    with pytest.raises(Refused) as raised:
        sbom.check_components(document, {("web", "1.0")})
    assert raised.value.code == "sbom.extra-component"
    assert "(got a difference in core 2.1, " in raised.value.message


def test_a_document_that_does_not_fit_the_schema_is_refused(job, document):
    with pytest.raises(CannotEvaluate) as raised:
        sbom.check_schema(job, [document, document | {"author": "nobody"}])
    assert raised.value.code == "sbom.unreadable"
    assert "Additional properties are not allowed ('author' was unexpected)" in raised.value.message


@pytest.mark.parametrize("said", ["", "{}", '{"documents": 1, "errors": []}', "null", '{"documents": 2, "err'])
def test_a_validator_that_does_not_say_yes_to_every_document_has_not_said_yes(tmp_path, job, document, said):
    silent = replace(job, tools={"checks": fake_environment(tmp_path, python=(said, 0))})
    with pytest.raises(CannotEvaluate) as raised:
        sbom.check_schema(silent, [document, document])
    assert raised.value.code == "sbom.unreadable"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (('{"components": [{"name": "web", "version": "1.0"}]}', 0), "sbom.missing-component"),
        (('{"components": []}', 0), "sbom.missing-component"),
        (("", 0), "sbom.unreadable"),
        (('{"components": [', 0), "sbom.unreadable"),
        (("{}", 0), "sbom.unreadable"),
        (('{"components": [{"name": "web", "version": "1.0"}]}', 1), "sbom.unreadable"),
    ],
)
def test_a_tool_that_leaves_something_out_or_crashes_is_noticed(tmp_path, job, said, code):
    lying = replace(job, tools={"checks": fake_environment(tmp_path, python=said)})
    with pytest.raises((Refused, CannotEvaluate)) as raised:
        sbom.ask_reference(lying, {("web", "1.0"), ("core", "2.1")})
    assert raised.value.code == code


def test_a_line_of_requirements_in_that_is_no_requirement_is_refused(tmp_path):
    (tmp_path / "requirements.in").write_text("web\n-r other.in\n")
    with pytest.raises(Refused) as raised:
        sbom.direct_requirements(tmp_path)
    assert raised.value.code == "sbom.direct"

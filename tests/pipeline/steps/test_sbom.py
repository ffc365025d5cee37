"""The bill of materials of a small service for two platforms, made with the real tools from a real image of it."""

import copy
import json
from dataclasses import replace

import pytest

from pipeline.hash_locks import read_lock
from pipeline.image.archive import Archive
from pipeline.image.inventory import read_inventory
from pipeline.image.layer import file
from pipeline.model.context import Context
from pipeline.model.errors import CannotEvaluate, Refused
from pipeline.model.kinds import Kind
from pipeline.model.outcome import Status, StepRecord
from pipeline.model.predicates import Sbom, parse_predicate
from pipeline.steps import image, sbom
from pipeline.steps.built_image import read_image
from pipeline.steps.sbom_contents import direct_requirements, gather
from pipeline.steps.sbom_elements import lacking_bsi, lacking_ntia
from tests.support.composing import DOCKERFILE
from tests.support.jobs import SETTINGS, fake_environment, make_job
from tests.support.supplies import fill_debs, lock_of, locks, make_wheel, sha256, simple_index

WEB = make_wheel("web", "1.0", "Author: The Web Team", "License-Expression: MIT", "Requires-Dist: core>=1")
CORE = make_wheel("core", "2.1", "Author-email: Ann <ann@example.org>", "License: BSD")
PINS = {"web==1.0": sha256(WEB), "core==2.1": sha256(CORE), "pywin32==300 ; sys_platform == 'win32'": "c" * 64}
BOTH = (
    SETTINGS.replace('["linux/amd64"]', '["linux/amd64", "linux/arm64"]\nbyte_code = false').replace(
        "[image]", 'supplier = "Ann\'s team"\ncontact = "https://example.org/team"\nlicence = "MIT"\n[image]'
    )
    + '[base]\nmirror = "http://127.0.0.1:9"\n'
)
FILES = {"service/Dockerfile": DOCKERFILE, "service/.dockerignore": "Dockerfile\n", "service/__main__.py": ""}


@pytest.fixture(scope="module")
def job(tmp_path_factory, checks_python):
    files = {"pipeline.toml": BOTH, **FILES, **locks(lock_of(PINS), "web")}
    made = make_job(tmp_path_factory.mktemp("sbom"), files, {"checks": checks_python})
    fill_debs(made.state)
    wheels = ("web-1.0-py3-none-any.whl", WEB), ("core-2.1-py3-none-any.whl", CORE)
    with simple_index(*wheels) as index, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_INDEX_URL", index)
        outcome = image.run(made)
    assert outcome.status is Status.PASSED, outcome.problems
    record(made, outcome)
    return made


def record(job, outcome):
    job.write_record(
        StepRecord(step="image", context=job.context("composer", "1"), seconds=1, started=1, outcome=outcome)
    )


@pytest.fixture(scope="module")
def outcome(job):
    # The wheels are in the cache now: no index is asked.
    return sbom.run(job)


@pytest.fixture(scope="module")
def document(outcome):
    return outcome.evidence[0].predicate


@pytest.fixture(scope="module")
def inventory(job):
    return read_inventory(tree_of(job))


def tree_of(job):
    return Archive(job.dist / "image.tar").tree("linux/amd64")


def describe(job, platform, tree=None):
    """The document that the step would make of another tree of files."""
    tree = tree or Archive(job.dist / "image.tar").tree(platform)
    locked = list(read_lock(job.root, "requirements.txt").values())
    found = read_inventory(tree)
    contents = gather(job, locked, read_image(job, step="sbom"), platform, tree, found)
    document = sbom.describe(job, contents)
    sbom.check_components(document, sbom.wanted(contents, locked, found), found)
    return document


def component(document, name):
    (found,) = [item for item in document["components"] if item["name"] == name]
    return found


def needs(document, ref):
    (found,) = [item["dependsOn"] for item in document["dependencies"] if item["ref"] == ref]
    return found


def test_there_is_one_document_per_platform_as_evidence_and_as_file(job, outcome):
    assert [(item.kind, item.platform) for item in outcome.evidence] == [
        (Kind.SBOM, "linux/amd64"),
        (Kind.SBOM, "linux/arm64"),
    ]
    paths = ["dist/sbom.linux-amd64.cdx.json", "dist/sbom.linux-arm64.cdx.json"]
    assert [artifact.path for artifact in outcome.artifacts] == paths
    assert [json.loads((job.root / path).read_bytes()) for path in paths] == [
        item.predicate for item in outcome.evidence
    ]
    assert outcome.finding.startswith(
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
    assert component(document, "core")["supplier"] == {"name": "Ann", "contact": [{"email": "ann@example.org"}]}


def test_every_debian_package_is_there_with_purl_hash_and_source(document):
    found = component(document, "python3.13-minimal")
    assert found["purl"] == "pkg:deb/debian/python3.13-minimal@3.13.5-2%2Bdeb13u5?arch=amd64&distro=trixie"
    assert found["hashes"][0]["alg"] == "SHA-256"
    assert {"name": "gatehouse:source", "value": "python3.13 3.13.5-2+deb13u5"} in found["properties"]
    assert found["supplier"]["name"] == "Debian"
    assert found["manufacturer"] == {"name": "Ada Maintainer", "contact": [{"email": "ada@example.org"}]}
    assert len(found["hashes"][1]["content"]) == 128


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
    assert lacking_ntia(document) == []
    assert document["metadata"]["timestamp"] == "2026-01-02T03:04:05Z"  # the commit's, not the clock's


def test_of_the_elements_of_bsi_it_lacks_what_the_packages_themselves_do_not_say(document, outcome):
    assert lacking_bsi(document) == ["pkg:pypi/core@2.1: licences by SPDX", "pkg:pypi/web@1.0: creator"]
    assert outcome.status is Status.WARNED
    assert outcome.problems[0].message == (
        "SBOM of linux/amd64: without all of BSI TR-03183-2 (got 2 fields too few, the first "
        "pkg:pypi/core@2.1: licences by SPDX, expected every field)"
    )


def test_every_file_has_its_name_and_properties_by_bsis_taxonomy(document):
    said = {item["name"]: item["value"] for item in component(document, "web")["properties"]}
    assert said == {
        "bsi:component:filename": "web-1.0-py3-none-any.whl",
        "bsi:component:executable": "executable",
        "bsi:component:archive": "archive",
        "bsi:component:structured": "structured",
    }
    tzdata = {item["name"]: item["value"] for item in component(document, "tzdata")["properties"]}
    assert tzdata["bsi:component:executable"] == "non-executable"


def test_the_application_is_the_image_that_is_deployed(job, document):
    application = document["metadata"]["component"]
    content = (job.dist / "image.tar").read_bytes()
    assert application["hashes"][0] == {"alg": "SHA-256", "content": sha256(content)}
    assert application["licenses"] == [{"expression": "MIT", "acknowledgement": "declared"}]
    assert application["supplier"] == {"name": "Ann's team", "url": ["https://example.org/team"]}
    assert {"name": "gatehouse:manifest", "value": Archive(job.dist / "image.tar").platforms["linux/amd64"]} in (
        application["properties"]
    )


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
    assert [describe(job, item.platform) for item in outcome.evidence] == [item.predicate for item in outcome.evidence]


def test_another_tree_gives_another_serial_number(job, outcome):
    made = job.read_record("image").outcome
    other = replace(job, source=job.source.model_copy(update={"tree": "f" * 40}))
    record(other, made)
    try:
        assert describe(other, "linux/amd64")["serialNumber"] != outcome.evidence[0].predicate["serialNumber"]
    finally:
        record(job, made)


def test_a_component_that_is_left_out_is_refused_by_name(document, inventory):
    cut = copy.deepcopy(document)
    cut["components"] = [item for item in cut["components"] if item["name"] != "core"]
    for locked, differs in (({"python core 2.1"}, "what a lock names"), (set(), "what the image holds")):
        with pytest.raises(Refused, match=differs) as raised:
            sbom.check_components(cut, locked, inventory)
        assert raised.value.code == "sbom.missing-component"
        assert "(got a difference in python core 2.1, " in raised.value.message


def test_a_component_that_the_image_does_not_hold_is_refused_by_name(document, job):
    tree = {path: entry for path, entry in tree_of(job).items() if "core-2.1.dist-info" not in path}
    with pytest.raises(Refused) as raised:
        sbom.check_components(document, set(), read_inventory(tree))
    assert raised.value.code == "sbom.not-in-image"
    assert "names what the image does not hold (got a difference in python core 2.1, " in raised.value.message


@pytest.mark.parametrize("gone", ["status.d/tzdata", "core-2.1.dist-info"])
def test_an_image_that_lacks_what_is_locked_is_refused(job, gone):
    tree = {path: entry for path, entry in tree_of(job).items() if gone not in path}
    with pytest.raises(Refused) as raised:
        describe(job, "linux/amd64", tree)
    assert raised.value.code == "sbom.missing-component"


def test_what_no_lock_names_is_listed_and_said_to_be_so(job):
    added = {
        "usr/local/lib/python3.13/dist-packages/extra-3.dist-info/METADATA": file(
            b"Name: extra\nVersion: 3\nRequires-Dist: core\nRequires-Dist: absent\n"
        ),
        "var/lib/dpkg/status.d/curl": file(b"Package: curl\nVersion: 8\nArchitecture: amd64\nDepends: tzdata\n"),
    }
    document = describe(job, "linux/amd64", {**tree_of(job), **added})
    for name, purl in (("extra", "pkg:pypi/extra@3"), ("curl", "pkg:deb/debian/curl@8?arch=amd64&distro=trixie")):
        found = component(document, name)
        assert found["purl"] == purl
        assert {"name": "gatehouse:locked", "value": "false"} in found["properties"]
        assert "hashes" not in found
    assert needs(document, "pkg:pypi/extra@3") == ["pkg:pypi/core@2.1"]
    assert "pkg:pypi/extra@3" in needs(document, "pkg:generic/service@1.0.0")
    assert "pkg:pypi/extra@3: SHA-512 of the deployable form" in lacking_bsi(document)


def test_a_need_that_the_lock_does_not_meet_is_refused(job):
    path = "usr/local/lib/python3.13/dist-packages/web-1.0.dist-info/METADATA"
    tree = {**tree_of(job), path: file(b"Name: web\nVersion: 1.0\nRequires-Dist: absent\n")}
    with pytest.raises(Refused, match="leaves out what web needs"):
        describe(job, "linux/amd64", tree)


BASE = "pkg:oci/python@sha256%3A" + "a" * 64 + "?repository_url=registry.example/python"


@pytest.fixture(scope="module")
def foreign(job):
    """The document of the same service on somebody else's image."""
    removed = ("var/lib/dpkg/", "usr/bin/")
    tree = {path: entry for path, entry in tree_of(job).items() if not path.startswith(removed)}
    status = b"Package: libc6\nStatus: install ok installed\nVersion: 2.36\nArchitecture: amd64\n"
    tree |= {
        "etc/os-release": file(b"ID=debian\nVERSION_CODENAME=bookworm\n"),
        "usr/local/bin/python3.13": file(b"", executable=True),
        "var/lib/dpkg/status": file(status),
    }
    found, locked = read_inventory(tree), list(read_lock(job.root, "requirements.txt").values())
    built = replace(read_image(job, step="sbom"), base=BASE)
    contents = gather(job, locked, built, "linux/amd64", tree, found)
    document = sbom.describe(job, contents)
    sbom.check_components(document, sbom.wanted(contents, locked, found), found)
    return document


def test_a_foreign_base_is_a_component_with_everything_that_it_brought(foreign):
    assert component(foreign, "libc6")["purl"] == "pkg:deb/debian/libc6@2.36?arch=amd64&distro=bookworm"
    versions = [item["version"] for item in foreign["components"] if item["name"] == "python"]
    assert versions == ["3.13", "sha256:" + "a" * 64]
    assert {BASE, "pkg:generic/python@3.13", "operating-system:debian-bookworm"} < set(
        needs(foreign, "pkg:generic/service@1.0.0")
    )
    assert lacking_ntia(foreign) == []


def test_a_document_that_does_not_fit_the_schema_is_refused_and_no_other(job, foreign):
    with pytest.raises(CannotEvaluate) as raised:
        sbom.check_schema(job, [foreign, foreign | {"author": "nobody"}])
    assert raised.value.code == "sbom.unreadable"
    assert '"errors":["Additional' in raised.value.message.replace('": [', '":[')
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
        direct_requirements(tmp_path)
    assert raised.value.code == "sbom.direct"

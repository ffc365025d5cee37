"""Each field that NTIA or BSI ask for is missed by its name where it is left out."""

import copy

import pytest

from pipeline.steps.sbom_elements import lacking_bsi, lacking_ntia

HASHES = [{"alg": "SHA-512", "content": "a" * 128}]


def component(ref):
    return {
        "type": "library",
        "bom-ref": ref,
        "name": ref,
        "version": "1",
        "purl": f"pkg:pypi/{ref}@1",
        "supplier": {"name": "Ann"},
        "manufacturer": {"name": "Ann", "contact": [{"email": "ann@example.org"}]},
        "licenses": [{"license": {"id": "MIT"}}],
        "hashes": HASHES,
        "externalReferences": [{"type": "distribution", "url": "x.whl", "hashes": HASHES}],
        "properties": [
            {"name": "bsi:component:filename", "value": "x.whl"},
            {"name": "bsi:component:executable", "value": "executable"},
            {"name": "bsi:component:archive", "value": "archive"},
            {"name": "bsi:component:structured", "value": "structured"},
        ],
    }


GOOD = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "serialNumber": "urn:uuid:1",
    "metadata": {
        "timestamp": "2026-01-02T03:04:05Z",
        "authors": [{"name": "Ann"}],
        "manufacturer": {"name": "Ann", "url": ["https://example.org"]},
        "component": component("app"),
    },
    "components": [
        component("lib"),
        {key: component("os")[key] for key in ("bom-ref", "name", "version", "supplier", "manufacturer")}
        | {"type": "operating-system"},
    ],
    "dependencies": [{"ref": "app"}, {"ref": "lib"}, {"ref": "os"}],
    "compositions": [{"aggregate": "complete", "dependencies": ["app", "lib", "os"]}],
}


@pytest.fixture
def document():
    return copy.deepcopy(GOOD)


def without(holder, key):
    del holder[key]


def test_a_document_with_everything_lacks_nothing(document):
    assert (lacking_ntia(document), lacking_bsi(document)) == ([], [])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: without(d["metadata"], "authors"), "document: author"),
        (lambda d: without(d["metadata"], "timestamp"), "document: timestamp"),
        (lambda d: without(d["components"][0], "supplier"), "lib: supplier"),
        (lambda d: without(d["components"][0], "name"), "lib: name"),
        (lambda d: without(d["components"][0], "version"), "lib: version"),
        (lambda d: without(d["components"][0], "purl"), "lib: unique identifier"),
        (lambda d: without(d["metadata"]["component"], "supplier"), "app: supplier"),
        (lambda d: d["dependencies"].pop(1), "lib: dependency relationship"),
    ],
)
def test_what_ntia_asks_for_is_missed_by_name(document, change, said):
    change(document)
    assert lacking_ntia(document) == [said]


def set_property(document, name, value):
    for item in document["components"][0]["properties"]:
        if item["name"] == name:
            item["value"] = value


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.update(specVersion="1.5"), "document: format"),
        (lambda d: without(d["metadata"]["manufacturer"], "url"), "document: creator"),
        (lambda d: without(d["metadata"], "timestamp"), "document: timestamp"),
        (lambda d: without(d, "serialNumber"), "document: SBOM-URI"),
        (lambda d: d.update(vulnerabilities=[]), "document: no vulnerabilities"),
        (lambda d: without(d["components"][0], "manufacturer"), "lib: creator"),
        (lambda d: d["components"][0]["manufacturer"].pop("contact"), "lib: creator"),
        (lambda d: without(d["components"][0], "name"), "lib: name"),
        (lambda d: without(d["components"][1], "version"), "os: version"),
        (lambda d: without(d["components"][0], "purl"), "lib: other unique identifiers"),
        (lambda d: d["compositions"][0]["dependencies"].remove("lib"), "lib: completeness of dependencies"),
        (lambda d: set_property(d, "bsi:component:filename", "a/x.whl"), "lib: filename"),
        (lambda d: set_property(d, "bsi:component:executable", "true"), "lib: executable"),
        (lambda d: d["components"][0]["properties"].pop(2), "lib: archive"),
        (lambda d: d["components"][0]["properties"].pop(3), "lib: structured"),
        (lambda d: without(d["components"][0], "licenses"), "lib: licences by SPDX"),
        (lambda d: d["components"][0].update(licenses=[{"license": {"name": "BSD"}}]), "lib: licences by SPDX"),
        (lambda d: without(d["components"][0], "hashes"), "lib: SHA-512 of the deployable form"),
        (lambda d: d["components"][0]["externalReferences"].pop(), "lib: SHA-512 of the deployable form"),
        (lambda d: without(d["metadata"]["component"], "licenses"), "app: licences by SPDX"),
    ],
)
def test_what_bsi_asks_for_is_missed_by_name(document, change, said):
    change(document)
    assert lacking_bsi(document) == [said]


@pytest.mark.parametrize(
    "choice", [{"expression": "MIT OR LicenseRef-x"}, {"license": {"name": "LicenseRef-debian-x"}}]
)
def test_expressions_and_references_are_spdxs(document, choice):
    document["components"][0]["licenses"] = [choice]
    assert lacking_bsi(document) == []

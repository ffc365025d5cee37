"""What the evidence of the real image says, held against the image as an outsider reads it: tar, gzip and JSON."""

import gzip
import io
import json
import os
import re
import tarfile
from dataclasses import replace

import pytest

from pipeline.image.hardening import ATTRIBUTES
from pipeline.steps.sbom_elements import lacking_bsi, lacking_ntia

pytestmark = pytest.mark.network
METADATA = re.compile(r"(?:\./)?usr/local/lib/python3\.\d+/dist-packages/[^/]+\.dist-info/METADATA")
STATUS = re.compile(r"(?:\./)?var/lib/dpkg/status\.d/[^/]+(?<!\.md5sums)")


@pytest.fixture(scope="module")
def document(warm):
    return json.loads((warm.root / "dist" / "sbom.linux-amd64.cdx.json").read_bytes())


def member(archive, name):
    content = archive.extractfile(name)
    assert content is not None
    return content.read()


@pytest.fixture(scope="module")
def installed(warm):
    """Name and version of everything that the files of the image's layers say is installed."""
    found = set()
    with tarfile.open(warm.root / "dist" / "image.tar") as image:
        manifest = json.loads(member(image, "manifest.json"))
        for name in manifest[0]["Layers"]:
            layer = io.BytesIO(gzip.decompress(member(image, name)))
            with tarfile.open(fileobj=layer) as files:
                for path in files.getnames():
                    if METADATA.fullmatch(path) or STATUS.fullmatch(path):
                        text = member(files, path).decode()
                        fields = dict(re.findall(r"(?m)^(Name|Package|Version): (.*)$", text.partition("\n\n")[0]))
                        found.add((fields.get("Name") or fields["Package"], fields["Version"]))
    return found


def locked(warm):
    base = json.loads((warm.root / "requirements" / "base.lock.json").read_bytes())
    wheels = re.findall(r"(?m)^([A-Za-z0-9._-]+)==([^ ;\\]+)", (warm.root / "requirements.txt").read_text())
    return {(package["name"], package["version"]) for package in base["packages"]["amd64"]} | set(wheels)


def test_lock_sbom_and_image_name_the_same(warm, document, installed):
    named = {(item["name"], item["version"]) for item in document["components"] if item["type"] == "library"}
    assert named == installed == locked(warm)
    assert len(named) > 20


def test_the_sbom_has_every_element_of_ntia_and_of_bsi(document):
    assert lacking_ntia(document) == []
    assert lacking_bsi(document) == []


def test_each_file_of_the_sbom_is_the_locked_one(warm, document):
    base = json.loads((warm.root / "requirements" / "base.lock.json").read_bytes())
    hashes = {package["sha256"] for package in base["packages"]["amd64"]}
    hashes |= set(re.findall(r"sha256:([0-9a-f]{64})", (warm.root / "requirements.txt").read_text()))
    for item in document["components"]:
        if item["type"] == "library":
            digests = {each["alg"]: each["content"] for each in item["hashes"]}
            assert digests["SHA-256"] in hashes, item["name"]
            assert len(digests["SHA-512"]) == 128


def test_the_hardening_evidence_says_what_the_layers_hold(warm, installed):
    record = json.loads((warm.root / ".gatehouse" / "steps" / "image.json").read_bytes())
    (hardening,) = [one["predicate"] for one in record["outcome"]["evidence"] if one["kind"] == "hardening"]
    assert {one["attribute"] for one in hardening["attributes"]} == set(ATTRIBUTES)
    measures = hardening["gatehouse_measures"]
    assert measures["packages"] + measures["distributions"] == len(installed)
    assert (measures["user"], measures["capabilities"], measures["secrets_accepted"]) == ("65532:65532", "", 0)
    assert measures["writable"] == "/home/nonroot /tmp /var/tmp"
    assert re.fullmatch(r"3\.13\.\d+", measures["python"])


def test_the_image_answers_every_request_that_pipeline_toml_declares(warm):
    record = json.loads((warm.root / ".gatehouse" / "steps" / "smoke.json").read_bytes())
    declared = len(re.findall(r"(?m)^\[\[smoke\]\]", (warm.root / "pipeline.toml").read_text()))
    passed = re.search(r"(\d+) checks passed", record["outcome"]["finding"])
    assert declared > 5
    assert passed is not None
    assert int(passed[1]) > declared
    assert '"path": "/api/rooms/' in (warm.root / "dist" / "reports" / "smoke.log").read_text()


#: What a RUN line may do on a base without a shell: here it installs a package by hand.
INSTALL = """\
RUN ["/usr/bin/python3", "-c", "import pathlib; p = pathlib.Path('/usr/local/lib/python3.13/dist-packages/\
extra-3.dist-info'); p.mkdir(); (p / 'METADATA').write_text('Name: extra\\\\nVersion: 3\\\\n')"]
"""


@pytest.mark.engine
def test_what_run_installs_is_in_the_sbom_and_such_an_image_runs_hardened_too(warm):
    """Last here: it leaves another image behind."""
    if "DOCKER_HOST" not in os.environ:
        pytest.skip("no engine is named: .ci/run starts one and sets DOCKER_HOST")
    clone = replace(warm, more={"DOCKER_HOST": os.environ["DOCKER_HOST"]})
    changes = {
        "pipeline.toml": ('builder = "composer"', 'builder = "engine"'),
        "sample_app/Dockerfile": ("USER ", f"{INSTALL}USER "),
    }
    before = {name: (warm.root / name).read_text() for name in changes}
    try:
        for name, (old, new) in changes.items():
            (warm.root / name).write_text(before[name].replace(old, new, 1))
        ended = clone.run("image", "sbom", "smoke")
    finally:
        for name, text in before.items():
            (warm.root / name).write_text(text)
    assert ended.code == 0, ended.output
    assert "checks passed, hardened, on " in ended.output
    assert "2 wheels, 23 Debian packages, all but 1 with the hash of a locked file" in ended.output
    document = json.loads((warm.root / "dist" / "sbom.linux-amd64.cdx.json").read_bytes())
    (extra,) = [item for item in document["components"] if item["name"] == "extra"]
    assert (extra["purl"], "hashes" in extra) == ("pkg:pypi/extra@3", False)
    assert {"name": "gatehouse:locked", "value": "false"} in extra["properties"]

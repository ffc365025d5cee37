import json
from importlib import import_module

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.model.digests import Digest
from pipeline.report import bundles
from pipeline.report.bundles import UNREADABLE, read_bundle, read_bundles


def test_a_bundle_is_shown_with_kind_result_signer_and_its_own_digest(root):
    found = {line.kind: line for line in read_bundles(root / "dist/bundles")}
    tests = found["tests"]
    assert (tests.signer, tests.issuer) == ("pipeline@gatehouse.localhost", "http://127.0.0.1:45678/oidc")
    assert tests.result == "PASSED"
    assert tests.digest == str(Digest.of((root / "dist/bundles/tests.json").read_bytes()))


def test_an_sbom_states_no_result(root):
    assert [line.result for line in read_bundles(root / "dist/bundles") if line.kind == "sbom"] == [""]


def test_no_folder_means_no_evidence(tmp_path):
    assert read_bundles(tmp_path / "absent") == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"[]",
        lambda content: json.dumps({**json.loads(content), "dsseEnvelope": {"payload": "!!"}}).encode(),
        lambda content: json.dumps({**json.loads(content), "verificationMaterial": {}}).encode(),
        lambda content: json.dumps(
            {**json.loads(content), "verificationMaterial": {"certificate": {"rawBytes": "AAAA"}}}
        ).encode(),
    ],
)
def test_a_damaged_bundle_is_a_line_that_says_so(root, damage):
    content = damage((root / "dist/bundles/tests.json").read_bytes())
    line = read_bundle("tests.json", content)
    assert (line.kind, line.signer) == (UNREADABLE, "")
    assert line.digest == str(Digest.of(content))


def test_a_bundle_beyond_the_limit_is_not_parsed(tmp_path, monkeypatch):
    monkeypatch.setattr(bundles, "MAX_BYTES", 100)
    (tmp_path / "large.json").write_bytes(b'{"x": "' + b"a" * 200 + b'"}')
    assert read_bundles(tmp_path)[0].kind == UNREADABLE


@settings(max_examples=50)
@given(st.binary(max_size=200))
def test_foreign_bytes_never_stop_the_report(content):
    assert import_module("pipeline.report.bundles").read_bundle("x", content).kind == UNREADABLE

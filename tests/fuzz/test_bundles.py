"""Bundles, statements and predicates of anybody, also of somebody who may sign: the gate answers, whatever it is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.gate.evidence import Memory
from pipeline.gate.judging import judge
from pipeline.gate.verdict import verdict_statement
from pipeline.gate.verification import verify_bundle
from pipeline.model.statement import parse_statement
from pipeline.signing.trust import load_trusted_root
from pipeline.store.referrers import attach
from tests.support import release
from tests.support.fuzzing import changed, fuzzed, nothing_written, only_documented, overwritten

STATEMENT = release.statement("tests", release.predicates()["tests"])
LISTED = release.pieces()
LIST = release.evidence_list({name: one.digest for name, one in LISTED.items() if name != "evidence-list"})
PREDICATES = {**release.predicates(), "evidence-list": LIST}


@pytest.fixture(scope="module", params=["rekor_v1", "rekor_v2"])
def signing(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def known(signing):
    return {"local": load_trusted_root(signing.trusted_root)}


@pytest.fixture(scope="module")
def bundle(signing):
    return signing.sign(STATEMENT)


@fuzzed
@given(data=st.data())
def test_a_bundle_with_other_fields(bundle, known, data):
    content = json.dumps(data.draw(changed(json.loads(bundle)))).encode()
    with only_documented(), nothing_written():
        verify_bundle(content, known)


@fuzzed
@given(data=st.data())
def test_a_bundle_with_other_bytes(bundle, known, data):
    content = data.draw(overwritten(bundle))
    with only_documented(), nothing_written():
        verify_bundle(content, known)


@fuzzed
@given(data=st.data())
def test_a_statement_with_other_bytes(data):
    content = data.draw(overwritten(STATEMENT))
    with only_documented(), nothing_written():
        parse_statement(content)


@fuzzed
@given(data=st.data())
def test_a_trusted_root_with_other_fields(rekor_v1, data):
    content = json.dumps(data.draw(changed(json.loads(rekor_v1.trusted_root)))).encode()
    with only_documented(), nothing_written():
        load_trusted_root(content)


@fuzzed
@given(
    data=st.data(), name=st.sampled_from(sorted(PREDICATES)), environment=st.sampled_from(["development", "staging"])
)
def test_whatever_somebody_signs_who_may_sign_is_judged(policy, data, name, environment):
    """No rule, list or check of the judge stops at what a predicate holds, and the verdict can be written down."""
    predicate = data.draw(changed(PREDICATES[name]))
    if not isinstance(predicate, dict) or not _is_text(predicate):
        return
    with nothing_written():
        made = {**LISTED, name: release.piece(name, predicate)}
        judgement = judge(release.IMAGE, list(made.values()), policy, environment, release.NOW, Memory())
        verdict_statement(judgement, "noticeboard")


def _is_text(predicate):
    """What cannot be UTF-8 cannot be signed."""
    try:
        release.statement("tests", predicate)
    except UnicodeEncodeError:
        return False
    return True


@fuzzed
@given(data=st.data())
def test_what_is_to_be_attached_is_looked_at_before_anything_is_written(stored, data):
    content = data.draw(overwritten(b'{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","dsseEnvelope":{}}'))
    with only_documented(), nothing_written():
        attach(stored.store, stored.image, content, release.NOW)

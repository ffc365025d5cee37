import base64
import contextlib
import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.errors import CannotEvaluate
from pipeline.signing.trust import expiring, load_trusted_root, parts, warnings

NOW = dt.datetime.now(dt.UTC)


@pytest.fixture(scope="module")
def content(rekor_v1):
    return rekor_v1.trusted_root


def changed(content, change):
    parsed = json.loads(content)
    change(parsed)
    return json.dumps(parsed).encode()


def ending(content, moment, *places):
    """The root with ``validFor.end`` at ``moment`` in the named lists."""

    def change(parsed):
        for place in places:
            for item in parsed[place]:
                (item.get("publicKey") or item)["validFor"]["end"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")

    return changed(content, change)


def test_every_part_of_a_root_is_listed(content):
    assert [(part.kind, part.name) for part in parts(load_trusted_root(content))] == [
        ("transparency log", "https://rekor-v1.local.gatehouse.invalid"),
        ("transparency log", "https://rekor-v2.local.gatehouse.invalid"),
        ("certificate log", "https://ct.local.gatehouse.invalid"),
        ("certificate authority", "https://fulcio.local.gatehouse.invalid"),
        ("timestamp authority", "https://tsa.local.gatehouse.invalid"),
    ]


def test_a_root_is_read_from_a_file(tmp_path, content):
    (tmp_path / "root.json").write_bytes(content)
    assert parts(load_trusted_root(tmp_path / "root.json")) == parts(load_trusted_root(content))


def test_a_file_that_is_not_there_is_unreadable(tmp_path):
    with pytest.raises(CannotEvaluate) as refusal:
        load_trusted_root(tmp_path / "root.json")
    assert refusal.value.code == "trust.unreadable"
    assert "No such file" in refusal.value.message


@pytest.mark.parametrize(
    "change",
    [
        lambda root: root.update(mediaType="application/json"),
        lambda root: root.update(extra=1),
        lambda root: root.update(tlogs=[]),
        lambda root: root.update(ctlogs=[]),
        lambda root: root.update(certificateAuthorities=[]),
        lambda root: root["tlogs"][0]["publicKey"].update(rawBytes=base64.b64encode(b"no key").decode()),
        lambda root: root["tlogs"][0]["publicKey"].pop("validFor"),
        lambda root: root["ctlogs"][0]["publicKey"].update(keyDetails="ROT13"),
        lambda root: root["certificateAuthorities"][0]["certChain"].update(certificates=[]),
        lambda root: root["timestampAuthorities"][0]["certChain"]["certificates"][0].update(rawBytes="AAAA"),
    ],
)
def test_a_root_with_an_unreadable_part_is_refused_whole(content, change):
    with pytest.raises(CannotEvaluate) as refusal:
        load_trusted_root(changed(content, change), what="root.json")
    assert refusal.value.code == "trust.unreadable"
    assert refusal.value.message.startswith("root.json: not usable (got ")
    assert "scripts/nox -s trust" in refusal.value.fix


def test_a_duplicate_key_is_refused(content):
    with pytest.raises(CannotEvaluate) as refusal:
        load_trusted_root(content.replace(b'"mediaType"', b'"mediaType": "x", "mediaType"', 1))
    assert refusal.value.code == "trust.unreadable"
    assert "duplicate key" in refusal.value.message


@given(start=st.integers(0, 4000), length=st.integers(1, 40), added=st.binary(max_size=3))
def test_a_damaged_root_is_refused_never_worse(start, length, added, content):
    # Any other error fails the test.
    with contextlib.suppress(CannotEvaluate):
        load_trusted_root(content[:start] + added + content[start + length :])


@pytest.mark.parametrize("place", ["tlogs", "ctlogs", "certificateAuthorities"])
def test_a_root_that_is_good_for_nothing_new_is_expired(content, place):
    old = ending(content, NOW - dt.timedelta(days=1), place)
    load_trusted_root(old)
    with pytest.raises(CannotEvaluate) as refusal:
        load_trusted_root(old, now=NOW)
    assert refusal.value.code == "trust.expired"
    assert f"{NOW - dt.timedelta(days=1):%Y-%m-%d}" in refusal.value.message
    assert "scripts/nox -s trust" in refusal.value.fix


def test_a_root_of_the_future_is_not_good_yet(content):
    with pytest.raises(CannotEvaluate) as refusal:
        load_trusted_root(content, now=NOW - dt.timedelta(days=2))
    assert refusal.value.code == "trust.expired"


@pytest.mark.parametrize(("days", "warned"), [(31, 0), (29, 2), (0.1, 2), (-1, 0)])
def test_what_ends_within_thirty_days_is_warned_of(content, days, warned):
    root = load_trusted_root(ending(content, NOW + dt.timedelta(days=days), "tlogs"))
    assert len(expiring(root, NOW)) == warned


def test_a_certificate_that_ends_before_its_authority_counts(content):
    root = load_trusted_root(content)
    end = next(part.end for part in parts(root) if part.kind == "certificate authority")
    assert end is not None
    assert {part.kind for part in expiring(root, end - dt.timedelta(days=3))} == {
        "certificate authority",
        "timestamp authority",
    }


def test_a_warning_says_what_ends_when_and_what_to_do(content):
    end = NOW + dt.timedelta(days=3)
    root = load_trusted_root(ending(content, end, "ctlogs"))
    expected = (
        f"root.json: certificate log https://ct.local.gatehouse.invalid ends on {end:%Y-%m-%d}; "
        "refresh it with `scripts/nox -s trust`"
    )
    assert warnings(root, NOW, "root.json") == [expected]

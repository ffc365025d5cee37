"""A registry that answers anything: with other documents, other headers, or no HTTP at all."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.digests import Digest
from pipeline.store.interface import INDEX, MANIFEST
from pipeline.store.registry import Registry
from tests.support.fuzzing import changed, fuzzed, nothing_written, only_documented, overwritten
from tests.support.loopback import Reply, loopback

IMAGE = {"schemaVersion": 2, "mediaType": MANIFEST, "config": {}, "layers": []}
LISTED = {
    "schemaVersion": 2,
    "mediaType": INDEX,
    "manifests": [{"mediaType": MANIFEST, "digest": "sha256:" + "1" * 64, "size": 7, "artifactType": "a/b"}],
}
SOME = Digest("1" * 64)
TAGS = {"name": "app", "tags": ["v1", "v2"]}
#: As ISO 8859-1 has it and a header line can hold it.
TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=40)
HEADERS = st.dictionaries(
    st.sampled_from(["Content-Type", "Docker-Content-Digest", "Link", "Location", "WWW-Authenticate", "Retry-After"]),
    TEXTS | st.sampled_from([f"{INDEX}; charset=utf-8", '</v2/app/tags/list?n=1>; rel="next"', "sha256:" + "1" * 64]),
    max_size=3,
)


class Anything:
    """What the server says to every request."""

    reply = Reply()


@pytest.fixture(scope="module")
def registry() -> Iterator[tuple[Anything, Registry]]:
    said = Anything()
    with loopback(lambda _: said.reply) as server:
        yield said, Registry(f"{server.host}/app", wait=lambda _: None, timeout=(5, 5))


def _ask(registry, reply: Reply) -> None:
    said, store = registry
    said.reply = reply
    for question in (lambda: store.resolve("v1"), lambda: store.listed(SOME), store.tags):
        with only_documented(), nothing_written(calls=True):
            question()


def test_good_answers_are_answers(registry):
    said, store = registry
    said.reply = Reply(body=json.dumps(LISTED).encode(), headers={"Content-Type": INDEX})
    assert store.resolve("v1").media_type == INDEX
    assert [str(one) for one in store.listed(SOME)] == ["sha256:" + "1" * 64]


@fuzzed
@given(data=st.data(), document=st.sampled_from([IMAGE, LISTED, TAGS]))
def test_other_documents(registry, data, document):
    body = json.dumps(data.draw(changed(document))).encode()
    kind = data.draw(st.sampled_from([INDEX, MANIFEST]))
    _ask(registry, Reply(body=body, headers={"Content-Type": kind}))


@fuzzed
@given(headers=HEADERS, status=st.sampled_from([200, 206, 301, 307, 401, 404, 405, 429, 503]))
def test_other_headers_and_statuses(registry, headers, status):
    _ask(registry, Reply(status=status, body=json.dumps(LISTED).encode(), headers=headers))


@fuzzed
@given(data=st.data())
def test_other_bytes(registry, data):
    good = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    _ask(registry, Reply(raw=data.draw(overwritten(good))))

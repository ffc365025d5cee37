"""What a registry may answer that is none of its own contents, and uploads that break. See also test_interface."""

import json

import pytest

from pipeline.model.digests import Digest
from pipeline.model.errors import CannotEvaluate, Misuse, Refused
from pipeline.store.interface import INDEX, MANIFEST
from pipeline.store.registry import Registry
from tests.support.loopback import Reply, loopback

CONTENT = b'{"schemaVersion":2,"mediaType":"%s","config":{},"layers":[]}' % MANIFEST.encode()
DIGEST = Digest.of(CONTENT)


def registry(server, **options):
    return Registry(f"{server.host}/team/app", timeout=(2, 2), wait=lambda _: None, **options)


def serve(**replies):
    """Replies by method; the last one stays."""
    left = {method: list(found) for method, found in replies.items()}

    def answer(request):
        found = left.get(request.method, [Reply(404)])
        return found.pop(0) if len(found) > 1 else found[0]

    return loopback(answer)


@pytest.mark.parametrize("address", ["", "host", "host/", "/repository"])
def test_an_address_needs_host_and_repository(address):
    with pytest.raises(Misuse) as refused:
        Registry(address)
    assert refused.value.code == "store.address"


@pytest.mark.parametrize("body", [b"<html>hotel wifi</html>", b"", b"[]", b"\xff\xfe"])
def test_a_page_in_place_of_a_manifest_is_garbage(body):
    with (
        serve(GET=[Reply(200, body, {"Content-Type": "text/html"})]) as server,
        pytest.raises(CannotEvaluate) as garbage,
    ):
        registry(server).resolve("1.0")
    assert garbage.value.code in ("registry.garbage", "store.malformed")
    assert garbage.value.exit_code == 3


def test_other_content_than_was_asked_for_is_refused():
    with serve(GET=[Reply(200, CONTENT + b" ", {"Content-Type": MANIFEST})]) as server:
        for read in (registry(server).manifest, registry(server).blob):
            with pytest.raises(Refused, match="content was changed or damaged") as refused:
                read(DIGEST)
            assert refused.value.code == "store.digest"


def test_a_tag_whose_digest_header_is_another_s_is_garbage():
    headers = {"Content-Type": MANIFEST, "Docker-Content-Digest": str(Digest.of(b"other"))}
    with serve(GET=[Reply(200, CONTENT, headers)]) as server, pytest.raises(CannotEvaluate) as garbage:
        registry(server).resolve("1.0")
    assert garbage.value.code == "registry.garbage"


def test_a_manifest_sent_as_an_index_is_refused():
    with serve(GET=[Reply(200, CONTENT, {"Content-Type": INDEX})]) as server, pytest.raises(CannotEvaluate) as refused:
        registry(server).resolve("1.0")
    assert refused.value.code == "store.malformed"


def test_a_manifest_is_fetched_once():
    with serve(GET=[Reply(200, CONTENT, {"Content-Type": MANIFEST})]) as server:
        store = registry(server)
        store.resolve("1.0")
        assert store.manifest(DIGEST) == CONTENT
    assert len(server.requests) == 1


def test_a_registry_without_the_referrers_api_lists_nothing_itself():
    for status in (404, 405):
        with serve(GET=[Reply(status)]) as server:
            assert registry(server).listed(DIGEST) is None


def entry(name):
    return {"mediaType": MANIFEST, "digest": str(Digest.of(name)), "size": 1}


def page(*names, **headers):
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry(name) for name in names]}
    return Reply(200, json.dumps(document).encode(), {"Content-Type": INDEX, **headers})


def test_every_page_of_the_referrers_api_is_read():
    pages = [page(b"one", Link='</v2/team/app/referrers/x?last=1>; rel="next"'), page(b"two", b"one")]
    with serve(GET=pages) as server:
        assert registry(server).listed(DIGEST) == [Digest.of(b"one"), Digest.of(b"two")]
    assert server.requests[1].path == "/v2/team/app/referrers/x?last=1"


def test_pages_without_end_are_garbage():
    with serve(GET=[page(b"one", Link='</again>; rel="next"')]) as server, pytest.raises(CannotEvaluate) as garbage:
        registry(server).listed(DIGEST)
    assert garbage.value.code == "registry.garbage"


@pytest.mark.parametrize(
    "body", [b"<html>", b"{}", b'{"manifests": {}}', CONTENT, b'{"manifests": [{"digest": "md5:1"}]}']
)
def test_referrers_that_are_no_index_are_garbage(body):
    with serve(GET=[Reply(200, body)]) as server, pytest.raises(CannotEvaluate) as garbage:
        registry(server).listed(DIGEST)
    assert garbage.value.code == "registry.garbage"


def test_every_page_of_the_tags_is_read():
    more = {"Link": '</v2/team/app/tags/list?last=b>; rel="next"'}
    pages = [Reply(200, b'{"name": "team/app", "tags": ["b", "a"]}', more), Reply(200, b'{"tags": ["c", "a"]}')]
    with serve(GET=pages) as server:
        assert registry(server).tags() == ["a", "b", "c"]
    assert server.requests[1].path == "/v2/team/app/tags/list?last=b"


@pytest.mark.parametrize("answer", [Reply(404), Reply(200, b'{"name": "team/app", "tags": null}')])
def test_a_repository_without_a_tag_has_none(answer):
    with serve(GET=[answer]) as server:
        assert registry(server).tags() == []


@pytest.mark.parametrize("body", [b"<html>", b'{"tags": 1}', b'{"tags": ["../up"]}', b'{"tags": [[]]}'])
def test_tags_that_are_none_are_garbage(body):
    with serve(GET=[Reply(200, body)]) as server, pytest.raises(CannotEvaluate) as garbage:
        registry(server).tags()
    assert garbage.value.code == "registry.garbage"


UPLOAD = Reply(202, headers={"Location": "/upload?_state=1"})


def test_an_upload_is_one_session_that_names_the_digest():
    with serve(HEAD=[Reply(404)], POST=[UPLOAD], PUT=[Reply(201)]) as server:
        stored = registry(server).put_blob(b"content")
    (put,) = server.asked("PUT")
    assert put.path == f"/upload?_state=1&digest=sha256%3A{stored.digest.hex}"
    assert put.body == b"content"
    assert put.headers["Content-Length"] == "7"


def test_a_blob_that_is_there_is_not_sent_again():
    with serve(HEAD=[Reply(200)]) as server:
        registry(server).put_blob(b"content")
    assert [request.method for request in server.requests] == ["HEAD"]


def test_a_broken_upload_is_started_anew_with_the_whole_content():
    with serve(HEAD=[Reply(404)], POST=[UPLOAD], PUT=[Reply(500), Reply(raw=b""), Reply(201)]) as server:
        registry(server).put_blob(b"content")
    assert len(server.asked("POST")) == 3
    assert [request.body for request in server.asked("PUT")] == [b"content"] * 3


def test_an_upload_that_arrived_although_its_answer_did_not_is_not_repeated():
    with serve(HEAD=[Reply(404), Reply(200)], POST=[UPLOAD], PUT=[Reply(500)]) as server:
        registry(server).put_blob(b"content")
    assert len(server.asked("PUT")) == 1


def test_an_upload_that_goes_on_breaking_is_told():
    with serve(HEAD=[Reply(404)], POST=[UPLOAD], PUT=[Reply(500)]) as server, pytest.raises(CannotEvaluate) as failing:
        registry(server).put_blob(b"content")
    assert failing.value.code == "registry.failing"


def test_a_refused_upload_is_not_repeated():
    with serve(HEAD=[Reply(404)], POST=[Reply(403)]) as server, pytest.raises(CannotEvaluate) as refused:
        registry(server).put_blob(b"content")
    assert refused.value.code == "registry.refused"
    assert len(server.asked("POST")) == 1


def test_an_upload_without_a_place_is_garbage():
    with serve(HEAD=[Reply(404)], POST=[Reply(202)]) as server, pytest.raises(CannotEvaluate) as garbage:
        registry(server).put_blob(b"content")
    assert garbage.value.code == "registry.garbage"


def test_a_manifest_that_the_registry_stored_otherwise_is_told():
    headers = {"Docker-Content-Digest": str(Digest.of(b"reformatted"))}
    with serve(PUT=[Reply(201, headers=headers)]) as server, pytest.raises(CannotEvaluate) as changed:
        registry(server).put_manifest(CONTENT, MANIFEST)
    assert changed.value.code == "registry.garbage"

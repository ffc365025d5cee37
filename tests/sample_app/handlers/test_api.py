"""The JSON API over HTTP."""

import json

import pytest

JSON = {"Content-Type": "application/json"}


def test_a_room_is_made_and_listed(run):
    async def test(app):
        status, room = await app.api("/api/rooms", {"name": "Lobby"})
        assert (status, room["name"]) == (201, "Lobby")
        assert await app.api("/api/rooms") == (200, {"rooms": [room]})

    run(test)


def test_a_new_room_says_where_its_messages_are(run):
    async def test(app):
        response = await app.fetch("/api/rooms", method="POST", body=b'{"name": "Lobby"}', headers=JSON)
        assert await app.api(response.headers["Location"]) == (200, {"messages": []})

    run(test)


def test_messages_are_posted_and_read_in_pages(run):
    async def test(app):
        room = await app.room()
        for text in ("one", "two", "three"):
            await app.post(room, text)
        status, page = await app.api(f"/api/rooms/{room}/messages?after=1&limit=1")
        assert status == 200
        assert [(m["number"], m["author"], m["text"]) for m in page["messages"]] == [(2, "Ann", "two")]

    run(test)


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        ("/api/rooms", b'{"name": ""}', 400, {"code": "invalid", "message": "name: empty"}),
        ("/api/rooms", b"{", 400, {"code": "invalid", "message": "body: not one well-formed JSON object"}),
        ("/api/rooms", b'{"name": "Taken"}', 409, {"code": "conflict", "message": "name: taken by another room"}),
        ("/api/rooms?x=1", b'{"name": "a"}', 400, {"code": "invalid", "message": "'x': unknown parameter"}),
        (
            "/api/rooms/0123456789abcdef/messages",
            b'{"author": "A", "text": "b"}',
            404,
            {"code": "not-found", "message": "room: not found"},
        ),
        ("/api/rooms/short/messages", b"{}", 404, {"code": "not-found", "message": "address: not found"}),
    ],
)
def test_what_cannot_be_done_is_said_in_json(run, path, body, status, error):
    async def test(app):
        await app.room("Taken")
        response = await app.fetch(path, method="POST", body=body, headers=JSON)
        assert (response.code, json.loads(response.body)) == (status, {"error": error})

    run(test)


def test_rooms_past_the_bound_are_refused(run):
    async def test(app):
        await app.room("a")
        status, body = await app.api("/api/rooms", {"name": "b"})
        assert (status, body["error"]["code"]) == (503, "overloaded")

    run(test, max_rooms=1)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_body_that_a_form_of_another_site_could_send_is_refused(run, content_type):
    async def test(app):
        headers = {"Content-Type": content_type}
        response = await app.fetch("/api/rooms", method="POST", body=b'{"name": "a"}', headers=headers)
        assert (response.code, json.loads(response.body)["error"]["code"]) == (415, "unsupported-media-type")
        assert await app.api("/api/rooms") == (200, {"rooms": []})

    run(test)


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_another_sites_request_is_refused(run, headers):
    async def test(app):
        response = await app.fetch("/api/rooms", method="POST", body=b'{"name": "a"}', headers=JSON | headers)
        assert response.code == 403

    run(test)


def test_a_file_upload_is_refused_unparsed(run):
    async def test(app):
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        response = await app.fetch("/api/rooms", method="POST", body=b"--b--\r\n", headers=headers)
        assert response.code == 400

    run(test)


@pytest.mark.parametrize(("method", "status"), [("PUT", 405), ("DELETE", 405), ("TRACE", 405), ("BREW", 405)])
def test_other_methods_are_not_allowed(run, method, status):
    async def test(app):
        assert (await app.fetch("/api/rooms", method=method)).code == status

    run(test)

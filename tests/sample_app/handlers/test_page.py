"""The page, as a browser without JavaScript uses it."""

import base64
import hashlib
import re

import pytest

from sample_app.security import HEADERS, XSRF_COOKIE


def test_a_room_is_opened_and_written_to_with_forms_alone(run):
    async def test(app):
        opened = await app.form("/", {"name": "Lobby"})
        assert opened.code == 303
        room = opened.headers["Location"]
        posted = await app.form(room, {"author": "Ann", "text": "one\r\ntwo"})
        assert (posted.code, posted.headers["Location"]) == (303, room)
        page = (await app.fetch(room)).body.decode()
        assert "<strong>Ann</strong>" in page
        assert '<p class="text">one\ntwo</p>' in page
        assert f'<a href="{room}">Lobby</a>' in (await app.fetch("/")).body.decode()

    run(test)


def test_what_people_write_is_escaped(run):
    async def test(app):
        attack = "<script>alert(1)</script>\"'&"
        opened = await app.form("/", {"name": attack})
        await app.form(opened.headers["Location"], {"author": attack[:40], "text": attack})
        for path in ("/", opened.headers["Location"]):
            page = (await app.fetch(path)).body.decode()
            assert "<script>alert" not in page
            assert "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&amp;" in page

    run(test)


def test_a_form_with_a_mistake_comes_back_with_what_was_typed(run):
    async def test(app):
        response = await app.form("/", {"name": "x" * 65})
        page = response.body.decode()
        assert response.code == 400
        assert "name: longer than 64 characters" in page
        assert f'value="{"x" * 65}"' in page
        room = (await app.form("/", {"name": "Lobby"})).headers["Location"]
        response = await app.form(room, {"author": "Ann", "text": "a\tb"})
        assert response.code == 400
        assert ">\na\tb</textarea>" in response.body.decode()
        assert 'value="Ann"' in response.body.decode()

    run(test)


def test_a_name_that_is_taken_is_said_beside_the_form(run):
    async def test(app):
        await app.room("Lobby")
        response = await app.form("/", {"name": "lobby"})
        assert response.code == 409
        assert 'role="alert" id="problem">name: taken by another room' in response.body.decode()

    run(test)


@pytest.mark.parametrize("path", ["/nowhere", "/rooms/0123456789abcdef", "/rooms/../etc/passwd", "/static/../logs.py"])
def test_a_page_that_is_not_there_is_a_page(run, path):
    async def test(app):
        response = await app.fetch(path)
        assert response.code == 404
        assert "<h1>404</h1>" in response.body.decode()

    run(test)


def test_posting_to_a_room_that_is_not_there_is_a_404(run):
    async def test(app):
        assert (await app.form("/rooms/0123456789abcdef", {"author": "A", "text": "b"})).code == 404
        assert (await app.fetch("/nowhere", method="POST", body=b"")).code == 404

    run(test)


def test_a_form_without_its_token_is_refused(run):
    async def test(app):
        response = await app.submit("/", {"name": "Lobby"})
        assert response.code == 403
        response = await app.submit("/", {"name": "Lobby", "_xsrf": "x" * 32}, Cookie=f"{XSRF_COOKIE}={'y' * 32}")
        assert response.code == 403
        assert (await app.api("/api/rooms"))[1] == {"rooms": []}

    run(test)


def test_a_form_of_another_site_is_refused_even_with_a_token(run):
    async def test(app):
        assert (await app.form("/", {"name": "Lobby"}, Origin="https://evil.example")).code == 403

    run(test)


def test_a_form_that_is_not_a_form_is_refused(run):
    async def test(app):
        response = await app.form("/", {"name": "Lobby"}, **{"Content-Type": "text/plain"})
        assert response.code == 403  # the token inside was not read
        response = await app.form("/?x=1", {"name": "Lobby"})
        assert response.code == 400

    run(test)


def test_the_token_cookie_is_bound_to_the_host_and_hidden_from_scripts(run):
    async def test(app):
        cookie = (await app.fetch("/")).headers["Set-Cookie"]
        assert cookie.startswith("__Host-xsrf=")
        assert {"HttpOnly", "Path=/", "SameSite=Strict", "Secure"} == set(cookie.split("; ")[1:])

    run(test)


@pytest.mark.parametrize("path", ["/", "/api/rooms", "/nowhere", "/healthz", "/api/nowhere"])
def test_every_answer_carries_the_security_headers(run, path):
    async def test(app):
        headers = (await app.fetch(path)).headers
        assert {name: headers.get(name) for name in HEADERS} == HEADERS
        assert "Server" not in headers
        assert re.fullmatch(r"[0-9a-f]{16}", headers["X-Request-Id"])

    run(test)


def test_no_page_holds_inline_script_or_style(run):
    async def test(app):
        room = await app.room()
        for path in ("/", f"/rooms/{room}", "/nowhere"):
            page = (await app.fetch(path)).body.decode()
            assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son[a-z]+=|javascript:", page)

    run(test)


def test_static_files_are_what_their_integrity_says(run):
    async def test(app):
        room = await app.room()
        page = (await app.fetch(f"/rooms/{room}")).body.decode()
        named = re.findall(r'(?:src|href)="(/static/[^"]+)"(?: integrity="([^"]+)")?', page)
        assert [integrity[:7] for url, integrity in named if not url.endswith(".svg")] == ["sha384-", "sha384-"]
        for url, integrity in named:
            response = await app.fetch(url)
            digest = base64.b64encode(hashlib.sha384(response.body).digest()).decode()
            assert integrity in {"", f"sha384-{digest}"}
            assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"

    run(test)


def test_a_static_file_under_another_version_is_not_found(run):
    async def test(app):
        assert (await app.fetch("/static/0123456789abcdef/live.js")).code == 404

    run(test)


def test_the_page_names_its_language_and_labels_its_fields(run):
    async def test(app):
        page = (await app.fetch(f"/rooms/{await app.room()}")).body.decode()
        assert '<html lang="en">' in page
        assert set(re.findall(r'<label for="(\w+)"', page)) == set(re.findall(r'<(?:input|textarea) id="(\w+)"', page))
        assert page.index('class="skip"') < page.index("<header")

    run(test)

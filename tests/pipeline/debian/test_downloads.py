import hashlib
from pathlib import Path

import pytest

from pipeline.debian import downloads
from pipeline.debian.downloads import Wanted, fetch, fetch_all
from pipeline.model.errors import CannotEvaluate
from tests.support.loopback import Reply, loopback

CONTENT = bytes(range(256)) * 64
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def wanted(*addresses):
    return Wanted("libx 1.0", DIGEST, len(CONTENT), addresses)


def quiet(_):
    pass


def refusal(item, cache):
    with pytest.raises(CannotEvaluate) as refused:
        fetch_all([item], cache, say=quiet)
    assert not [path for path in cache.iterdir() if path.name == item.sha256]
    return refused.value


def test_a_file_is_kept_by_its_hash_and_not_fetched_again(tmp_path):
    with loopback(lambda _: Reply(200, CONTENT)) as server:
        for _ in range(2):
            assert fetch_all([wanted(f"{server.origin}/a")], tmp_path, say=quiet)[DIGEST].read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_a_damaged_file_in_the_cache_is_fetched_again(tmp_path):
    (tmp_path / DIGEST).write_bytes(CONTENT[:-1] + b"!")
    with loopback(lambda _: Reply(200, CONTENT)) as server:
        assert fetch_all([wanted(f"{server.origin}/a")], tmp_path, say=quiet)[DIGEST].read_bytes() == CONTENT


def test_what_the_mirror_lost_comes_from_the_snapshot(tmp_path):
    with loopback(lambda r: Reply(200, CONTENT) if r.path.startswith("/snapshot") else Reply(404)) as server:
        item = wanted(f"{server.origin}/mirror/a", f"{server.origin}/snapshot/a")
        assert fetch_all([item], tmp_path, say=quiet)[DIGEST].read_bytes() == CONTENT
    assert [request.path for request in server.requests] == ["/mirror/a", "/snapshot/a"]


def test_a_download_that_was_cut_off_is_resumed(tmp_path):
    def answer(request):
        start = int(request.headers.get("Range", "bytes=0-")[6:-1])
        if start == 0:
            return Reply(200, CONTENT[:5000], announce=len(CONTENT))
        return Reply(206, CONTENT[start:])

    with loopback(answer) as server:
        fetch_all([wanted(f"{server.origin}/a")], tmp_path, say=quiet)
    assert [request.headers.get("Range") for request in server.requests] == [None, "bytes=5000-"]


def test_a_server_without_ranges_is_read_from_the_start(tmp_path):
    (tmp_path / f"{DIGEST}.part").write_bytes(CONTENT[:100])
    with loopback(lambda _: Reply(200, CONTENT)) as server:
        assert fetch_all([wanted(f"{server.origin}/a")], tmp_path, say=quiet)[DIGEST].read_bytes() == CONTENT


def test_a_package_that_is_gone_everywhere_says_where_it_was_looked_for(tmp_path):
    with loopback(lambda _: Reply(404)) as server:
        error = refusal(wanted(f"{server.origin}/mirror", f"{server.origin}/snapshot"), tmp_path)
    assert error.code == "download.unreachable"
    assert error.message.startswith(f"libx 1.0: not fetched (got status 404 from {server.host}, expected")
    assert "scripts/nox -s lock -- base" in error.fix


def test_other_content_of_the_right_size_is_refused_and_not_kept(tmp_path):
    with loopback(lambda _: Reply(200, CONTENT[::-1])) as server:
        error = refusal(wanted(f"{server.origin}/a"), tmp_path)
    assert error.code == "download.wrong-content"
    assert not (tmp_path / f"{DIGEST}.part").exists()


def test_more_than_the_locked_size_is_not_read(tmp_path):
    with loopback(lambda _: Reply(200, CONTENT * 2)) as server:
        error = refusal(wanted(f"{server.origin}/a"), tmp_path)
    assert "more bytes than locked" in error.message


def test_a_truncated_download_is_refused_after_its_attempts(tmp_path):
    with loopback(lambda _: Reply(200, CONTENT[:10])) as server:
        error = refusal(wanted(f"{server.origin}/a"), tmp_path)
    assert error.code == "download.unreachable"
    assert "10 bytes" in error.message
    assert len(server.requests) == downloads.ATTEMPTS


def test_a_server_in_trouble_is_asked_again(tmp_path):
    answers = iter([Reply(503), Reply(200, CONTENT)])
    with loopback(lambda _: next(answers)) as server:
        fetch_all([wanted(f"{server.origin}/a")], tmp_path, say=quiet)
    assert len(server.requests) == 2


def test_a_silent_server_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "TIMEOUT", (1.0, 0.1))
    monkeypatch.setattr(downloads, "ATTEMPTS", 1)
    with loopback(lambda _: Reply(200, CONTENT, hang=5)) as server:
        assert "ReadTimeout" in refusal(wanted(f"{server.origin}/a"), tmp_path).message


def test_a_full_disk_is_told_as_one(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    with loopback(lambda _: Reply(200, CONTENT)) as server:
        assert refusal(wanted(f"{server.origin}/a"), tmp_path).code == "files.full"


def test_a_credential_in_an_address_is_never_told(tmp_path):
    with loopback(lambda _: Reply(404)) as server:
        error = refusal(wanted(f"http://user:hidden@{server.host}/a"), tmp_path)
    assert "hidden" not in str(error)


def test_a_small_document_is_fetched_whole():
    with loopback(lambda _: Reply(200, b"text")) as server:
        assert fetch(f"{server.origin}/x", what="x", limit=4) == b"text"
    assert [request.headers["Accept-Encoding"] for request in server.requests] == ["identity"]


@pytest.mark.parametrize("reply", [Reply(404), Reply(200, b"too long"), Reply(200, b"x", announce=4)])
def test_a_small_document_that_is_absent_too_long_or_cut_is_refused(reply):
    with loopback(lambda _: reply) as server, pytest.raises(CannotEvaluate) as refused:
        fetch(f"{server.origin}/x", what="InRelease", limit=4)
    assert refused.value.code == "download.unreachable"
    assert refused.value.message.startswith("InRelease: not fetched")


def test_a_wrong_beginning_left_by_an_earlier_run_does_no_harm(tmp_path):
    (tmp_path / f"{DIGEST}.part").write_bytes(b"wrong")

    def answer(request):
        start = int(request.headers.get("Range", "bytes=0-")[6:-1])
        return Reply(206 if start else 200, CONTENT[start:])

    with loopback(answer) as server:
        assert fetch_all([wanted(f"{server.origin}/a")], tmp_path, say=quiet)[DIGEST].read_bytes() == CONTENT

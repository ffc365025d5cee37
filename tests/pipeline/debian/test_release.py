import hashlib
import lzma
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.debian.release import Release, Suite, load_keys, read_packages, read_release, suites_of, verify_signature
from pipeline.model.errors import CannotEvaluate, GatehouseError, Refused
from tests.support.debian import NOW, clear_sign, key, write_keys

SUITE = Suite("debian", "trixie-updates", expires=True)
TEXT = """\
Codename: trixie-updates
Date: Fri, 20 Nov 2026 02:11:10 UTC
Valid-Until: Fri, 27 Nov 2026 02:11:10 UTC
SHA256:
 {} 12 main/binary-amd64/Packages.xz
""".format("a" * 64)


def certs(*names):
    return [key(name).extract_certificate() for name in names]


def refusal(call, *arguments, **named):
    with pytest.raises(Refused) as refused:
        call(*arguments, **named)
    return refused.value


def read(text=TEXT, *, suite=SUITE, now=NOW, not_before=None):
    return read_release(text.encode(), suite, now=now, not_before=not_before)


class TestTheSignature:
    def test_only_the_signed_text_is_returned(self):
        signed = b"unsigned before\n" + clear_sign(b"signed\n", "debian") + b"unsigned behind\n"
        assert verify_signature(signed, certs("debian"), what="x") == b"signed\n"

    def test_changed_text_is_refused(self):
        signed = clear_sign(b"Date: today\n", "debian").replace(b"today", b"never")
        error = refusal(verify_signature, signed, certs("debian"), what="InRelease of trixie")
        assert error.code == "base.signature"
        assert error.message.startswith("InRelease of trixie: not trusted (got ")
        assert "\n" not in error.message

    def test_a_key_that_is_not_vendored_is_refused(self):
        signed = clear_sign(b"text\n", "stranger")
        assert refusal(verify_signature, signed, certs("debian"), what="x").code == "base.signature"

    def test_unsigned_text_is_refused(self):
        assert refusal(verify_signature, b"Date: today\n", certs("debian"), what="x").code == "base.signature"

    @given(st.binary(max_size=300))
    def test_no_bytes_pass_or_crash(self, content):
        with pytest.raises(Refused):
            verify_signature(content, certs("debian"), what="x")


class TestTheKeys:
    def test_each_archive_has_its_own(self, tmp_path):
        folder = write_keys(tmp_path)
        (cert,) = load_keys(folder, "debian-security")
        assert cert.fingerprint == key("debian-security").extract_certificate().fingerprint

    def test_a_key_that_is_not_the_listed_one_is_refused(self, tmp_path):
        folder = write_keys(tmp_path)
        (folder / "debian.gpg").write_bytes(bytes(key("stranger").extract_certificate()))
        with pytest.raises(CannotEvaluate, match="has fingerprint") as refused:
            load_keys(folder, "debian")
        assert refused.value.code == "base.keys"

    @pytest.mark.parametrize("damage", ["", "short line\n", "A  debian  absent.gpg\n"])
    def test_a_list_without_usable_keys_is_refused(self, tmp_path, damage):
        (tmp_path / "fingerprints.txt").write_text(damage)
        with pytest.raises(CannotEvaluate) as refused:
            load_keys(tmp_path, "debian")
        assert refused.value.code == "base.keys"

    def test_the_repositorys_keys_are_the_listed_ones(self, root):
        for archive, count in (("debian", 2), ("debian-security", 1)):
            assert len(load_keys(root / "requirements" / "keys", archive)) == count


class TestInRelease:
    def test_it_names_its_date_and_files(self):
        release = read()
        assert release.date == datetime(2026, 11, 20, 2, 11, 10, tzinfo=UTC)
        assert release.hashes == {"main/binary-amd64/Packages.xz": "a" * 64}

    def test_another_suite_is_refused(self):
        error = refusal(read, TEXT.replace("trixie-updates", "sid"))
        assert error.code == "base.other-suite"
        assert "got Codename sid, expected trixie-updates" in error.message

    def test_past_valid_until_it_is_refused(self):
        assert refusal(read, now=NOW + timedelta(days=7)).code == "base.expired"

    def test_without_valid_until_updates_and_security_are_refused(self):
        assert refusal(read, TEXT.replace("Valid-Until", "Other")).code == "base.expired"

    def test_a_released_suite_itself_has_none(self):
        text = TEXT.replace("Valid-Until", "Other").replace("trixie-updates", "trixie")
        assert read(text, suite=suites_of("trixie")[0]).date

    def test_a_date_in_the_future_is_refused(self):
        assert refusal(read, now=datetime(2026, 11, 20, tzinfo=UTC)).code == "base.future"

    def test_a_date_before_the_locks_is_refused(self):
        error = refusal(read, not_before=datetime(2026, 11, 20, 2, 11, 11, tzinfo=UTC))
        assert error.code == "base.rollback"
        assert "expected not before 2026-11-20 02:11:11 UTC" in error.message

    def test_the_same_date_is_no_rollback(self):
        assert read(not_before=datetime(2026, 11, 20, 2, 11, 10, tzinfo=UTC))

    @pytest.mark.parametrize(
        "text", ["", "Codename: x\n", TEXT.replace("Date: Fri, 20 Nov", "Date: someday"), TEXT + "\n" + TEXT]
    )
    def test_what_is_no_release_is_refused(self, text):
        assert refusal(read, text).code == "base.malformed"

    @given(st.text(max_size=200))
    def test_any_text_is_refused_with_a_code(self, text):
        with pytest.raises(GatehouseError):
            read(text)


class TestPackages:
    PATH = "main/binary-amd64/Packages.xz"
    STANZA = "Package: a\nVersion: 1\nArchitecture: all\nFilename: pool/a.deb\nSize: 1\nSHA256: 00\n"
    CONTENT = lzma.compress(STANZA.encode())

    def release(self, digest, *, by_hash=False):
        return Release(SUITE, NOW, {self.PATH: digest} if digest else {}, by_hash)

    def digest(self):
        return hashlib.sha256(self.CONTENT).hexdigest()

    def test_they_are_fetched_under_their_hash(self):
        asked = []

        def fetch(path):
            asked.append(path)
            return self.CONTENT

        found = read_packages(self.release(self.digest(), by_hash=True), "amd64", fetch)
        assert [(stanza["Package"], stanza["Version"]) for stanza in found] == [("a", "1")]
        assert asked == [f"main/binary-amd64/by-hash/SHA256/{self.digest()}"]

    def test_other_content_than_the_signed_hash_is_refused(self):
        error = refusal(read_packages, self.release("b" * 64), "amd64", lambda _: self.CONTENT)
        assert error.code == "base.index-hash"

    def test_an_index_that_the_release_does_not_name_is_refused(self):
        error = refusal(read_packages, self.release(""), "amd64", lambda _: self.CONTENT)
        assert error.code == "base.index-hash"
        assert "no hash in InRelease" in error.message

    @pytest.mark.parametrize(
        ("content", "got"),
        [
            (b"no xz", "Input format not supported"),
            (CONTENT[:-20], "an end before the index's"),
            (lzma.compress(b"Package: \xff\n"), "invalid start byte"),
            (lzma.compress(b"no field\n"), "neither a new field nor its continuation"),
            (lzma.compress(STANZA.replace("SHA256", "MD5sum").encode()), "a without SHA256"),
        ],
    )
    def test_what_is_no_index_is_refused_though_it_was_signed(self, content, got):
        release = self.release(hashlib.sha256(content).hexdigest())
        error = refusal(read_packages, release, "amd64", lambda _: content)
        assert error.code == "base.malformed"
        assert got in error.message

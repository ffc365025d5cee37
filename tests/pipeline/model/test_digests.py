"""Digests: one algorithm, one form."""

import pytest

from pipeline.model.digests import Digest

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_digest_of_bytes_reads_back():
    digest = Digest.of(b"")
    assert str(digest) == f"sha256:{EMPTY}"
    assert Digest.parse(str(digest)) == digest
    assert digest.short == EMPTY[:12]


@pytest.mark.parametrize(
    "text",
    [
        "",
        EMPTY,
        f"sha512:{EMPTY}",
        f"sha256:{EMPTY.upper()}",
        f"sha256:{EMPTY}0",
        "sha256:../../etc",
        "SHA256:" + EMPTY,
    ],
)
def test_any_other_form_is_refused(text):
    with pytest.raises(ValueError, match="digest: not"):
        Digest.parse(text)

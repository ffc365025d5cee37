import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.signing.local import der


@given(st.sampled_from([0x04, 0x30, 0xA0]), st.binary(max_size=70_000), st.binary(max_size=5))
def test_what_is_encoded_is_read_back(tag, body, rest):
    assert der.read(der.encode(tag, body) + rest) == (tag, body, rest)


@given(st.binary(max_size=40))
def test_foreign_bytes_are_read_or_refused_never_worse(content):
    try:
        tag, body, rest = der.read(content)
    except ValueError:
        return
    assert der.encode(tag, body) + rest == content


@given(st.integers(min_value=0, max_value=1 << 200))
def test_an_integer_is_never_negative_nor_padded(value):
    body = der.read(der.integer(value))[1]
    assert int.from_bytes(body, "big", signed=True) == value
    assert len(body) == 1 or body[0] or body[1] & 0x80


@pytest.mark.parametrize(
    ("dotted", "encoded"),
    [
        ("1.2.840.113549.1.7.2", "06092a864886f70d010702"),  # RFC 5652, signedData
        ("2.16.840.1.101.3.4.2.1", "0609608648016503040201"),  # NIST, SHA-256
        ("2.999.3", "0603883703"),  # X.690, section 8.19.5
    ],
)
def test_object_identifiers_are_the_published_ones(dotted, encoded):
    assert der.oid(dotted).hex() == encoded


@pytest.mark.parametrize("content", [b"", b"\x30", b"\x30\x02\x00", b"\x30\x80\x00\x00", b"\x30\x81\x05hello"])
def test_what_is_cut_short_or_not_in_shortest_form_is_refused(content):
    with pytest.raises(ValueError, match=r"^der: "):
        der.read(content)


def test_the_elements_of_a_set_are_in_order():
    assert der.set_of(der.octets(b"b"), der.octets(b"a")) == der.set_of(der.octets(b"a"), der.octets(b"b"))

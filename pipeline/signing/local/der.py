"""Just enough DER (X.690) for RFC 3161 timestamps and Fulcio's extensions."""

SEQUENCE = 0x30
SET = 0x31
INTEGER = 0x02
OCTET_STRING = 0x04
BOOLEAN = 0x01


def encode(tag: int, *parts: bytes) -> bytes:
    """One element: ``tag``, definite length, the parts one after the other."""
    body = b"".join(parts)
    size = len(body)
    if size < 0x80:
        return bytes((tag, size)) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + body


def sequence(*parts: bytes) -> bytes:
    return encode(SEQUENCE, *parts)


def set_of(*parts: bytes) -> bytes:
    """SET OF: DER orders the elements by their bytes (X.690, section 11.6)."""
    return encode(SET, *sorted(parts))


def octets(content: bytes) -> bytes:
    return encode(OCTET_STRING, content)


def integer(value: int) -> bytes:
    """A non-negative INTEGER."""
    return encode(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def utf8(text: str) -> bytes:
    return encode(0x0C, text.encode())


def oid(dotted: str) -> bytes:
    """OBJECT IDENTIFIER; the first two arcs share one number (X.690, section 8.19)."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    return encode(0x06, *(_base128(arc) for arc in (first * 40 + second, *rest)))


def _base128(arc: int) -> bytes:
    groups = [arc & 0x7F]
    while arc := arc >> 7:
        groups.append(0x80 | arc & 0x7F)
    return bytes(reversed(groups))


def read(content: bytes) -> tuple[int, bytes, bytes]:
    """Tag, body and what follows of the first element; ValueError where it is not DER."""
    if len(content) < 2:
        raise ValueError("der: element cut short")
    tag, size, start = content[0], content[1], 2
    if size & 0x80:
        start += size & 0x7F
        digits = content[2:start]
        size = int.from_bytes(digits, "big")
        if not 0 < len(digits) <= 4 or len(digits) != start - 2 or size < 0x80 or digits[0] == 0:
            raise ValueError("der: length not in its shortest definite form")
    if start + size > len(content):
        raise ValueError("der: element cut short")
    return tag, content[start : start + size], content[start + size :]


def elements(body: bytes) -> list[tuple[int, bytes]]:
    """The elements of a constructed body as (tag, body) pairs."""
    found = []
    while body:
        tag, content, body = read(body)
        found.append((tag, content))
    return found

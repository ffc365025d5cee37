import gzip

import pytest

from pipeline.image.foreign_base import (
    ForeignImage,
    Interpreter,
    Reference,
    find_interpreter,
    read_layers,
    read_reference,
)
from pipeline.image.layer import file, link, sha256, tar
from pipeline.model.errors import Refused

DIGEST = "sha256:" + "a" * 64
HERE = Reference("registry.example/python", DIGEST)
LAYER = tar({"a": file(b"a")}, time=0)
GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (f"registry.example/team/python@{DIGEST}", "registry.example/team/python"),
        (f"registry.example:5000/python:3.13-slim@{DIGEST}", "registry.example:5000/python"),
        (f"localhost/python@{DIGEST}", "localhost/python"),
        (f"python@{DIGEST}", "docker.io/library/python"),
        (f"team/python:3@{DIGEST}", "docker.io/team/python"),
    ],
)
def test_a_name_is_read_as_engines_read_it(text, address):
    assert read_reference(text) == Reference(address, DIGEST)
    assert str(read_reference(text)) == f"{address}@{DIGEST}"


@pytest.mark.parametrize(
    "text",
    ["python", "python:3.13", "python@sha256:aa", f"Python@{DIGEST}", f"-x/y@{DIGEST}", f"a//b@{DIGEST}", f"@{DIGEST}"],
)
def test_a_name_that_may_mean_another_image_tomorrow_is_refused(text):
    with pytest.raises(Refused) as refused:
        read_reference(text)
    assert refused.value.code == "dockerfile.base-without-digest"
    assert f"(got {text}, expected" in refused.value.message


def image(*layers, diff_ids=None):
    found = [sha256(LAYER) for _ in layers] if diff_ids is None else diff_ids
    return ForeignImage(HERE, DIGEST, {"rootfs": {"diff_ids": found}}, layers)


def test_a_gzipped_layer_stays_the_blob_that_it_is():
    packed = gzip.compress(LAYER)
    (layer,) = read_layers(image((GZIP, packed)))
    assert (layer.content, layer.digest, layer.diff_id) == (packed, sha256(packed), sha256(LAYER))


def test_a_plain_layer_is_compressed():
    (layer,) = read_layers(image(("application/vnd.oci.image.layer.v1.tar", LAYER)))
    assert gzip.decompress(layer.content) == LAYER
    assert layer.diff_id == sha256(LAYER)


@pytest.mark.parametrize(
    ("found", "got"),
    [
        (image((GZIP, gzip.compress(LAYER)), diff_ids=[DIGEST]), f"a layer of content {sha256(LAYER)}"),
        (image((GZIP, gzip.compress(LAYER)), diff_ids=[]), "1 layers"),
        (image((GZIP, gzip.compress(LAYER) * 2)), "a layer: not exactly one gzip stream"),
        (image((GZIP, b"no gzip")), "a layer: Error -3"),
        (image(("application/vnd.oci.image.layer.v1.tar+zstd", b"")), "a layer of type application/vnd.oci"),
        (image(("application/vnd.docker.image.rootfs.foreign.diff.tar", b"x")), f"a layer of content {sha256(b'x')}"),
    ],
)
def test_a_layer_that_is_not_what_the_image_says_is_refused(found, got):
    with pytest.raises(Refused) as refused:
        read_layers(found)
    assert refused.value.code == "base.layer"
    assert f"{HERE}: not a base to build on (got {got}" in refused.value.message


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ({"usr/local/bin/python3.13": file(b"")}, Interpreter("3.13", "usr/local/lib/python3.13/site-packages")),
        (
            {"usr/bin/python3.13": file(b""), "etc/os-release": file(b"NAME=x\nID=debian\n")},
            Interpreter("3.13", "usr/local/lib/python3.13/dist-packages"),
        ),
        (
            {
                "usr/bin/python3.12": file(b""),
                "etc/os-release": link("../usr/lib/os-release"),
                "usr/lib/os-release": file(b'ID=ubuntu\nID_LIKE="debian"\n'),
            },
            Interpreter("3.12", "usr/local/lib/python3.12/dist-packages"),
        ),
        (
            {"usr/bin/python3.12": file(b""), "usr/bin/python3": link("python3.12"), "etc/os-release": file(b"ID=x\n")},
            Interpreter("3.12", "usr/lib/python3.12/site-packages"),
        ),
    ],
)
def test_packages_go_where_the_bases_own_python_looks(tree, expected):
    assert find_interpreter(tree, HERE) == expected


@pytest.mark.parametrize(
    ("names", "got"),
    [
        ((), "none"),
        (("usr/bin/python3.11", "usr/local/bin/python3.13"), "/usr/bin/python3.11, /usr/local/bin/python3.13"),
    ],
)
def test_no_python_or_two_are_refused(names, got):
    with pytest.raises(Refused) as refused:
        find_interpreter({name: file(b"") for name in names}, HERE)
    assert refused.value.code == "base.python"
    assert f"(got {got}, expected one" in refused.value.message

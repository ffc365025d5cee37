import hashlib

import pytest

from pipeline.debian.packages import Package
from pipeline.image.base_layer import lay_out
from pipeline.image.layer import Kind, file, folder, link
from tests.support.debian import make_deb


@pytest.fixture
def laid_out(tmp_path):
    def run(architecture="amd64", **packages):
        files = {}
        for name, entries in packages.items():
            content = make_deb(name, entries)
            path = tmp_path / name
            path.write_bytes(content)
            package = Package(
                name=name,
                version="1.0-1",
                architecture="all",
                source=name,
                source_version="1",
                sha256=hashlib.sha256(content).hexdigest(),
                size=len(content),
                path="debian/pool/a.deb",
            )
            files[package] = path
        return lay_out(files, architecture=architecture)

    return run


def test_what_a_service_needs_stays_and_the_rest_does_not(laid_out):
    tree = laid_out(
        libx={
            "usr/lib/x86_64-linux-gnu/libx.so.1": file(b"x"),
            "usr/share/doc/libx/copyright": file(b"licence"),
            "usr/share/doc/libx/changelog.gz": file(b"long"),
            "usr/share/man/man1/x.1.gz": file(b"man"),
            "usr/bin/xtool": file(b"tool", executable=True),
            "usr/bin/python3": link("python3.13"),
        }
    )
    assert {"usr/lib/x86_64-linux-gnu/libx.so.1", "usr/share/doc/libx/copyright", "usr/bin/python3"} <= tree.keys()
    assert not {"usr/share/doc/libx/changelog.gz", "usr/share/man/man1/x.1.gz", "usr/bin/xtool"} & tree.keys()


def test_a_package_that_shares_anothers_licence_keeps_the_link_to_it(laid_out):
    tree = laid_out(
        libx={"usr/share/doc/libx/copyright": file(b"licence"), "usr/share/doc/libx/examples/copyright": file(b"no")},
        liby={"usr/share/doc/liby": link("libx")},
    )
    assert [path for path in tree if path.startswith("usr/share/doc/")] == [
        "usr/share/doc/libx/copyright",
        "usr/share/doc/liby",
    ]


def test_an_unmerged_path_is_found_where_the_loader_looks(laid_out):
    tree = laid_out(libx={"lib": folder(), "lib/libx.so.1": file(b"x")})
    assert tree["usr/lib/libx.so.1"].content == b"x"
    assert tree["lib"] == link("usr/lib")


def test_scanners_find_every_package_with_its_files(laid_out):
    tree = laid_out(libx={"usr/lib/libx.so.1": file(b"x")})
    assert tree["var/lib/dpkg/status.d/libx"].content.endswith(b"Version: 1.0-1\nStatus: install ok installed\n")
    md5 = hashlib.md5(b"x", usedforsecurity=False).hexdigest()
    assert tree["var/lib/dpkg/status.d/libx.md5sums"].content == f"{md5}  usr/lib/libx.so.1\n".encode()


def test_the_trust_store_is_one_file_in_the_order_of_names(laid_out):
    folder_ = "usr/share/ca-certificates/mozilla"
    tree = laid_out(ca={f"{folder_}/b.crt": file(b"B\n"), f"{folder_}/a.crt": file(b"A\n\n")})
    assert tree["etc/ssl/certs/ca-certificates.crt"].content == b"A\nB\n"
    assert not [path for path in tree if path.startswith("usr/share/ca-certificates")]


def test_the_image_has_a_user_without_a_shell(laid_out):
    tree = laid_out()
    assert b"nonroot:x:65532:65532:nonroot:/home/nonroot:/usr/sbin/nologin\n" in tree["etc/passwd"].content
    assert tree["home/nonroot"].owner == 65532
    assert tree["tmp"].mode == 0o1777


def test_only_amd64_has_lib64(laid_out):
    assert "lib64" in laid_out("amd64")
    assert "lib64" not in laid_out("arm64")


def test_nothing_but_files_links_and_the_usual_folders(laid_out):
    tree = laid_out(libx={"usr": folder(0o700), "usr/lib": folder(0o777), "usr/lib/x": file(b"x")})
    assert [entry.mode for path, entry in tree.items() if path in {"usr", "usr/lib"}] == []
    assert tree["usr/lib/x"].kind is Kind.FILE

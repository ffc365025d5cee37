from pipeline.debian.packages import BaseLock
from pipeline.image.inventory import Installed
from pipeline.model.documents import canonical_json
from pipeline.steps.sbom_debian import read_file, read_package
from tests.support.supplies import BASE_LOCK, TZDATA_DEB


def read(copyright_file="", **fields):
    installed = Installed(fields={"Package": "libc6", "Version": "2.41-12", **fields}, copyright=copyright_file)
    return read_package(installed, None, executable=True)


def test_a_package_says_who_keeps_it_where_it_is_from_and_what_it_needs():
    found = read(
        Architecture="amd64",
        Source="glibc (2.41-11)",
        Maintainer="Ada <ada@example.org>",
        Depends="libgcc-s1 (>= 4) | libgcc1, tzdata:any",
    )
    assert (found.source, found.source_version, found.architecture) == ("glibc", "2.41-11", "amd64")
    assert (found.creator.name, found.needs) == ("Ada", frozenset({"libgcc-s1", "libgcc1", "tzdata"}))


def test_a_package_that_names_no_source_is_its_own():
    found = read()
    assert (found.source, found.source_version, found.architecture) == ("libc6", "2.41-12", "all")
    assert read(Source="glibc").source_version == "2.41-12"


def test_licences_come_from_the_copyright_file():
    text = "Format: copyright-format/1.0\n\nLicense: Expat\n"
    assert read(text).licences == [{"expression": "MIT", "acknowledgement": "declared"}]
    assert read("In prose.", Source="glibc").licences[0]["license"]["name"] == "LicenseRef-debian-glibc"


def test_the_locked_files_second_digest_is_of_its_bytes(tmp_path):
    lock = BaseLock.model_validate_json(canonical_json(BASE_LOCK))
    (tmp_path / "tzdata.deb").write_bytes(TZDATA_DEB)
    found = read_file(lock.packages["amd64"][1], tmp_path / "tzdata.deb")
    assert (found.package.name, len(found.sha512)) == ("tzdata", 128)

from pipeline.debian.packages import BaseLock
from pipeline.model.documents import canonical_json
from pipeline.steps.sbom_debian import read_packages
from tests.support.supplies import BASE_LOCK, PYTHON_DEB, TZDATA_DEB


def read(folder):
    lock = BaseLock.model_validate_json(canonical_json(BASE_LOCK))
    files = {}
    for package, content in zip(lock.packages["amd64"], (PYTHON_DEB, TZDATA_DEB), strict=True):
        files[package] = folder / f"{package.name}.deb"
        files[package].write_bytes(content)
    return read_packages(files)


def test_each_package_says_who_keeps_it_and_what_it_needs_of_the_base(tmp_path):
    python, tzdata = read(tmp_path)
    assert (python.package.name, python.maintainer, python.needs) == (
        "python3.13-minimal",
        "Ada Maintainer",
        frozenset({"tzdata"}),
    )
    assert tzdata.needs == frozenset()


def test_licences_come_from_the_copyright_file(tmp_path):
    python, tzdata = read(tmp_path)
    assert [entry["license"].get("id") or entry["license"]["name"] for entry in tzdata.licences] == [
        "GPL-2.0-or-later",
        "MIT",
        "public-domain",
    ]
    assert python.licences == [{"license": {"name": "NOASSERTION"}}]

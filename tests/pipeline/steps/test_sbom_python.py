import email.parser

import pytest
from packaging.requirements import Requirement

from pipeline.image.inventory import Distribution
from pipeline.image.wheels import Wheel, marker_environment
from pipeline.model.errors import CannotEvaluate, Refused
from pipeline.steps.sbom_entities import Entity
from pipeline.steps.sbom_python import PythonPackage, WheelFile, dependencies, read_file, read_package

INSIDE = marker_environment("amd64", "3.13")
WHEEL = Wheel(name="tornado", version="1.00", filename="tornado-1.0-py3-none-any.whl", sha256="a" * 64, size=1)


def package(name, *requires, locked=True):
    return PythonPackage(
        name=name,
        version="1.0",
        file=WheelFile(wheel=WHEEL, sha512="b" * 128) if locked else None,
        creator=Entity(name="A"),
        licences=[],
        requires=tuple(Requirement(text) for text in requires),
        executable=True,
    )


def graph(direct, *packages):
    return dependencies([Requirement(text) for text in direct], {item.name: item for item in packages}, INSIDE)


def read(*fields, version="1.0", file=None):
    metadata = email.parser.Parser().parsestr("\n".join(["Name: tornado", f"Version: {version}", *fields, ""]))
    found = Distribution(name="tornado", version=version, folder="x/tornado-1.0.dist-info", metadata=metadata)
    return read_package(found, file, executable=True)


def test_a_distribution_says_who_made_it_and_what_it_needs():
    found = read("Author: Facebook", "License: MIT", "Requires-Dist: idna>=2; python_version > '3'")
    assert (found.creator.name, found.purl) == ("Facebook", "pkg:pypi/tornado@1.0")
    assert [item.name for item in found.requires] == ["idna"]


def test_its_version_is_the_locks_where_a_lock_names_it():
    assert read(file=WheelFile(wheel=WHEEL, sha512="")).purl == "pkg:pypi/tornado@1.00"
    assert read(version="1.0.POST1").purl == "pkg:pypi/tornado@1.0.post1"


def test_the_files_second_digest_is_of_its_bytes(tmp_path):
    (tmp_path / "x.whl").write_bytes(b"wheel")
    assert read_file(WHEEL, tmp_path / "x.whl").sha512.startswith("2c7e17aec7b2")


@pytest.mark.parametrize(("field", "version"), [("Requires-Dist: !!", "1.0"), ("License: MIT", "one")])
def test_metadata_that_cannot_be_read_is_not_passed_over(field, version):
    with pytest.raises(CannotEvaluate, match="its METADATA is not readable") as raised:
        read(field, version=version)
    assert raised.value.code == "sbom.wheel-metadata"


def test_the_graph_follows_what_each_package_needs():
    found = graph(["web>=1"], package("web", "core"), package("core"))
    assert found == {"": {"web"}, "web": {"core"}, "core": set()}


def test_a_need_that_does_not_hold_inside_the_image_is_left_out():
    found = graph(["web"], package("web", "pywin32; sys_platform == 'win32'", "old; python_version < '3.13'"))
    assert found["web"] == set()


def test_an_extra_counts_only_where_somebody_asks_for_it():
    fast, web = package("fast"), package("web", "fast; extra == 'speed'")
    assert graph(["web"], web, fast)["web"] == set()
    assert graph(["web[speed]"], web, fast)["web"] == {"fast"}
    assert graph(["app"], package("app", "web", "web[speed]"), web, fast)["web"] == {"fast"}


def test_packages_that_need_each_other_end():
    assert graph(["a"], package("a", "b"), package("b", "a")) == {"": {"a"}, "a": {"b"}, "b": {"a"}}


def test_a_need_that_the_lock_does_not_meet_is_refused_by_name():
    with pytest.raises(Refused) as raised:
        graph(["web"], package("web", "Missing_Part"))
    assert raised.value.code == "sbom.missing-component"
    assert raised.value.message == ("requirements.txt: leaves out what web needs (got web, expected missing-part too)")


def test_what_no_lock_names_may_need_what_is_not_there():
    assert graph(["web"], package("web"), package("pip", "web", "absent", locked=False)) == {
        "": {"web"},
        "web": set(),
        "pip": {"web"},
    }

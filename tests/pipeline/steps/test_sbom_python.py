import pytest
from packaging.requirements import Requirement

from pipeline.image.wheels import Wheel, marker_environment
from pipeline.model.errors import CannotEvaluate, Refused
from pipeline.steps.sbom_python import PythonPackage, dependencies, read_package
from tests.support.supplies import make_wheel, sha256

INSIDE = marker_environment("amd64", "3.13")


def package(name, *requires):
    wheel = Wheel(name=name, version="1.0", filename=f"{name}-1.0-py3-none-any.whl", sha256="a" * 64, size=1)
    needs = tuple(Requirement(text) for text in requires)
    return PythonPackage(wheel=wheel, sha512="b" * 128, supplier="A", licences=[], requires=needs)


def graph(direct, *packages):
    return dependencies([Requirement(text) for text in direct], {item.wheel.name: item for item in packages}, INSIDE)


def read(folder, *fields):
    content = make_wheel("tornado", "1.0", *fields)
    path = folder / "tornado-1.0-py3-none-any.whl"
    path.write_bytes(content)
    return read_package(
        Wheel(name="tornado", version="1.0", filename=path.name, sha256=sha256(content), size=len(content)), path
    )


def test_the_wheels_own_metadata_is_read_and_not_a_vendored_one(tmp_path):
    found = read(tmp_path, "Author: Facebook", "License: MIT", "Requires-Dist: idna>=2; python_version > '3'")
    assert (found.supplier, found.purl) == ("Facebook", "pkg:pypi/tornado@1.0")
    assert [item.name for item in found.requires] == ["idna"]


@pytest.mark.parametrize(
    ("fields", "supplier"),
    [
        (["Author-email: Ann Author <ann@example.org>, bob@example.org"], "Ann Author, bob@example.org"),
        (["Author: UNKNOWN", "Maintainer: The Team"], "The Team"),
        ([], "NOASSERTION"),
    ],
)
def test_the_supplier_is_whoever_the_metadata_names(tmp_path, fields, supplier):
    assert read(tmp_path, *fields).supplier == supplier


@pytest.mark.parametrize("content", [b"", b"no zip", make_wheel("tornado", "1.0", "Requires-Dist: !!")])
def test_a_wheel_without_readable_metadata_is_not_passed_over(tmp_path, content):
    path = tmp_path / "tornado-1.0-py3-none-any.whl"
    path.write_bytes(content)
    wheel = Wheel(name="tornado", version="1.0", filename=path.name, sha256="a" * 64, size=1)
    with pytest.raises(CannotEvaluate, match="its METADATA is not readable") as raised:
        read_package(wheel, path)
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

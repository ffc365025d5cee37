from packageurl import PackageURL

from pipeline.debian import base_lock
from pipeline.image.foreign_base import Reference
from pipeline.image.purls import debian_purl, oci_purl, wheel_purl
from pipeline.image.wheels import Wheel


def test_every_locked_package_has_the_purl_that_the_specification_gives_it(root):
    lock = base_lock.load(root)
    for package in lock.packages["amd64"]:
        qualifiers = {"arch": package.architecture, "distro": "trixie"}
        expected = PackageURL("deb", "debian", package.name, package.version, qualifiers)
        assert debian_purl(package, suite="trixie") == expected.to_string()


def test_a_wheels_purl_is_its_releases():
    wheel = Wheel(name="argon2-cffi", version="1.0+local", filename="x.whl", sha256="a" * 64, size=1)
    assert wheel_purl(wheel) == PackageURL("pypi", None, "argon2-cffi", "1.0+local").to_string()


def test_a_foreign_base_is_named_by_digest_and_repository():
    found = oci_purl(Reference("registry.example:5000/team/python", "sha256:" + "a" * 64))
    parsed = PackageURL.from_string(found)
    assert (parsed.type, parsed.name, parsed.version) == ("oci", "python", "sha256:" + "a" * 64)
    assert parsed.qualifiers == {"repository_url": "registry.example:5000/team/python"}

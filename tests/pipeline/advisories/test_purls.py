from pipeline.advisories import purls
from pipeline.image.base_packages import Package


def test_a_local_version_is_escaped():
    assert purls.pypi("torch", "2.0+cpu") == "pkg:pypi/torch@2.0%2Bcpu"


def test_a_debian_package_names_architecture_and_suite_and_escapes_its_epoch():
    package = Package(
        name="zlib1g",
        version="1:1.3+deb13u1",
        architecture="amd64",
        source="zlib",
        source_version="1:1.3+deb13u1",
        sha256="a" * 64,
        size=1,
        path="debian/pool/main/z/zlib/z.deb",
    )
    assert purls.debian(package, "trixie") == "pkg:deb/debian/zlib1g@1%3A1.3%2Bdeb13u1?arch=amd64&distro=trixie"

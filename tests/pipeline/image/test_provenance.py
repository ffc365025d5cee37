import pytest

from pipeline.debian import base_lock
from pipeline.image.provenance import LOCAL_BUILDER, build_provenance
from pipeline.image.wheels import Wheel
from pipeline.model.context import Context, Source, Tool
from pipeline.model.kinds import Kind
from pipeline.model.predicates import Provenance, parse_predicate
from pipeline.settings import load

WHEEL = Wheel(name="tornado", version="6.5", filename="tornado-6.5-cp311-abi3-linux.whl", sha256="d" * 64, size=9)
CONTEXT = Context(
    source=Source(uri="git+https://git.example/r", commit="a" * 40, tree="b" * 40, dirty=True, committed=1),
    locks={"requirements.txt": "e" * 64},
    tool=Tool(name="composer", version="1"),
    python="3.11.7",
)


@pytest.fixture
def build(root):
    lock = base_lock.load(root)

    def run(**changed):
        arguments = {
            "packages": {"linux/amd64": lock.packages["amd64"]},
            "wheels": {"linux/amd64": [WHEEL]},
            "suite": lock.suite,
        }
        return build_provenance(CONTEXT, load(root), **{**arguments, **changed})

    return run


def parsed(predicate):
    found = parse_predicate(Kind.PROVENANCE, predicate)
    assert isinstance(found, Provenance)
    return found


def dependencies(predicate):
    return {item.uri or item.name: item for item in parsed(predicate).build_definition.resolved_dependencies}


def test_the_source_is_named_by_commit_and_tree(build):
    source = dependencies(build())["git+https://git.example/r@" + "a" * 40]
    assert source.digest == {"gitCommit": "a" * 40, "gitTree": "b" * 40}
    assert source.annotations == {"dirty": True}


def test_every_package_and_wheel_is_named_by_purl_and_hash(build, root):
    found = dependencies(build())
    assert found["pkg:pypi/tornado@6.5"].digest == {"sha256": "d" * 64}
    debs = [item for uri, item in found.items() if uri.startswith("pkg:deb/debian/")]
    assert {item.digest["sha256"] for item in debs} == {p.sha256 for p in base_lock.load(root).packages["amd64"]}


def test_every_lock_is_named_by_hash(build):
    assert dependencies(build())["requirements.txt"].digest == {"sha256": "e" * 64}


def test_what_two_platforms_share_is_named_once_and_what_they_do_not_twice(build):
    other = WHEEL.model_copy(update={"filename": "tornado-6.5-other.whl", "sha256": "f" * 64})
    wheels = {"linux/amd64": [WHEEL], "linux/arm64": [WHEEL, other]}
    items = parsed(build(wheels=wheels)).build_definition.resolved_dependencies
    assert [item.name for item in items if "tornado" in (item.uri or "")] == [WHEEL.filename, other.filename]


def test_a_local_build_claims_to_be_one(build):
    assert parsed(build()).run_details.builder.id == LOCAL_BUILDER
    assert parsed(build(builder_id="https://ci.example/b")).run_details.builder.id == "https://ci.example/b"


def test_two_builds_of_the_same_say_the_same(build):
    assert build() == build()

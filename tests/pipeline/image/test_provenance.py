import pytest

from pipeline.debian import base_lock
from pipeline.image.archive import Written
from pipeline.image.composer import Composed
from pipeline.image.dockerfile import Recipe
from pipeline.image.foreign_base import Reference
from pipeline.image.provenance import build_provenance
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

    def run(*, settings=None, hosted=False, **changed):
        composed = Composed(
            **{
                "written": Written("sha256:" + "0" * 64, "", 0, {}),
                "recipe": Recipe(base="locked-base"),
                "packages": {"linux/amd64": lock.packages["amd64"]},
                "wheels": {"linux/amd64": [WHEEL]},
                **changed,
            }
        )
        return build_provenance(CONTEXT, settings or load(root), composed, suite=lock.suite, hosted=hosted)

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


def test_a_local_build_claims_to_be_one_and_a_hosted_one_another(build):
    assert parsed(build()).run_details.builder.id == "https://gatehouse.dev/builders/composer/local"
    assert parsed(build(hosted=True)).run_details.builder.id == "https://gatehouse.dev/builders/composer/github"


def test_an_engines_build_names_engine_and_version(build, root):
    settings = load(root)
    image = settings.image.model_copy(update={"builder": "engine"})
    settings = settings.model_copy(update={"image": image})
    found = parsed(build(settings=settings, versions={"docker": "20.10.24", "buildx": "v0.13.1"}))
    assert found.run_details.builder.id == "https://gatehouse.dev/builders/engine/local"
    assert found.run_details.builder.version.keys() == {"composer", "docker", "buildx"}
    assert found.run_details.builder.version["docker"] == "20.10.24"
    assert found.build_definition.external_parameters["builder"] == "engine"


def test_a_foreign_base_is_named_by_digest_and_as_the_parameter_that_asked_for_it(build, root):
    reference = Reference("registry.example/python", "sha256:" + "c" * 64)
    settings = load(root)
    base = settings.base.model_copy(update={"image": str(reference)})
    predicate = build(settings=settings.model_copy(update={"base": base}), base=reference, packages={"linux/amd64": []})
    found = dependencies(predicate)[f"pkg:oci/python@sha256%3A{'c' * 64}?repository_url=registry.example/python"]
    assert found.digest == {"sha256": "c" * 64}
    assert parsed(predicate).build_definition.external_parameters["base"] == str(reference)
    assert not any(uri.startswith("pkg:deb/") for uri in dependencies(predicate))


def test_two_builds_of_the_same_say_the_same(build):
    assert build() == build()

"""The ``reproduce`` session: build an image a second time from what its provenance says, compare, and sign the result.

Nothing of the first build is used but its provenance: not its caches, not its work tree, not its environment.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from pipeline import processes
from pipeline.files import locked
from pipeline.image.archive import Archive
from pipeline.image.comparison import Difference
from pipeline.model.digests import Digest
from pipeline.model.errors import CannotEvaluate
from pipeline.model.kinds import Kind
from pipeline.model.outcome import Artifact, Evidence, Outcome, Problem, Status
from pipeline.reproduction.rebuilding import Rebuilt, build_again
from pipeline.reproduction.result import Reproduction, another_machine, compare, context_of, predicate, shared_inputs
from pipeline.reproduction.target import Target, built_here, find_target, read_reference
from pipeline.runtime.sandbox import workplace
from pipeline.signing.opening import open_signer
from pipeline.signing.signer import Signer
from pipeline.steps.attaching import Subject, attach_listed
from pipeline.steps.attest import write_bundles
from pipeline.steps.job import Job
from pipeline.store.opening import open_store
from pipeline.store.transfer import pull_archive

MAX_PROBLEMS = 20
_FIX = "find what the build takes from its surroundings (time, order, machine) and lock it, then build a new image"

OpenSigner = Callable[[], AbstractContextManager[Signer]]
#: Builds the target again below an empty folder.
BuildAgain = Callable[[Job, Target, Path], Rebuilt]


def run(job: Job) -> Outcome:
    """Reproduce what ``job.options`` name, else the image of this source tree; FAILED where the builds differ.

    Raises Misuse (``reproduction.arguments``), Refused (``reproduction.dirty``) and CannotEvaluate
    (``reproduction.*`` and what its parts raise): then nothing was found out, and nothing is signed.
    """
    signing = partial(open_signer, job.settings, job.state, root=job.root, say=job.say)
    return reproduce(job, signing, partial(build_again, environment=processes.engine_addresses()))


def reproduce(job: Job, signing: OpenSigner, build: BuildAgain) -> Outcome:
    """``run``, with its signer, opened when there is a result, and what builds."""
    named, settings = read_reference(job.options, job.settings)
    own = built_here(job)
    digest = named or own
    if digest is None:
        raise _no_image()
    store = open_store(settings.store.registry, job.state, docker_config=job.docker_config)
    target = find_target(job, store, digest)
    with locked(job.state / "locks" / "reproduction.lock"), workplace(job.state / "reproduction") as folder:
        job.say(f"fetching {digest}")
        pull_archive(store, target.image, folder / "first.tar")
        second = build(job, target, folder)
        job.say("comparing the two builds")
        result = compare(target.provenance, Archive(folder / "first.tar"), second)
    written = job.write_artifact(job.dist / "reports" / "reproduction.txt", _text(digest, result).encode())
    if not result.conclusive:
        raise _other_version(result)
    with signing() as signer:
        elsewhere = another_machine(target.signed.identity, signer=signer.identity, issuer=signer.issuer)
        same_machine = digest == own or not elsewhere
        evidence = Evidence(
            kind=Kind.REPRODUCTION, predicate=predicate(result, second.provenance, machine=same_machine)
        )
        subject = Subject(name=settings.app.name, image=target.image, platforms=dict(target.facts.platforms))
        context = context_of(second.provenance)
        done = attach_listed(job, store, signer, subject, [evidence], absent=None, context=context)
    bundles = write_bundles(job, done.own, subject) if digest == own else []
    return _outcome(digest, result, shared_inputs(result, machine=same_machine), [written, *bundles])


def _no_image() -> CannotEvaluate:
    return CannotEvaluate(
        "reproduction.image",
        "reproduce: no image to build again (got no image of this source tree, expected one, or a digest)",
        fix="build and attest it first (`scripts/pipeline`), or name it: "
        "`scripts/nox -s reproduce -- HOST/REPO@sha256:...`",
    )


def _message(one: Difference) -> str:
    return f"{one.place}: {one.what} differs (got {one.got}, expected {one.expected})"


def _text(digest: Digest, result: Reproduction) -> str:
    """The differences, one a line; what was got is the second build's, what was expected the image's."""
    lines = [
        f"image:        {digest}",
        f"built by:     {result.first}",
        f"built again:  {result.second}",
        f"compared:     {result.compared}, {result.paths} paths",
        f"differences:  {len(result.all_differences)}",
        "",
        *(f"{check}: {_message(one)}" for check, items in result.differences.items() for one in items),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _other_version(result: Reproduction) -> CannotEvaluate:
    first = result.all_differences[0]
    return CannotEvaluate(
        "reproduction.builder-version",
        f"second build: differs, and so does the builder ({len(result.all_differences)} differences, the first "
        f"{first.place}: {first.what}) (got another version of the builder, expected the one that built the image)",
        fix="run it from a clone of the commit that was built, whose builder is the one that built it",
    )


def _outcome(digest: Digest, result: Reproduction, shared: list[str], artifacts: list[Artifact]) -> Outcome:
    differences = result.all_differences
    if result.passed:
        same = "the same digest" if result.same_digest else f"the same {result.paths} paths and configuration"
        finding = f"{digest}: {same} from {result.second}; shared: {', '.join(shared)}"
    else:
        finding = f"{digest}: {len(differences)} differences, the first {differences[0].place}: {differences[0].what}"
    return Outcome(
        status=Status.PASSED if result.passed else Status.FAILED,
        finding=finding,
        problems=[
            Problem(code="reproduction.difference", message=_message(one), fix=_FIX)
            for one in differences[:MAX_PROBLEMS]
        ],
        artifacts=artifacts,
        data={
            "digest": str(digest),
            "first": result.first,
            "second": result.second,
            "compared": result.compared,
            "same_digest": result.same_digest,
            "paths": result.paths,
            "shared": shared,
            "count": len(differences),
            "differences": [
                {"place": one.place, "what": one.what, "got": one.got, "expected": one.expected}
                for one in differences[:200]
            ],
        },
    )

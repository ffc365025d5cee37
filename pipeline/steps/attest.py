"""The ``attest`` step: push the image, sign what the steps left, attach it, and list it.

Repeating it changes nothing: evidence that is there, says the same and still verifies is kept. Failed results are
signed too: they are evidence, and the gate's to judge.
"""

from collections.abc import Iterable

from pipeline import __version__
from pipeline.model.digests import Digest
from pipeline.model.errors import CannotEvaluate, Refused
from pipeline.model.kinds import LISTED, Kind
from pipeline.model.outcome import Artifact, Evidence, Outcome, Problem, Status
from pipeline.signing.opening import open_signer
from pipeline.signing.signer import Signer
from pipeline.steps.attached import Own
from pipeline.steps.attaching import Subject, attach_listed
from pipeline.steps.collected import collect
from pipeline.steps.evidence_list import newest_list, piece_name
from pipeline.steps.job import Job
from pipeline.store.interface import Store
from pipeline.store.opening import open_store
from pipeline.store.referrers import WARN_AT
from pipeline.store.transfer import push_archive

_SUFFIX = ".sigstore.json"


def run(job: Job) -> Outcome:
    """Raises Refused (``attest.image``, ``attest.other-source``), Misuse and CannotEvaluate."""
    store = open_store(job.settings.store.registry, job.state, docker_config=job.docker_config)
    with open_signer(job.settings, job.state, root=job.root, say=job.say) as signer:
        return attest(job, store, signer)


def attest(job: Job, store: Store, signer: Signer) -> Outcome:
    """``run`` with its store and signer given."""
    job.say(f"pushing the image to {_place(job, store)}")
    subject = push_image(job, store)
    collected = collect(job, subject.platforms)
    evidence = [Evidence(kind=Kind.SIGNATURE, predicate={}), *collected.evidence]
    done = attach_listed(
        job,
        store,
        signer,
        subject,
        evidence,
        absent=collected.absent,
        context=job.context("gatehouse", __version__),
    )
    own, kept = done.own, done.kept
    artifacts = [*write_bundles(job, own, subject), _write_root(job, signer)]
    return _outcome(job, store, subject, own, artifacts, total=len(evidence), kept=kept, referrers=done.referrers)


def push_image(job: Job, store: Store) -> Subject:
    """Push the archive that the image step recorded, and no other."""
    record = job.read_record("image")
    if record is None or record.context is None or record.outcome.status not in (Status.PASSED, Status.WARNED):
        got = "no record" if record is None or record.context is None else str(record.outcome.status)
        raise CannotEvaluate(
            "attest.no-image",
            f"image: not built from this source tree (got {got}, expected a finished image step)",
            fix="build it with `scripts/nox -s image`",
        )
    data = record.outcome.data
    # The tree is in the tag, so that two trees never take turns behind one name.
    tag = f"{job.settings.app.version.replace('+', '_').replace('!', '_')}-{job.source.tree[:12]}"
    image = push_archive(job.root / data["archive"], store, tag)
    if str(image.digest) != data["digest"]:
        raise Refused(
            "attest.image",
            f"{data['archive']}: not the image that was built (got {image.digest}, expected {data['digest']})",
            fix="build it again with `scripts/nox -s image`; nothing else should write below dist/",
        )
    platforms = {name: Digest.parse(digest) for name, digest in data["platforms"].items()}
    return Subject(name=job.settings.app.name, image=image, platforms=platforms)


def write_bundles(job: Job, own: Iterable[Own], subject: Subject) -> list[Artifact]:
    """``dist/bundles``: every piece on the newest list and the list itself; what an earlier run left goes."""
    folder = job.dist / "bundles"
    own = list(own)
    newest = newest_list(own)
    listed = {str((one.digest or {}).get("sha256")) for one in newest[1].references} if newest else set()
    files: dict[str, bytes] = {}
    # The latest of a kind has the plain name; what it replaced keeps its digest in the name.
    for one in reversed(own):
        if one.digest.hex in listed or (newest and one.digest == newest[0].digest):
            name = piece_name(one.kind, one.platform(subject.platforms))
            plain = f"{name}{_SUFFIX}"
            files[plain if plain not in files else f"{name}-{one.digest.short}{_SUFFIX}"] = one.bundle
    ours = tuple(str(kind) for kind in (*LISTED, Kind.EVIDENCE_LIST))
    for path in folder.glob(f"*{_SUFFIX}"):
        if path.name not in files and path.name.startswith(ours):
            path.unlink()
    return [job.write_artifact(folder / name, content) for name, content in sorted(files.items())]


def _write_root(job: Job, signer: Signer) -> Artifact:
    return job.write_artifact(job.dist / "trusted_root.json", signer.trusted_root)


def _place(job: Job, store: Store) -> str:
    return store.address.removeprefix(f"{job.root}/")


def _outcome(
    job: Job,
    store: Store,
    subject: Subject,
    own: list[Own],
    artifacts: list[Artifact],
    *,
    total: int,
    kept: int,
    referrers: int,
) -> Outcome:
    newest = newest_list(own)
    many = [_many(subject.image.digest, referrers)] if referrers >= WARN_AT else []
    return Outcome(
        status=Status.WARNED if many else Status.PASSED,
        finding=f"{total} attestations on {subject.image.digest}, {kept} kept",
        problems=many,
        artifacts=artifacts,
        data={
            "digest": str(subject.image.digest),
            "store": _place(job, store),
            "attestations": total,
            "kept": kept,
            "referrers": referrers,
            "sequence": newest[1].sequence if newest else 0,
        },
    )


def _many(image: Digest, referrers: int) -> Problem:
    return Problem(
        code="attest.many-referrers",
        message=f"{image}: nearly too many referrers (got {referrers}, expected fewer than {WARN_AT})",
        fix="release a new version, or remove superseded audits: admission controllers stop at 50",
    )

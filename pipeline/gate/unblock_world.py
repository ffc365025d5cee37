"""A release as it would be after some changes: what people and workflows could do about a refusal, imagined.

The judge is asked about it as about any other, so that a change counts for what it does and not for what it promises.
"""

import copy
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from pipeline.gate import cases
from pipeline.gate.environments import Environment
from pipeline.gate.evidence import Evidence, Memory, Piece
from pipeline.gate.exceptions import PolicyException
from pipeline.gate.imagined import allowed_signer, imagined_list, imagined_piece, place_context
from pipeline.gate.judgement import rfc3339
from pipeline.gate.listing import read_list
from pipeline.gate.policy import Policy
from pipeline.gate.standing import difference
from pipeline.gate.verify_command import Release
from pipeline.model.digests import Digest
from pipeline.model.kinds import LISTED, SHAPES, Kind
from pipeline.model.predicates import Provenance

#: How long an exception would be granted for: past the days on which it would warn already.
EXCEPTION_DAYS = 30

#: Kind and platform (None where the kind speaks of the image as a whole).
Slot = tuple[Kind, str | None]
Act = Literal["repository", "build", "attest", "make", "mend", "update", "except", "remove"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """Something that somebody does. ``about`` is what it is done to; two changes that do the same are the same."""

    act: Act
    about: str = ""
    text: str = field(default="", compare=False)
    """The sentence for people."""
    exception: PolicyException | None = None

    @property
    def id(self) -> str:
        return f"{self.act} {self.about}".strip()


def after(
    release: Release, environment: str, changes: Collection[Change], good: cases.Release, now: datetime
) -> Release:
    """``release`` once all of ``changes`` are done.

    - ``repository``: the policy names the one that the provenance speaks of;
    - ``except``: the policy has the exception;
    - ``remove``: a bundle is gone from the image;
    - ``update`` a package, ``mend`` a kind: of the source, so that nothing changes until it is built;
    - ``build``: a new image of that source, all of whose evidence who may sign it here signs now;
    - ``make`` a kind, ``attest``: on this image, new evidence as the good release's, and a list of all that is there.
    """
    policy = _policy(release.policy, changes, good, release)
    acts = {change.act for change in changes}
    built = "build" in acts
    world = _World(release=replace(release, policy=policy), environment=environment, good=good, now=now, clean=built)
    if built:
        return world.built(changes)
    gone = {change.about for change in changes if change.act == "remove"}
    left = tuple(one for one in release.evidence if one.digest not in gone)
    made = [Kind(change.about) for change in changes if change.act == "make"]
    if not made and "attest" not in acts:
        return replace(world.release, evidence=left)
    return replace(world.release, evidence=world.extended(left, sorted(made, key=list(Kind).index)))


def _policy(policy: Policy, changes: Collection[Change], good: cases.Release, release: Release) -> Policy:
    exceptions = tuple(sorted((one.exception for one in changes if one.exception), key=lambda one: one.id))
    named = any(change.act == "repository" for change in changes)
    return replace(
        policy,
        repository=repository_of(release) or good.repository if named else policy.repository,
        exceptions=(*policy.exceptions, *exceptions),
    )


def repository_of(release: Release) -> str:
    """``owner/name`` on GitHub that the provenance speaks of, empty where it speaks of none."""
    for piece in release.evidence:
        if isinstance(piece, Piece) and piece.kind == Kind.PROVENANCE and piece.context is not None:
            _, found, name = piece.context.source.uri.partition("github.com/")
            parts = name.removesuffix(".git").split("/")
            if found and len(parts) == 2 and all(parts):
                return "/".join(parts)
    return ""


@dataclass(frozen=True, kw_only=True)
class _World:
    release: Release
    environment: str
    good: cases.Release
    now: datetime
    clean: bool
    """Built from a commit as it is, as a release is."""

    @property
    def here(self) -> Environment:
        return self.release.policy.environment(self.environment)

    def built(self, changes: Collection[Change]) -> Release:
        """A new image: nothing of what hung on the old one, and nothing that was remembered of it."""
        about = {act: {change.about for change in changes if change.act == act} for act in ("make", "mend", "update")}
        content = {slot: copy.deepcopy(told) for slot, told in self._contents(self.release.evidence).items()}
        for slot in self._slots(LISTED):
            good = self._good(slot, mended=slot[0] in about["mend"])
            # Of vulnerabilities the newest counts; of other kinds making it again changes nothing of what it says.
            made = slot[0] in about["make"] and (slot not in content or slot[0] == Kind.VULNERABILITIES)
            if good is not None and (made or slot[0] in about["mend"]):
                content[slot] = good
        for (kind, _), predicate in content.items():
            if kind == Kind.PROVENANCE:
                self._build_here(predicate)
            if kind == Kind.VULNERABILITIES:
                _update(predicate, about["update"])
                predicate["metadata"] = self._scanned()
        pieces = [one for slot, predicate in content.items() if (one := self._piece(slot, predicate)) is not None]
        return replace(self.release, evidence=(*pieces, *self._listed(pieces)), memory=Memory())

    def extended(self, left: Iterable[Evidence], made: Iterable[Kind]) -> tuple[Evidence, ...]:
        """What is there, new evidence of kinds beside it, and a list of all of it."""
        there = list(left)
        new = [
            self._piece(slot, predicate) for slot in self._slots(made) if (predicate := self._good(slot)) is not None
        ]
        evidence = [*there, *(one for one in new if one is not None)]
        return (*evidence, *self._listed(evidence))

    def _slots(self, kinds: Iterable[Kind]) -> Iterator[Slot]:
        for kind in kinds:
            for platform in sorted(self.release.image.platforms) if SHAPES[kind].per_platform else (None,):
                yield kind, platform

    def _contents(self, evidence: Iterable[Evidence]) -> dict[Slot, dict[str, Any]]:
        """What the newest evidence of each kind says, by an allowed signer where there is any."""
        listed = [one for one in evidence if isinstance(one, Piece) and one.kind in LISTED]
        ordered = sorted(listed, key=lambda one: (self._allowed(one), one.verified.verified_at, one.digest))
        return {(piece.kind, piece.platform): dict(piece.plain) for piece in ordered}

    def _allowed(self, piece: Piece) -> bool:
        return difference(piece.verified, piece.kind, self.release.policy, self.here) is None

    @property
    def _context(self) -> dict[str, Any]:
        """Of the provenance, which the image's labels name too."""
        told = self._contents(self.release.evidence).get((Kind.PROVENANCE, None))
        context = copy.deepcopy(told["gatehouse_context"]) if told else self.good.context.model_dump(mode="json")
        return {**context, "source": {**context["source"], "dirty": False}} if self.clean else context

    def _materials(self) -> list[str]:
        """The package URLs that went in."""
        for piece in self.release.evidence:
            if isinstance(piece, Piece) and isinstance(piece.predicate, Provenance):
                return [
                    one.uri
                    for one in piece.predicate.build_definition.resolved_dependencies
                    if one.uri is not None and one.uri.startswith("pkg:")
                ]
        return []

    def _good(self, slot: Slot, *, mended: bool = False) -> dict[str, Any] | None:
        """Evidence of a kind as the good release has it, about what is in this image; None where it has none.

        ``mended``: of another image, whose packages have the good release's licences.
        """
        kind, _ = slot
        if kind not in self.good.predicates:
            return None
        good = self._of_this_source(self.good.predicates[kind])
        told = self._contents(self.release.evidence).get(slot)
        purls = self._materials()
        if kind == Kind.VULNERABILITIES:
            good["metadata"] = self._scanned()
            good["scanner"]["result"] = copy.deepcopy(told["scanner"]["result"]) if told else []
            good["gatehouse_coverage"] |= {"locked": purls, "audited": purls, "unaudited": {}}
        elif kind == Kind.SBOM and purls:
            licences = good["components"][0].get("licenses", [])
            there = told["components"] if told and not mended else None
            good["components"] = there or [_component(purl, licences) for purl in purls]
        elif kind == Kind.PROVENANCE and told:
            definition = told["buildDefinition"]
            good["buildDefinition"]["resolvedDependencies"] = definition["resolvedDependencies"]
        return good

    def _of_this_source(self, good: dict[str, Any]) -> dict[str, Any]:
        """The good release's words with this one's commit, tree and repository."""
        theirs, ours = self.good.context.source, self._context["source"]
        repository = self.release.policy.repository or self.good.repository
        names = {theirs.commit: ours["commit"], theirs.tree: ours["tree"], self.good.repository: repository}
        replaced: dict[str, Any] = _replaced(good, names)
        return replaced

    def _build_here(self, predicate: dict[str, Any]) -> None:
        """Built where this environment wants it: by a builder and in a way that it allows."""
        limits = self.here.plain_limits()
        run, definition = predicate["runDetails"], predicate["buildDefinition"]
        for holder, name, limit in ((run["builder"], "id", "builders"), (definition, "buildType", "build_types")):
            allowed = limits.get(limit)
            if isinstance(allowed, list) and allowed and holder[name] not in allowed:
                holder[name] = allowed[0]

    def _scanned(self) -> dict[str, str]:
        return {"scanStartedOn": rfc3339(self.now), "scanFinishedOn": rfc3339(self.now)}

    def _piece(self, slot: Slot, predicate: dict[str, Any]) -> Evidence | None:
        kind, platform = slot
        context = self._context
        signer = allowed_signer(kind, self.release.policy, self.here, context["source"]["commit"])
        if signer is None:
            return None
        if kind != Kind.EVIDENCE_LIST:
            place_context(kind, predicate, context)
        return imagined_piece(kind, platform, predicate, self.release.image, signer, self.now)

    def _listed(self, evidence: Iterable[Evidence]) -> Iterator[Evidence]:
        """The list that attesting would add: it goes on where its signer's last one ends, and names what counts."""
        pieces = [one for one in evidence if isinstance(one, Piece)]
        signer = allowed_signer(Kind.EVIDENCE_LIST, self.release.policy, self.here, self._context["source"]["commit"])
        if signer is None:
            return
        by = f"{signer[0]} {signer[1].san}"
        lists = [piece for piece in pieces if piece.kind == Kind.EVIDENCE_LIST and piece.by == by]
        last = max(lists, key=lambda piece: (read_list(piece).sequence, piece.digest), default=None)
        named = [piece for piece in pieces if piece.kind in LISTED and self._allowed(piece)]
        predicate = imagined_list(
            named,
            self._context,
            self.now,
            sequence=read_list(last).sequence + 1 if last else 1,
            previous=last.digest if last else None,
        )
        piece = self._piece((Kind.EVIDENCE_LIST, None), predicate)
        if piece is not None:
            yield piece


def _replaced(value: Any, names: Mapping[str, str]) -> Any:
    """A copy of JSON in which each text that is one of ``names`` is another."""
    if isinstance(value, dict):
        return {name: _replaced(item, names) for name, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value


def _component(purl: str, licences: Any) -> dict[str, Any]:
    name, _, version = purl.partition("?")[0].rpartition("/")[2].partition("@")
    return {"type": "library", "name": name, "version": version or "0", "purl": purl, "licenses": licences}


def _update(predicate: dict[str, Any], packages: Collection[str]) -> None:
    """Without what is known about ``packages``: their fixed versions are not affected."""
    results = predicate["scanner"]["result"]
    predicate["scanner"]["result"] = [one for one in results if one["annotations"][0]["package"] not in packages]


def exception_for(code: str, finding: str, environment: str, now: datetime) -> PolicyException:
    """What would have to be granted; its owner, reason and ticket are for people to fill in."""
    number = int(Digest.of(f"{code} {finding}".encode()).hex[:7], 16)
    return PolicyException(
        id=f"UNBLOCK-{number}",
        code=code,
        finding=finding,
        environments=(environment,),
        owner="to be named",
        reason="to be given by whoever answers for it",
        ticket="to be opened",
        created=now.date(),
        expires=now.date() + timedelta(days=EXCEPTION_DAYS),
    )

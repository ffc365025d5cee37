"""The evidence list: every piece that is there, every kind that is not, and which list came before."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from pipeline.model.context import Context
from pipeline.model.digests import Digest
from pipeline.model.documents import validate
from pipeline.model.kinds import BUNDLE_MEDIA_TYPE, LISTED, Kind
from pipeline.model.predicates import (
    EvidenceAnnotations,
    EvidenceList,
    EvidenceReference,
    dump,
    same_predicate,
)
from pipeline.steps.attached import Own, is_fresh, read_time
from pipeline.steps.collected import Absent


def piece_name(kind: Kind, platform: str | None) -> str:
    """``sbom-linux-amd64``: as the list and the file below ``dist/bundles`` call it."""
    return f"{kind}-{platform.replace('/', '-')}" if platform else str(kind)


def newest_list(own: Iterable[Own]) -> tuple[Own, EvidenceList] | None:
    """The list with the highest sequence; raises CannotEvaluate (``document.shape``)."""
    lists = [
        (one, validate(EvidenceList, one.statement.predicate, what="evidence list"))
        for one in own
        if one.kind is Kind.EVIDENCE_LIST
    ]
    return max(lists, key=lambda pair: pair[1].sequence, default=None)


def make_list(
    own: Iterable[Own],
    absent: Iterable[Absent],
    *,
    platforms: Mapping[str, Digest],
    attester: str,
    context: Context,
    now: datetime,
) -> EvidenceList | None:
    """The successor of the newest list, None where that one still says it all and is not too old."""
    own = list(own)
    found = newest_list(own)
    references = list_references(own, absent, platforms)
    fresh = EvidenceList(
        gatehouse_context=context,
        attester={"id": attester},
        references=references,
        gatehouse_sequence=found[1].sequence + 1 if found else 1,
        gatehouse_previous=found[0].digest.hex if found else None,
        gatehouse_issued=f"{now:%Y-%m-%dT%H:%M:%SZ}",
    )
    if found and same_predicate(_said(found[1]), _said(fresh)) and is_fresh(read_time(found[1].issued), now):
        return None
    return fresh


def absences(listed: EvidenceList) -> list[Absent]:
    """What a list says is not there: its successor says so too, of all that has not come since."""
    return [
        Absent(
            kind=reference.annotations.kind,
            platform=reference.annotations.platform,
            status=reference.annotations.status,
            reason=reference.annotations.reason or "",
        )
        for reference in listed.references
        if reference.annotations.status != "present"
    ]


def list_references(
    own: Iterable[Own], absent: Iterable[Absent], platforms: Mapping[str, Digest]
) -> list[EvidenceReference]:
    """In the order of the design's table; a kind that is there from an earlier run is not absent."""
    present = [_present(one, one.platform(dict(platforms))) for one in own if one.kind in LISTED]
    there = {(reference.annotations.kind, reference.annotations.platform) for reference in present}
    missing = [_missing(one) for one in absent if (one.kind, one.platform) not in there]
    return sorted([*present, *missing], key=lambda one: (LISTED.index(one.annotations.kind), one.name, str(one.digest)))


def _present(one: Own, platform: str | None) -> EvidenceReference:
    return EvidenceReference(
        name=piece_name(one.kind, platform),
        digest={"sha256": one.digest.hex},
        mediaType=BUNDLE_MEDIA_TYPE,
        annotations=EvidenceAnnotations(kind=one.kind, status="present", platform=platform),
    )


def _missing(one: Absent) -> EvidenceReference:
    return EvidenceReference(
        name=piece_name(one.kind, one.platform),
        annotations=EvidenceAnnotations(kind=one.kind, status=one.status, platform=one.platform, reason=one.reason),
    )


def _said(listed: EvidenceList) -> dict[str, Any]:
    """What a list says beside its place in the chain. A reason may be worded otherwise without a change."""
    document = dump(listed)
    for name in ("gatehouse_sequence", "gatehouse_previous", "gatehouse_issued"):
        document.pop(name, None)
    for reference in document["references"]:
        reference["annotations"].pop("reason", None)
    return document

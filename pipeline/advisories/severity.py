"""How grave an advisory is: from its CVSS vectors, scored by library; without one it is unknown, a class of its own."""

from collections.abc import Iterable

from pipeline.model.predicates import Severity

ORDER: tuple[Severity, ...] = ("none", "low", "medium", "high", "critical")


def _score(method: str, vector: str) -> Severity | None:
    import cvss  # noqa: PLC0415  (loaded only when there is something to score)

    try:
        if method == "CVSS_V4":
            word = str(cvss.CVSS4(vector).severity)
        elif method == "CVSS_V3":
            word = str(cvss.CVSS3(vector).severities()[0])
        elif method == "CVSS_V2":
            word = str(cvss.CVSS2(vector).severities()[0])
        else:
            return None
    except cvss.CVSSError:
        return None
    return next((severity for severity in ORDER if severity == word.lower()), None)


def severity_of(vectors: Iterable[tuple[str, str]]) -> Severity:
    """The gravest of (OSV method, vector) pairs, base score; ``unknown`` where none can be scored.

    Sources: FIRST CVSS 2.0, 3.1 and 4.0 specifications, "Qualitative Severity Rating Scale".
    """
    scored = [severity for method, vector in vectors if (severity := _score(method, vector)) is not None]
    return max(scored, key=ORDER.index, default="unknown")

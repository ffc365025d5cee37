"""What may follow what runs: a higher version on a commit that descends from the running one."""

from packaging.version import InvalidVersion, Version

from pipeline.gate.policy import Policy
from pipeline.model.errors import Refused
from pipeline.model.predicates import PromotionPredicate
from pipeline.promotion.history import History
from pipeline.promotion.ledger import Ledger

_RAISE = "raise `[app] version` in pipeline.toml, build again, and promote that"


def check_succession(
    ledger: Ledger, image: str, version: str, commit: str, ref: str, policy: Policy, history: History
) -> None:
    """Whether ``image`` (SHA-256 in hexadecimal) may follow what runs.

    ``version`` is PEP 440's, ``commit`` the built one, ``ref`` the branch that the builder's certificate names (empty
    for none). The higher version keeps old releases with known holes out, the descent those of another line. Raises
    Refused (``promotion.unversioned``, ``.same-version``, ``.not-newer``, ``.not-descended``), CannotEvaluate
    (``promotion.history``).
    """
    running, here = ledger.running, ledger.environment
    if here in policy.succession.unordered:
        return
    found = _version(version, here)
    for before in ledger.promotions:
        if before.image != image and _version(before.version, here) == found:
            raise Refused(
                "promotion.same-version",
                f"{here}: {version} was another image there (got {image[:12]}, expected {before.image[:12]})",
                fix=_RAISE,
            )
    if running is None:
        return
    if found <= _version(running.version, here):
        raise Refused(
            "promotion.not-newer",
            f"{here}: {found} is not newer than what runs there (got {found}, expected more than {running.version})",
            fix=f"{_RAISE}; to go back on purpose: `scripts/gatehouse rollback {here} --to sha256:{image}`",
        )
    if ref not in policy.succession.hotfix and not history.descends(commit, running.commit):
        raise Refused(
            "promotion.not-descended",
            f"{here}: {found} does not descend from what runs there (got commit {commit[:12]} of "
            f"{ref or 'no branch'}, expected a descendant of {running.commit[:12]})",
            fix="merge what runs there into the branch that is released, or name its branch in `[promotion] hotfix` "
            "of policies/environments.toml",
        )


def _version(version: str, environment: str) -> Version:
    try:
        return Version(version)
    except InvalidVersion as error:
        raise Refused(
            "promotion.unversioned",
            f"{environment}: no version to compare (got {error}, expected versions as PEP 440 writes them)",
            fix="give `[app] version` in pipeline.toml a version such as 1.2.0, and build again",
        ) from error


def check_order(before: Ledger | None, environment: str, image: str) -> None:
    """Raise Refused (``promotion.skipped``) where the environment ``before`` never had the image."""
    if before is not None and not before.holds(image):
        raise Refused(
            "promotion.skipped",
            f"{environment}: sha256:{image} was not promoted to {before.environment} (got no entry in its ledger, "
            "expected one)",
            fix=f"promote it to {before.environment} first: `scripts/nox -s promote -- {before.environment}`",
        )


def is_running(ledger: Ledger, image: str) -> bool:
    """Whether the image is what runs: then nothing is to be decided, only to be completed."""
    running: PromotionPredicate | None = ledger.running
    return running is not None and running.image == image

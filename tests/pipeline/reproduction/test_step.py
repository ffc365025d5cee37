"""The ``reproduce`` session over a real image, real bundles and a second build in another process."""

from pipeline.model.kinds import Kind
from pipeline.model.outcome import Status


def test_the_composer_builds_the_same_bytes_again_and_that_is_signed(built):
    outcome = built.reproduce()
    assert (outcome.status, outcome.problems) == (Status.PASSED, [])
    assert outcome.finding == (
        f"{built.digest}: the same digest from composer; shared: lock, wheels, base, builder, machine"
    )
    (signed,) = built.own(Kind.REPRODUCTION)
    assert signed.statement.predicate["result"] == "PASSED"
    assert signed.statement.predicate["passedTests"] == ["materials", "files", "bytes"]

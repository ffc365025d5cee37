"""Shapes of predicates: what a rule need not ask any more."""

import pytest

from pipeline.model.errors import CannotEvaluate
from pipeline.model.kinds import Kind
from pipeline.model.predicates import parse_predicate
from tests.support import release


@pytest.mark.parametrize("digest", [{"sha256": "latest"}, {"sha256": "E" * 64}, {"gitCommit": "main"}])
def test_provenance_names_what_went_in_by_hexadecimal_digests(digest):
    predicate = release.predicates()["provenance"]
    predicate["buildDefinition"]["resolvedDependencies"][0]["digest"] = digest
    with pytest.raises(CannotEvaluate, match="should have digests in hexadecimal") as refused:
        parse_predicate(Kind.PROVENANCE, predicate)
    assert refused.value.code == "document.shape"

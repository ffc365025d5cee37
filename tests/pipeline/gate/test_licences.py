"""SPDX expressions: what a list of licences satisfies."""

import pytest

from pipeline.gate.licences import MAX_EXPRESSION, named, satisfied


@pytest.mark.parametrize(
    ("expression", "allowed", "enough"),
    [
        ("MIT", ["MIT"], True),
        ("mit", ["MIT"], True),
        ("MIT", [], False),
        ("MIT OR GPL-3.0-only", ["MIT"], True),
        ("MIT AND GPL-3.0-only", ["MIT"], False),
        ("MIT AND GPL-3.0-only", ["MIT", "GPL-3.0-only"], True),
        ("GPL-3.0-only OR ISC AND MIT", ["MIT"], False),
        ("(GPL-3.0-only OR MIT) AND ISC", ["MIT", "ISC"], True),
        ("(GPL-3.0-only OR MIT) AND ISC", ["GPL-3.0-only"], False),
        ("GPL-2.0-only WITH Classpath-exception-2.0", ["GPL-2.0-only"], False),
        ("GPL-2.0-only WITH Classpath-exception-2.0", ["GPL-2.0-only WITH Classpath-exception-2.0"], True),
        ("LicenseRef-ours", ["LicenseRef-ours"], True),
    ],
)
def test_a_list_of_licences_satisfies_an_expression_or_does_not(expression, allowed, enough):
    assert satisfied(expression, allowed) is enough


@pytest.mark.parametrize(
    "expression",
    ["", "MIT OR", "OR MIT", "MIT MIT", "(MIT", "MIT)", "MIT WITH", "horoscope", "MIT" + " AND MIT" * MAX_EXPRESSION],
)
def test_what_is_no_expression_satisfies_nobody(expression):
    with pytest.raises(ValueError, match=r"licen[cs]e"):
        satisfied(expression, ["MIT", "horoscope"])


def test_every_licence_of_an_expression_is_named_with_its_exception():
    assert named("ISC OR (gpl-2.0-only WITH classpath-exception-2.0 AND MIT)") == [
        "GPL-2.0-only WITH Classpath-exception-2.0",
        "ISC",
        "MIT",
    ]

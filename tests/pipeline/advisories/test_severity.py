import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.advisories.severity import ORDER, severity_of

CRITICAL = ("CVSS_V3", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H")
MEDIUM = ("CVSS_V3", "CVSS:3.1/AV:N/AC:L/PR:L/UI:R/S:C/C:L/I:L/A:N")


@pytest.mark.parametrize(
    ("method", "vector", "severity"),
    [
        (*CRITICAL, "critical"),
        (*MEDIUM, "medium"),
        ("CVSS_V3", "CVSS:3.0/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N", "low"),
        ("CVSS_V3", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", "none"),
        ("CVSS_V4", "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", "critical"),
        ("CVSS_V2", "AV:N/AC:L/Au:N/C:P/I:P/A:P", "high"),
    ],
)
def test_a_vector_is_scored_by_its_own_version(method, vector, severity):
    assert severity_of([(method, vector)]) == severity


def test_without_a_vector_it_is_unknown():
    assert severity_of([]) == "unknown"


@pytest.mark.parametrize(
    "pair", [("CVSS_V3", "CVSS:3.1/AV:N"), ("CVSS_V4", "high"), ("Ubuntu", "high"), ("CVSS_V3", "")]
)
def test_a_vector_that_cannot_be_scored_is_unknown_and_never_none(pair):
    assert severity_of([pair]) == "unknown"


@given(st.sampled_from(["CVSS_V2", "CVSS_V3", "CVSS_V4"]), st.text() | st.text("CVSS:3.140/AVLNPHRUIS", max_size=60))
def test_no_text_makes_the_scoring_fall_over(method, text):
    assert severity_of([(method, text)]) in {*ORDER, "unknown"}


def test_of_several_the_gravest_counts():
    assert severity_of([MEDIUM, CRITICAL, ("CVSS_V3", "nonsense")]) == "critical"

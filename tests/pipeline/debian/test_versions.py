import itertools
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.debian.versions import DebianVersion

ASCENDING = ["0", "1.0~~", "1.0~~a", "1.0~", "1.0~rc1", "1.0", "1.0-0ubuntu", "1.0-1~deb13u1", "1.0-1", "1.0-1+b1"]
ASCENDING += ["1.0-1+deb13u1", "1.0-1+deb13u10", "1.0a", "1.0+", "1.2", "1.10", "1:0.1", "2:0"]


@pytest.mark.parametrize(("lower", "higher"), list(itertools.pairwise(ASCENDING)))
def test_versions_sort_as_the_policy_says(lower, higher):
    assert DebianVersion(lower) < DebianVersion(higher)
    assert not DebianVersion(higher) < DebianVersion(lower)


@pytest.mark.parametrize(("one", "other"), [("1.0", "1.00"), ("1.0", "1.0-0"), ("0:1", "1")])
def test_versions_that_are_written_differently_may_be_equal(one, other):
    assert DebianVersion(one) == DebianVersion(other)
    assert hash(DebianVersion(one)) == hash(DebianVersion(other))


def test_an_epoch_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="invalid literal"):
        DebianVersion("a:1.0")


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="no dpkg on this machine to compare with")
def test_the_order_is_dpkgs():
    for one, other in itertools.combinations(ASCENDING, 2):
        assert subprocess.run(["dpkg", "--compare-versions", one, "lt", other], check=False).returncode == 0


versions = st.from_regex(r"[0-9][a-z0-9.+~]{0,5}(-[a-z0-9.+~]{1,4})?", fullmatch=True).map(DebianVersion)


@given(versions, versions, versions)
def test_the_order_is_total(a, b, c):
    assert (a < b) + (b < a) + (a == b) == 1
    assert not (a < b and b < c) or a < c

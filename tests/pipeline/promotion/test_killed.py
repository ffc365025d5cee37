"""A promotion killed at every file that it writes: the old state or the new one, and the next run completes."""

import itertools
import shutil
import signal
import sys

import pytest

from pipeline.processes import run
from pipeline.store.layout import OciLayout
from tests.support import release
from tests.support.signing import world
from tests.support.stored import Stored

pytestmark = pytest.mark.full


@pytest.fixture
def attested(tmp_path, root):
    """A clone with an attested release, and the image's digest."""
    clone = tmp_path / "clone"
    clone.mkdir()
    (clone / "policies").symlink_to(root / "policies")
    with world(clone / ".gatehouse" / "sigstore") as signing:
        made = Stored.make(clone, signing, root, state=clone / ".gatehouse")
        made.attest(release.predicates())
    return clone, str(made.image.digest)


def promote(root, clone, image, due=0):
    command = [sys.executable, "-m", "tests.support.promoting_child", str(clone), image, str(due)]
    return run(command, cwd=root, timeout=60)


def state_of(clone, image):
    ledger = clone / ".gatehouse" / "ledger" / "development.jsonl"
    overlay = clone / ".gatehouse" / "ledger" / "overlays" / "development" / "kustomization.yaml"
    tags = OciLayout(clone / ".gatehouse" / "store").tags()
    return (
        len(ledger.read_bytes().splitlines()) if ledger.exists() else 0,
        "development" in tags,
        overlay.exists() and image in overlay.read_text(),
    )


def test_killed_before_every_file_that_it_writes(attested, tmp_path, root):
    clone, image = attested
    seen = set[tuple[int, bool, bool]]()
    for due in itertools.count(1):
        copy = tmp_path / str(due)
        shutil.copytree(clone, copy, symlinks=True)
        killed = promote(root, copy, image, due)
        if killed.exit_code == 0:
            # Entry, tag, overlay: in this order, and after them what is no longer needed is removed.
            assert seen == {(0, False, False), (1, False, False), (1, True, False), (1, True, True)}
            assert due > 10
            return
        assert killed.exit_code == -signal.SIGKILL, killed.stderr
        seen.add(state_of(copy, image))
        done = promote(root, copy, image)
        assert done.exit_code == 0, done.stderr
        assert state_of(copy, image) == (1, True, True)
        shutil.rmtree(copy)

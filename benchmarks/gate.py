"""The gate on one stored release with every kind of evidence: as a process, and warm, beside cosign where it is there.

Prints seconds for a whole process (median of 5), milliseconds for a warm judgement (median of 50) and peak memory.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pipeline.gate.verify_command import verify_image  # noqa: E402 - the root must be on the path first
from tests.support import release  # noqa: E402
from tests.support.signing import world  # noqa: E402
from tests.support.stored import Stored  # noqa: E402

# Judge from a layout in a process of its own, as `python -m pipeline verify` does, and say what it took.
_PROCESS = """
import resource, sys
from datetime import UTC, datetime
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from pipeline.gate.verify_command import verify_image
from pipeline.store.layout import OciLayout
state = Path(sys.argv[2])
policies, now = Path(sys.argv[1], "policies"), datetime.now(UTC)
verify_image(OciLayout(state / "store"), sys.argv[3], "development", policies, now, state)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def _as_process(stored: Stored) -> tuple[float, float]:
    """Median seconds of a whole process, and its peak memory in MB."""
    command = [sys.executable, "-I", "-c", _PROCESS, str(ROOT), str(stored.state), str(stored.image.digest)]
    seconds, memory = [], 0.0
    for _ in range(6):
        started = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds.append(time.monotonic() - started)
        memory = max(memory, int(done.stdout) / 1024)
    return statistics.median(seconds[1:]), memory


def _warm(stored: Stored) -> tuple[float, int]:
    """Median milliseconds of a judgement in a process that has judged before, and how many bundles it read."""
    milliseconds = []
    for _ in range(51):
        started = time.monotonic()
        judgement = verify_image(
            stored.store, str(stored.image.digest), "development", stored.policies, datetime.now(UTC), stored.state
        )
        milliseconds.append((time.monotonic() - started) * 1000)
    return statistics.median(milliseconds[1:]), len(judgement.inputs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--format", choices=("text", "json"), default="text")
    style = parser.parse_args().format
    with (
        tempfile.TemporaryDirectory(prefix="gatehouse-bench-") as folder,
        world(Path(folder, "sigstore"), 1) as signing,
    ):
        stored = Stored.make(Path(folder), signing, ROOT)
        stored.attest(release.predicates())
        process, memory = _as_process(stored)
        warm, bundles = _warm(stored)
    figures = {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "bundles": bundles,
        "process_seconds": round(process, 2),
        "warm_milliseconds": round(warm, 1),
        "peak_megabytes": round(memory),
    }
    if style == "json":
        print(json.dumps(figures))
        return
    print(f"gate on {figures['bundles']} bundles, {figures['cores']} cores, Python {figures['python']}")
    print(f"  as a process   {figures['process_seconds']:7} s    (at most 0.6)")
    print(f"  warm           {figures['warm_milliseconds']:7} ms   (at most 40)")
    print(f"  peak memory    {figures['peak_megabytes']:7} MB   (at most 150)")
    if shutil.which("cosign") is None:
        print("  cosign: not on PATH, so not measured beside it")


if __name__ == "__main__":
    main()

"""The gate: one release as a process and warm, 1,000 stored releases, 1,000 rules, and cosign beside it.

The release has every kind of evidence, with 60 packages in its SBOM, provenance and audit. Judging takes the whole way
from the store: reading and verifying every bundle, the policy and all rules. Prints, never judges.
"""

import argparse
import contextlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pipeline.gate.evidence import Memory  # noqa: E402 - the root must be on the path first
from pipeline.gate.gathering import gather, load_roots, read_image  # noqa: E402
from pipeline.gate.judgement import Judgement  # noqa: E402
from pipeline.gate.judging import judge  # noqa: E402
from pipeline.gate.policy import load_policy  # noqa: E402
from pipeline.model.kinds import SHAPES, Kind  # noqa: E402
from pipeline.store.interface import Readable  # noqa: E402
from pipeline.store.layout import OciLayout  # noqa: E402

# What signs is not imported where a process only judges: it would be measured with it.
if TYPE_CHECKING:
    from tests.support.signing import World
    from tests.support.stored import Stored

PACKAGES = 60
RULES = 1000


def judged(store: Readable, digest: str, state: Path) -> Judgement:
    """What `verify` does for one environment, without remembering it."""
    policies = ROOT / "policies"
    _, image = read_image(store, digest)
    evidence = gather(store, image, load_roots(state, policies))
    return judge(image, evidence, load_policy(policies), "development", datetime.now(UTC), Memory())


def judge_each(state: Path, digests: Sequence[str]) -> None:
    """Judge stored releases on one core, and print what that took as JSON: the work of a process of its own."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    store, early, started, used = OciLayout(state / "store"), 0.0, time.monotonic(), time.process_time()
    for number, digest in enumerate(digests):
        judgement = judged(store, digest, state)
        if not judgement.passed:
            sys.exit(f"{digest} was refused: {judgement.refusals}")
        if number == len(digests) // 10:
            early = resident()
    took = {"seconds": time.monotonic() - started, "cpu": time.process_time() - used}
    print(json.dumps({**took, "early": early, "late": resident()}))


def resident() -> float:
    """Megabytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--releases", type=int, default=1000, metavar="N", help="stored releases (default: 1000)")
    parser.add_argument("--judge", type=Path, metavar="STATE", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.judge:
        judge_each(arguments.judge, sys.stdin.read().split())
        return
    from tests.support.signing import world  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="gatehouse-bench-") as name, world(Path(name, "sigstore"), 1) as signing:
        figures = _figures(Path(name), signing, arguments.releases)
    print(json.dumps(figures) if arguments.format == "json" else _text(figures))


def _figures(folder: Path, signing: "World", count: int) -> dict[str, Any]:
    stored, bundles = _make(folder, signing, "one")
    process, memory = _process(stored)
    figures: dict[str, Any] = {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "bundles": len(bundles),
        "process_seconds": round(process, 2),
        "peak_megabytes": round(memory),
        "warm_milliseconds": round(
            _milliseconds(lambda: judged(stored.store, str(stored.image.digest), stored.state)), 1
        ),
        "rules": RULES,
        "rules_milliseconds": round(_rules(stored), 1),
        "cosign_seconds": _cosign(folder, stored, bundles),
    }
    return {**figures, **_many(folder, signing, count)}


def _make(folder: Path, signing: "World", content: str) -> "tuple[Stored, dict[str, bytes]]":
    """A signed release in the store of ``folder``, which others share."""
    from tests.support.stored import Stored  # noqa: PLC0415

    stored = Stored.make(folder, signing, ROOT, state=folder / "state", content=content.encode())
    return stored, stored.attest(_predicates())


def _predicates() -> dict[str, dict[str, Any]]:
    """The good release of the tests, of the size that a real one has."""
    from tests.support import release  # noqa: PLC0415

    found = release.predicates()
    purls = [f"pkg:pypi/package-{number}@1.{number}" for number in range(PACKAGES)]
    went_in = [{"name": f"{purl}.whl", "uri": purl, "digest": {"sha256": "e" * 64}} for purl in purls]
    found["provenance"]["buildDefinition"]["resolvedDependencies"] = went_in
    found["vulnerabilities"]["gatehouse_coverage"] |= {"locked": purls, "audited": purls}
    template = found[f"sbom@{release.PLATFORM}"]["components"][0]
    found[f"sbom@{release.PLATFORM}"]["components"] = [
        {
            **template,
            "bom-ref": purl,
            "name": purl.removeprefix("pkg:pypi/").partition("@")[0],
            "version": purl.partition("@")[2],
            "purl": purl,
            "hashes": [{"alg": "SHA-256", "content": "e" * 64}, {"alg": "SHA-512", "content": "f" * 128}],
            "properties": [{"name": "gatehouse:file", "value": f"{purl}-py3-none-any.whl"}],
        }
        for purl in purls
    ]
    return found


def _milliseconds(call: Callable[[], object]) -> float:
    """Median of 50 calls, after one that warms up."""
    call()
    return statistics.median(_seconds(call) for _ in range(50)) * 1000


def _seconds(call: Callable[[], object]) -> float:
    started = time.monotonic()
    call()
    return time.monotonic() - started


def _process(stored: "Stored") -> tuple[float, float]:
    """Median seconds of a whole process that judges one release, of five, and megabytes in memory at its end."""
    found: list[Mapping[str, float]] = []
    seconds = [_seconds(lambda: found.append(_child(stored.state, [str(stored.image.digest)]))) for _ in range(6)]
    return statistics.median(seconds[1:]), max(one["late"] for one in found)


def _child(state: Path, digests: list[str]) -> Mapping[str, float]:
    command = [sys.executable, "-I", __file__, "--judge", str(state)]
    done = subprocess.run(command, input="\n".join(digests), stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def _rules(stored: "Stored") -> float:
    """Milliseconds to judge verified evidence by so many rules: the policy's own, over and over."""
    policy = load_policy(ROOT / "policies")
    many = policy.rules * (RULES // len(policy.rules) + 1)
    policy = replace(policy, rules=many[:RULES])
    _, image = read_image(stored.store, str(stored.image.digest))
    evidence = gather(stored.store, image, load_roots(stored.state, stored.policies))
    now = datetime.now(UTC)
    return _milliseconds(lambda: judge(image, evidence, policy, "development", now, Memory()))


def _cosign(folder: Path, stored: "Stored", bundles: Mapping[str, bytes]) -> float | None:
    """Seconds of cosign for the same bundles, one process each; None where it is not here."""
    outside = os.environ.get("GATEHOUSE_OUTSIDE", "")
    cosign = shutil.which("cosign", path=f"{outside}/bin:{os.environ['PATH']}")
    if cosign is None:
        return None
    root, bundle = folder / "trusted_root.json", folder / "bundle.json"
    root.write_bytes(stored.signer.trusted_root)
    seconds = 0.0
    for name, content in bundles.items():
        kind = Kind(name.partition("@")[0])
        bundle.write_bytes(content)
        command = [
            *(cosign, "verify-blob-attestation", "--bundle", str(bundle), "--trusted-root", str(root)),
            *("--certificate-identity", stored.signer.identity, "--certificate-oidc-issuer", stored.signer.issuer),
            *("--type", SHAPES[kind].predicate_type),
            *("--digest", stored.image.digest.hex, "--digestAlg", "sha256"),
        ]
        environment = {"HOME": str(folder)}
        started = time.monotonic()
        subprocess.run(command, capture_output=True, check=True, env=environment)
        seconds += time.monotonic() - started
    return round(seconds, 2)


def _many(folder: Path, signing: "World", count: int) -> dict[str, Any]:
    """Releases that one core judges in a second, and what memory grows by from the first tenth of them to the last."""
    digests = []
    with _without_syncing():
        for number in range(count):
            if number % 100 == 0:
                print(f"signing release {number} of {count}", file=sys.stderr, flush=True)
            digests.append(str(_make(folder, signing, f"release {number}")[0].image.digest))
    took = _child(folder / "state", digests)
    return {
        "releases": count,
        "releases_a_second": round(count / took["seconds"], 1),
        "releases_a_second_of_processor_time": round(count / took["cpu"], 1),
        "megabytes_after_a_tenth": round(took["early"], 1),
        "megabytes_at_the_end": round(took["late"], 1),
    }


@contextlib.contextmanager
def _without_syncing() -> Iterator[None]:
    """What is written for the measurement need not outlast a power cut."""
    with mock.patch("os.fsync"):
        yield


def _text(figures: Mapping[str, Any]) -> str:
    cosign = figures["cosign_seconds"]
    lines = {
        "as a process": f"{figures['process_seconds']} s (at most 0.6)",
        "warm": f"{figures['warm_milliseconds']} ms (at most 40)",
        f"{figures['rules']} rules": f"{figures['rules_milliseconds']} ms (under 50)",
        "memory": f"{figures['peak_megabytes']} MB (at most 150)",
        f"{figures['releases']} releases": f"{figures['releases_a_second']} a second on one core (at least 20)",
        "of its time": f"{figures['releases_a_second_of_processor_time']} a second",
        "memory early": f"{figures['megabytes_after_a_tenth']} MB after a tenth of them",
        "memory late": f"{figures['megabytes_at_the_end']} MB at the end",
        "cosign": "not on PATH, so not measured" if cosign is None else f"{cosign} s for the same bundles, one by one",
    }
    title = f"gate on {figures['bundles']} bundles, {figures['cores']} cores, Python {figures['python']}"
    return "\n".join([title, *(f"  {name:15} {said}" for name, said in lines.items())])


if __name__ == "__main__":
    main()

"""Which results still hold: a step whose inputs did not change since its last pass is not run again."""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.files import sha256_file, write_atomic
from pipeline.git import Snapshot, origin

#: What only people read. Every step takes all other files as its input, or a part of them named below.
_PROSE = ("docs/", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE")
#: What decides how any step works: its own code, its settings, the locks of its tools.
_OWN = (
    "pipeline/",
    "noxfile.py",
    "pyproject.toml",
    "pipeline.toml",
    "requirements/",
    "requirements.in",
    "requirements.txt",
)

#: Steps that read less than the whole tree, and what they read beside _OWN.
_INPUTS: Mapping[str, tuple[str, ...]] = {
    "lock": (),
    "workflows": (".github/", "policies/"),
}
#: Steps whose result names the commit or the whole tree: any change is a change of their input.
_WHOLE = ("sbom", "image", "smoke")
#: Steps that look at the built image.
_OF_IMAGE = ("sbom", "smoke")
#: Where engines listen: one that comes or goes is a change of the smoke step's input.
_ENGINES = ("/var/run/docker.sock", "/run/podman/podman.sock", f"/run/user/{os.getuid()}/podman/podman.sock")
#: Steps that look at the world as it is now, so that an old answer is no answer.
ALWAYS = ("audit", "source", "attest", "verify", "promote", "reproduce")


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether the last result of a step may stand, and why."""

    reuse: bool
    why: str


def inputs_of(state: Path, step: str, snapshot: Snapshot) -> dict[str, str]:
    """Path to ``<mode> <blob>`` of each file that ``step`` reads; what is no file stands in angle brackets."""
    if step in _WHOLE:
        chosen = dict(snapshot.files) | {"<commit>": snapshot.commit}
    elif step in _INPUTS:
        chosen = {path: blob for path, blob in snapshot.files.items() if path.startswith(_OWN + _INPUTS[step])}
    else:
        chosen = {path: blob for path, blob in snapshot.files.items() if not path.startswith(_PROSE)}
    if step == "smoke":
        chosen["<engines>"] = " ".join([*filter(os.path.exists, _ENGINES), os.environ.get("DOCKER_HOST", "")])
    if step in _OF_IMAGE:
        chosen["<image>"] = _built(state)
    return chosen | {"<python>": platform.python_version()}


def _built(state: Path) -> str:
    """The digest of the image that is there; an engine gives the same tree another one with every build."""
    try:
        return str(json.loads((state / "steps" / "image.json").read_bytes())["outcome"]["data"]["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _note(state: Path, step: str) -> Path:
    return state / "reuse" / f"{step}.json"


def decide(state: Path, step: str, snapshot: Snapshot, options: tuple[str, ...] = ()) -> Decision:
    """Hold today's inputs against those of the last pass; whatever cannot be read means: run again."""
    if step in ALWAYS:
        return Decision(reuse=False, why="always runs: it looks at the world as it is now")
    if options:
        return Decision(reuse=False, why="options were given")
    try:
        before = _inputs_of_last_pass(state, step)
    except _NotWholeError as error:
        return Decision(reuse=False, why=str(error))
    now = inputs_of(state, step, snapshot)
    changed = sorted(path for path in before.keys() | now.keys() if before.get(path) != now.get(path))
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        return Decision(reuse=False, why=f"{changed[0]}{more} changed")
    return Decision(reuse=True, why=f"none of its {len(now)} inputs changed since its last pass")


class _NotWholeError(Exception):
    """What is kept of a pass is missing, cut or altered."""


def _inputs_of_last_pass(state: Path, step: str) -> dict[str, str]:
    record = state / "steps" / f"{step}.json"
    try:
        note = json.loads(_note(state, step).read_bytes())
        if sha256_file(record) != note["record"]:
            raise _NotWholeError("its record changed since it was written")
        for artifact in json.loads(record.read_bytes())["outcome"]["artifacts"]:
            if sha256_file(state.parent / artifact["path"]) != artifact["sha256"]:
                raise _NotWholeError(f"its artifact {artifact['path']} changed")
        return dict(note["inputs"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _NotWholeError("no whole result of a pass is kept") from error


def remember(state: Path, step: str, snapshot: Snapshot) -> None:
    """Note the inputs of a step that has just passed over ``snapshot``."""
    record = state / "steps" / f"{step}.json"
    note = {"inputs": inputs_of(state, step, snapshot), "record": sha256_file(record)}
    write_atomic(_note(state, step), json.dumps(note, sort_keys=True).encode())


def carry_over(state: Path, step: str, snapshot: Snapshot) -> None:
    """Let a reused result speak of today's source: its inputs are the same files, so it holds for this tree too."""
    source = {
        "uri": origin(state.parent),
        "commit": snapshot.commit,
        "tree": snapshot.tree,
        "dirty": snapshot.dirty,
        "committed": snapshot.committed,
    }
    path = state / "steps" / f"{step}.json"
    record = json.loads(path.read_bytes())
    contexts = [
        record["context"],
        *(item["predicate"].get("gatehouse_context") for item in record["outcome"]["evidence"]),
    ]
    if all(context is None or context["source"] == source for context in contexts):
        return
    for context in contexts:
        if context is not None:
            context["source"] = source
    write_atomic(path, json.dumps(record, sort_keys=True, separators=(",", ":")).encode())
    remember(state, step, snapshot)

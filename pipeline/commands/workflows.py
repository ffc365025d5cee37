"""``workflows PATH``: the same checks over the workflows of any repository."""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from pipeline.commands.edge import Subcommands, root_folder, say


def register(commands: "Subcommands") -> None:
    workflows = commands.add_parser("workflows", help="check the GitHub workflows of any repository")
    workflows.add_argument("path", type=Path, nargs="?", default=None, metavar="PATH", help="default: this repository")
    workflows.set_defaults(run=_workflows)


def _workflows(arguments: argparse.Namespace) -> int:
    from pipeline.running.environments import ensure
    from pipeline.steps.workflow_inspection import inspect

    root = (arguments.path or root_folder()).resolve()
    found = inspect(root, ensure(root_folder(), "checks", say).python, _files(root))
    for problem in found.problems:
        say(f"{problem.code}: {problem.message}\n  fix: {problem.fix}")
    print(f"workflows: {found.files} files, {len(found.problems)} findings")
    return 1 if found.problems else 0


def _files(root: Path) -> Iterator[str]:
    """Every file below ``root``, which may be no git clone; what git and environments keep is nobody's action."""
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if name not in (".git", ".gatehouse", "node_modules", ".venv"))
        yield from (Path(folder, name).relative_to(root).as_posix() for name in files)

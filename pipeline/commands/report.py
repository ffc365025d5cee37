"""``report``: every form of the report on the last run."""

import argparse
import os
import sys
from pathlib import Path

from pipeline.commands.edge import Subcommands, root_folder


def register(commands: "Subcommands") -> None:
    report = commands.add_parser("report", help="write dist/report.html and print the result of the last run")
    report.add_argument("--format", choices=("text", "json"), default="text")
    report.set_defaults(run=_report)


def _report(arguments: argparse.Namespace) -> int:
    from pipeline.report.command import write_reports

    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    write_reports(
        root_folder(),
        sys.stdout,
        style=arguments.format,
        no_color=bool(os.environ.get("NO_COLOR")),
        summary=Path(summary) if summary else None,
    )
    return 0

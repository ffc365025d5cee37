"""``forecast [IMAGE]``: the dates on which today's evidence stops passing."""

import argparse
import os
import sys
from datetime import UTC, datetime

from pipeline.commands.edge import Subcommands, rfc3339_time
from pipeline.commands.release import add_source, read_named


def register(commands: "Subcommands") -> None:
    forecast = commands.add_parser("forecast", help="say when today's evidence stops passing, and why")
    add_source(forecast)
    forecast.add_argument("--environment", action="append", default=[], help="default: all of the policy's")
    forecast.add_argument("--days", type=_days, default=365, help="how far to look, 1 to 3660; default: 365")
    forecast.add_argument("--at", type=rfc3339_time, default=None, metavar="TIME", help="RFC 3339; default: now")
    forecast.add_argument("--format", choices=("text", "json", "ics"), default="text")
    forecast.set_defaults(run=_forecast)


def _days(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 3660:
        raise argparse.ArgumentTypeError(f"not 1 to 3660 days: {text!r}")
    return int(text)


def _forecast(arguments: argparse.Namespace) -> int:
    from pipeline.gate.forecast import forecast
    from pipeline.report import forecast_forms
    from pipeline.report.terminal import terminal_of

    release = read_named(arguments)
    told = forecast(release, arguments.at or datetime.now(UTC), arguments.days, tuple(arguments.environment))
    if arguments.format == "json":
        content = forecast_forms.as_json(told)
    elif arguments.format == "ics":
        content = forecast_forms.as_calendar(told)
    else:
        terminal = terminal_of(sys.stdout, no_color=bool(os.environ.get("NO_COLOR")))
        content = forecast_forms.as_text(told, terminal).encode(sys.stdout.encoding or "ascii", "replace")
    sys.stdout.buffer.write(content)
    sys.stdout.flush()
    return 0

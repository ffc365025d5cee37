"""``verify IMAGE``: the verdict of one environment, today or at a given time, from a store or from an export."""

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.commands.edge import (
    Subcommands,
    docker_config,
    load_settings,
    rfc3339_time,
    root_folder,
    use_system_certificates,
)
from pipeline.model.errors import Misuse

if TYPE_CHECKING:
    from pipeline.gate.judgement import Judgement
    from pipeline.gate.verify_command import Release


def register(commands: "Subcommands") -> None:
    verify = commands.add_parser("verify", help="judge an image from its evidence, today or at a given time")
    verify.add_argument("image", help="sha256:... or a tag in the store")
    verify.add_argument("--environment", default="development")
    verify.add_argument("--at", type=rfc3339_time, default=None, metavar="TIME", help="RFC 3339; default: now")
    verify.add_argument("--registry", default="", metavar="HOST/REPO", help="default: pipeline.toml's store")
    verify.add_argument(
        "--policy", default="", metavar="FOLDER|sha256:HEX", help="default: policies/; a digest with --offline alone"
    )
    verify.add_argument("--offline", type=Path, default=None, metavar="FILE", help="judge what `export` wrote")
    verify.add_argument(
        "--trust-root",
        action="append",
        default=[],
        metavar="[NAME=]FILE|sha256:HEX",
        help="with --offline: a trust root of your own (NAME: public unless given), or the digest of the file's",
    )
    verify.add_argument("--format", choices=("text", "json", "junit", "sarif", "html"), default="text")
    verify.set_defaults(run=_verify)


def _verify(arguments: argparse.Namespace) -> int:
    at = arguments.at or datetime.now(UTC)
    if arguments.offline:
        return _offline(arguments, at)
    return _stored(arguments, at)


def _stored(arguments: argparse.Namespace, at: datetime) -> int:
    from pipeline.gate.verify_command import verify_release
    from pipeline.store.opening import open_store

    if arguments.trust_root or arguments.policy.startswith("sha256:"):
        raise Misuse(
            "verify.arguments",
            "verify: an option that is for exports (got --trust-root or a policy's digest, expected --offline FILE)",
            fix="name the export with --offline FILE, or give --policy FOLDER",
        )
    use_system_certificates()
    root = root_folder()
    state, policies = root / ".gatehouse", Path(arguments.policy or root / "policies")
    loaded = load_settings(arguments.registry)
    store = open_store(loaded.store.registry, state, docker_config=docker_config())
    return _printed(
        *verify_release(store, arguments.image, arguments.environment, policies, at, state), policies, arguments.format
    )


def _offline(arguments: argparse.Namespace, at: datetime) -> int:
    from pipeline.gate.exported import Own, open_offline
    from pipeline.gate.verify_command import verify_offline

    if arguments.registry:
        raise Misuse(
            "verify.arguments",
            "verify: two places to read from (got --offline and --registry, expected one of them)",
            fix="leave one of them out",
        )
    state = root_folder() / ".gatehouse"
    with open_offline(arguments.offline, Own.of(arguments.policy, arguments.trust_root)) as offline:
        judged = verify_offline(offline, arguments.image, arguments.environment, at, state)
        return _printed(*judged, offline.policies, arguments.format)


def _printed(release: "Release", judgement: "Judgement", policies: Path, style: str) -> int:
    """The verdict in the form that was asked for, on stdout; returns its exit code."""
    sys.stdout.buffer.write(_form(release, judgement, policies, style))
    sys.stdout.flush()
    return judgement.exit_code


def _form(release: "Release", judgement: "Judgement", policies: Path, style: str) -> bytes:
    from pipeline.report.verdict_account import account_of, as_json

    if style == "sarif":
        from pipeline.report import verdict_sarif

        return verdict_sarif.render(judgement, release, policies)
    account = account_of(release, judgement)
    if style == "json":
        return as_json(judgement, account)
    if style == "junit":
        from pipeline.report import verdict_junit

        return verdict_junit.render(judgement, account)
    if style == "html":
        from pipeline.report import verdict_html

        return verdict_html.render(judgement, account)
    from pipeline.report import verdict_text
    from pipeline.report.terminal import terminal_of

    terminal = terminal_of(sys.stdout, no_color=bool(os.environ.get("NO_COLOR")))
    return verdict_text.render(judgement, account, terminal).encode(sys.stdout.encoding or "ascii", "replace")

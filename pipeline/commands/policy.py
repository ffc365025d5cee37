"""``policy check|test|explain|schema|vex``: what the policy says, and whether its own tests hold."""

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path

from pipeline.commands.deciding import read_digest
from pipeline.commands.edge import Subcommands, load_settings, rfc3339_time, root_folder


def register(commands: "Subcommands") -> None:
    policy = commands.add_parser("policy", help="check, test and explain the policy files")
    actions = policy.add_subparsers(dest="action", required=True, metavar="ACTION")

    check = _action(actions, "check", "whether the files hold together, and which exceptions are in force")
    check.add_argument("--at", type=rfc3339_time, default=None, metavar="TIME", help="RFC 3339; default: now")
    check.set_defaults(run=_check)

    test = _action(actions, "test", "judge every case of policies/tests")
    test.add_argument("--mutate", action="store_true", help="and see that every looser policy turns a case red")
    test.set_defaults(run=_test)

    explain = _action(actions, "explain", "what a rule, an exception or a code means, and where it holds")
    explain.add_argument("id", metavar="ID", help="of a rule or an exception, or any code of docs/codes.md")
    explain.set_defaults(run=_explain)

    schema = _action(actions, "schema", "the JSON Schema of a file, for editors")
    schema.add_argument("name", nargs="?", metavar="FILE", help="environments, rules, exceptions or cases")
    schema.add_argument("--write", action="store_true", help="write all of them to policies/schemas")
    schema.set_defaults(run=_schema)

    vex = _action(actions, "vex", "the exceptions on vulnerabilities as OpenVEX")
    vex.add_argument("image", type=read_digest, metavar="sha256:DIGEST", help="the image that it is about")
    vex.add_argument("--environment", default="production")
    vex.add_argument("--at", type=rfc3339_time, default=None, metavar="TIME", help="RFC 3339; default: now")
    vex.set_defaults(run=_vex)


def _action(actions: "Subcommands", name: str, says: str) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=says)
    parser.add_argument("--policy", type=Path, default=None, metavar="FOLDER", help="default: policies/")
    return parser


def _folder(arguments: argparse.Namespace) -> Path:
    return arguments.policy or root_folder() / "policies"


def _now(arguments: argparse.Namespace) -> datetime:
    return getattr(arguments, "at", None) or datetime.now(UTC)


def _check(arguments: argparse.Namespace) -> int:
    from pipeline.gate.policy import load_policy
    from pipeline.gate.policy_explained import summary

    print("\n".join(summary(load_policy(_folder(arguments)), _now(arguments))))
    return 0


def _test(arguments: argparse.Namespace) -> int:
    from pipeline.gate.policy_tests import check_cases

    tested = check_cases(_folder(arguments), mutate=arguments.mutate)
    print("\n".join(tested.lines()))
    tested.check()
    return 0


def _explain(arguments: argparse.Namespace) -> int:
    from pipeline.gate.policy import load_policy
    from pipeline.gate.policy_explained import explain
    from pipeline.model.errors import Misuse

    folder = _folder(arguments)
    try:
        lines = list(explain(load_policy(folder), folder, arguments.id, _now(arguments)))
    except Misuse:
        lines = _code(arguments.id)
        if not lines:
            raise
    print("\n".join(lines))
    return 0


def _code(name: str) -> list[str]:
    """The lines about a code that the pipeline itself refuses with, from the table that is made of its source."""
    table = (root_folder() / "docs" / "codes.md").read_text(encoding="utf-8").splitlines()
    rows = [line.strip("| ").split(" | ") for line in table if line.startswith(f"| `{name}` |")]
    return [
        line
        for _, exits, message, where in rows
        for line in (
            f"{name}: a refusal of the pipeline itself ({where}), and no exception excuses it",
            f"exit code: {exits}",
            *(f"refusal: {one}" for one in message.replace("\\", "").split("<br>") if one),
        )
    ]


def _schema(arguments: argparse.Namespace) -> int:
    from pipeline.gate.policy_schemas import MODELS, schema_text, write_schemas
    from pipeline.model.errors import Misuse

    if arguments.write:
        changed = [path.name for path in write_schemas(_folder(arguments))]
        print(f"schemas: {', '.join(changed) or 'all current'}")
        return 0
    if arguments.name not in MODELS:
        raise Misuse(
            "policy.schema",
            f"policy schema: no such file (got {arguments.name!r}, expected one of {', '.join(MODELS)})",
            fix="name one of them, or give --write for all",
        )
    print(schema_text(arguments.name), end="")
    return 0


def _vex(arguments: argparse.Namespace) -> int:
    from pipeline.gate.openvex import openvex
    from pipeline.gate.policy import load_policy
    from pipeline.model.errors import Refused

    policy, settings = load_policy(_folder(arguments)), load_settings("")
    policy.environment(arguments.environment)
    document = openvex(
        policy.exceptions,
        arguments.environment,
        arguments.image,
        settings.app.name,
        policy.repository or settings.app.name,
        _now(arguments),
    )
    if document is None:
        raise Refused(
            "policy.vex",
            f"{arguments.environment}: nothing to say of {arguments.image} (got no exception on a vulnerability in "
            "force, expected one)",
            fix="nothing to mend: without exceptions, what scanners find is as they say",
        )
    print(json.dumps(document, indent=2, ensure_ascii=False))
    return 0

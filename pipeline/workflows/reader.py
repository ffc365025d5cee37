"""YAML on disk to JSON on stdout; run by the checks environment's Python, which has PyYAML, as a file of its own.

Every scalar stays a string (so that ``on`` is no boolean), and duplicate keys, aliases and documents that are no
mapping are errors: a reader and a scanner must see the same workflow. Prints ``{path: {"content": ...}}`` or
``{path: {"error": ...}}`` for each argument.
"""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

_LIMIT = 1024 * 1024


class _Loader(yaml.BaseLoader):
    """Strings, lists and mappings only."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            line = self.peek_event().start_mark.line + 1  # type: ignore[no-untyped-call]
            raise yaml.YAMLError(f"alias at line {line}: write it out")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise yaml.YAMLError(f"duplicate key {twice!r} at line {node.start_mark.line + 1}")
        return dict(super().construct_mapping(node, deep=deep))


def read(path: str) -> dict[str, Any]:
    try:
        content = Path(path).read_bytes()
        if len(content) > _LIMIT:
            raise ValueError(f"larger than {_LIMIT} bytes")
        document = _Loader(content).get_single_data()
        if not isinstance(document, dict):
            raise TypeError("no mapping at the top")
    except (OSError, ValueError, TypeError, yaml.YAMLError, RecursionError) as error:
        return {"error": " ".join(str(error).split())[:300]}
    return {"content": document}


if __name__ == "__main__":
    json.dump({path: read(path) for path in sys.argv[1:]}, sys.stdout)

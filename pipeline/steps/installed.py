"""Which release of a tool an environment really holds."""

import re
from pathlib import Path

from pipeline.model.errors import CannotEvaluate


def version_of(python: Path, distribution: str) -> str:
    """The version of ``distribution`` installed beside ``python``, read from its ``.dist-info`` folder's name.

    Raises CannotEvaluate (``tool.missing``).
    """
    stem = re.sub(r"[-_.]+", "_", distribution).lower()
    for folder in sorted(python.parent.parent.glob("lib/python*/site-packages/*.dist-info")):
        name, _, version = folder.name.removesuffix(".dist-info").partition("-")
        if re.sub(r"[-_.]+", "_", name).lower() == stem and version:
            return version
    raise CannotEvaluate(
        "tool.missing",
        f"{distribution}: not installed (got no such package beside {python.name}, expected the locked one)",
        fix="remove the environments below the state folder and run the command again",
    )

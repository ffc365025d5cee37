"""What a package says of its licence, as CycloneDX writes it: an SPDX expression, an SPDX id, or the words as they are.

Sources: core metadata 2.4 (``License-Expression``, ``License``, classifiers); Debian's machine-readable copyright
format 1.0, "Short name"; CycloneDX 1.6 ``licenses``.
"""

import re
from collections.abc import Iterable
from email.message import Message
from typing import Any

from cyclonedx import spdx

#: Said where nothing is known; never left out, so that nobody takes silence for a permission.
UNKNOWN = "NOASSERTION"
# Classifiers that mean exactly one SPDX licence; "BSD License" for one does not.
_CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}
_DEBIAN = {"Expat": "MIT", "PSF-2": "PSF-2.0", "FSFAP": "FSFAP"}
_GNU = re.compile(r"(A?GPL|LGPL|GFDL)-(\d)(?:\.(\d))?(\+)?")

Licences = list[dict[str, Any]]


def _one(text: str) -> dict[str, Any]:
    known = spdx.fixup_id(text)
    return {"license": {"id": known} if known else {"name": text[:200]}}


def _declared(entries: Iterable[dict[str, Any]]) -> Licences:
    made = [{"license": {**entry["license"], "acknowledgement": "declared"}} for entry in entries]
    return made or [{"license": {"name": UNKNOWN}}]


def of_wheel(metadata: Message) -> Licences:
    """The licence that a wheel's METADATA declares."""
    field = str(metadata.get("License") or "").strip()
    expression = str(metadata.get("License-Expression") or "").strip()
    if not expression and spdx.fixup_id(field) is None and spdx.is_expression(field):
        expression = field
    if expression:
        return [{"expression": expression, "acknowledgement": "declared"}]
    classified = [name for name in map(_classified, metadata.get_all("Classifier", [])) if name]
    # A short field is a name; a long one is the licence's whole text.
    named = [field] if field and "\n" not in field and field.upper() != "UNKNOWN" else sorted(set(classified))
    return _declared(_one(name) for name in named)


def _classified(classifier: str) -> str | None:
    parts = [part.strip() for part in str(classifier).split("::")]
    if parts[0] != "License" or parts[-1] in {"License", "OSI Approved"}:
        return None
    return _CLASSIFIERS.get(parts[-1], parts[-1])


def of_debian(copyright_file: str) -> Licences:
    """Every licence that a machine-readable copyright file names; unknown where the file is prose."""
    if "Format:" not in copyright_file[:500]:
        return _declared([])
    names = re.findall(r"(?m)^License:[ \t]*(\S.*?)[ \t]*$", copyright_file)
    return _declared(_one(name) for name in sorted(set(map(spdx_name, names))))


def spdx_name(short: str) -> str:
    """Debian's short name as SPDX has it: ``GPL-2+`` is ``GPL-2.0-or-later``."""
    gnu = _GNU.fullmatch(short)
    if gnu:
        family, major, minor, later = gnu.groups()
        return f"{family}-{major}.{minor or 0}-{'or-later' if later else 'only'}"
    return _DEBIAN.get(short, short)

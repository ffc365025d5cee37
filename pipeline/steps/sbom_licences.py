"""What a package says of its licence, as CycloneDX writes it: an SPDX expression, an SPDX id, or the words as they are.

Sources: core metadata 2.4 (``License-Expression``, ``License``, classifiers); Debian's machine-readable copyright
format 1.0, "License field"; SPDX 2.3, annex D; CycloneDX 1.6 ``licenses``.
"""

import re
from collections.abc import Iterable
from email.message import Message
from typing import Any

from cyclonedx import spdx
from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

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
_DEBIAN = {"Artistic": "Artistic-1.0", "Expat": "MIT", "PSF-2": "PSF-2.0"}
_GNU = re.compile(r"(A?GPL|LGPL|GFDL)-(\d)(?:\.(\d))?(\+)?")

Licences = list[dict[str, Any]]


def _one(text: str) -> dict[str, Any]:
    known = spdx.fixup_id(text)
    return {"license": {"id": known} if known else {"name": text[:200]}}


def _declared(entries: Iterable[dict[str, Any]]) -> Licences:
    made = [{"license": {**entry["license"], "acknowledgement": "declared"}} for entry in entries]
    return made or [{"license": {"name": UNKNOWN}}]


def licences_of_wheel(metadata: Message) -> Licences:
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


def licences_of_debian(copyright_file: str, *, source: str, package: str) -> Licences:
    """One expression of all that a machine-readable copyright file names; of one in prose, where it stands."""
    if not copyright_file.strip():
        return _declared([])
    if "Format:" not in copyright_file[:500]:
        place = f"file:///usr/share/doc/{package}/copyright"
        return _declared([{"license": {"name": _reference(source), "url": place}}])
    fields = re.findall(r"(?m)^License:[ \t]*(\S.*?)[ \t]*$", copyright_file)
    terms = sorted({term for field in fields for term in _terms(" ".join(field.split()))})
    if not terms:
        return _declared([])
    alone = terms[0].removeprefix("(").removesuffix(")") if len(terms) == 1 else " AND ".join(terms)
    return [{"expression": alone, "acknowledgement": "declared"}]


def _terms(field: str) -> set[str]:
    """All that a License field asks for: ``or`` binds closer than a comma's ``and``, less close than a bare one."""
    found = set()
    for part in re.split(r",\s*and\s+", field):
        choices = [_all(choice) for choice in re.split(r",?\s+(?:and/or|or|\|)\s+", part) if choice.strip()]
        if len(choices) == 1:
            found |= choices[0]
        else:
            every = sorted(" AND ".join(sorted(choice)) for choice in choices)
            found.add(f"({' OR '.join(f'({one})' if ' AND ' in one else one for one in every)})")
    return found


def _all(text: str) -> set[str]:
    return {spdx_name(name.strip()) for name in re.split(r"\s+and\s+", text) if name.strip()}


def spdx_name(short: str) -> str:
    """Debian's short name as SPDX has it, ``GPL-2.0-or-later`` for ``GPL-2+``; a reference where it has none."""
    licence, _, exception = short.partition(" with ")
    gnu = _GNU.fullmatch(licence)
    if gnu:
        family, major, minor, later = gnu.groups()
        licence = f"{family}-{major}.{minor or 0}-{'or-later' if later else 'only'}"
    else:
        licence = _DEBIAN.get(licence, licence)
    wanted = f"{licence} WITH {exception.removesuffix(' exception')}" if exception else licence
    try:
        return str(canonicalize_license_expression(wanted))
    except InvalidLicenseExpression:
        return _reference(short)


def _reference(name: str) -> str:
    """SPDX's form for a licence that is not on its list."""
    return "LicenseRef-debian-" + re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip("-")

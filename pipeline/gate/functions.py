"""What CEL lacks and rules need: package URLs, versions, severities and licences, as functions of expressions.

A function that cannot read what it is given raises; CEL makes an ERROR of it, which denies.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from cel_expr_python import cel

from pipeline.advisories.severity import ORDER, severity_of

if TYPE_CHECKING:
    from packageurl import PackageURL
    from packaging.version import Version

# NOTE: what is imported inside of a function is needed by some rules only, and a run of the gate counts milliseconds.

MAX_TEXT = 4096

# NOTE: cel_expr_python 0.1.3 never frees the arguments of such a function, some 100 bytes a call: nothing to a run that
# judges one release, and the reason to keep them out of rules over long lists (a View has ``purls`` for that).
# `matches` of CEL is no way out there: it compiles its pattern anew for every item.


def _short(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise ValueError(f"text of more than {MAX_TEXT} characters")
    return text


@lru_cache(maxsize=4096)
def parse_purl(text: str) -> "PackageURL":
    """A package URL (ECMA-427); ValueError where it is none."""
    from packageurl import PackageURL  # noqa: PLC0415

    return PackageURL.from_string(_short(text))


@lru_cache(maxsize=4096)
def read_purl(text: str) -> dict[str, str] | None:
    """Type, namespace, name and version, empty where it names none; None where ``text`` is no package URL."""
    try:
        purl = parse_purl(text)
    except ValueError:
        return None
    return {name: getattr(purl, name) or "" for name in ("type", "namespace", "name", "version")}


def covers(wider: str, purl: str) -> bool:
    """Whether ``purl`` is the package that ``wider`` names: of its version where it names one, else of any.

    Qualifiers and subpath count where ``wider`` has them. ValueError where one of them is no package URL.
    """
    one, other = parse_purl(wider), parse_purl(purl)
    if (one.type, one.namespace, one.name) != (other.type, other.namespace, other.name):
        return False
    qualifiers, wanted = dict(other.qualifiers), dict(one.qualifiers)
    return (
        one.version in (None, other.version)
        and one.subpath in (None, other.subpath)
        and all(qualifiers.get(name) == value for name, value in wanted.items())
    )


@lru_cache(maxsize=1024)
def _pep440(text: str) -> "Version":
    from packaging.version import Version  # noqa: PLC0415

    return Version(_short(text))


def compare_pep440(one: str, other: str) -> int:
    """-1, 0 or 1 (PEP 440, "Summary of permitted suffixes and relative ordering")."""
    left, right = _pep440(one), _pep440(other)
    return (left > right) - (left < right)


def within_pep440(version: str, specifiers: str) -> bool:
    """Whether ``version`` is among ``>=2.1,<3`` and the like, pre-releases included (PEP 440, "Version specifiers")."""
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415

    return SpecifierSet(_short(specifiers)).contains(_pep440(version), prereleases=True)


def compare_semver(one: str, other: str) -> int:
    """-1, 0 or 1 (Semantic Versioning 2.0.0, section 11)."""
    from semver import Version  # noqa: PLC0415

    return int(Version.parse(_short(one)).compare(_short(other)))


def rank(severity: str) -> int:
    """0 for ``none`` to 4 for ``critical``. ValueError for ``unknown``, which is a class of its own, and all else."""
    return [*map(str, ORDER)].index(severity)


def cvss_severity(method: str, vector: str) -> str:
    """The severity of a vector's base score by its OSV method (``CVSS_V3``), ``unknown`` where it has none."""
    return severity_of([(method, _short(vector))])


def _satisfied(expression: str, allowed: Sequence[str]) -> bool:
    from pipeline.gate.licences import satisfied  # noqa: PLC0415

    return satisfied(expression, allowed)


def _named(expression: str) -> list[str]:
    from pipeline.gate.licences import named  # noqa: PLC0415

    return named(expression)


@dataclass(frozen=True, slots=True)
class Function:
    """One function of expressions: its parameters' types by name, its result's, and what it says, for documents."""

    name: str
    parameters: Mapping[str, cel.Type]
    result: cel.Type
    implementation: Callable[..., object]
    says: str

    def declaration(self) -> cel.FunctionDecl:
        overload = cel.Overload(
            self.name.replace(".", "_"), self.result, list(self.parameters.values()), impl=self.implementation
        )
        return cel.FunctionDecl(self.name, [overload])

    @property
    def signature(self) -> str:
        return f"{self.name}({', '.join(self.parameters)}) -> {self.result.name().lower()}"


_TEXT = cel.Type.STRING
FUNCTIONS: tuple[Function, ...] = (
    Function("purl.type", {"purl": _TEXT}, _TEXT, lambda text: parse_purl(text).type, "`pypi`, `deb`, `oci` ..."),
    Function("purl.name", {"purl": _TEXT}, _TEXT, lambda text: parse_purl(text).name, "the package's name"),
    Function(
        "purl.version",
        {"purl": _TEXT},
        _TEXT,
        lambda text: parse_purl(text).version or "",
        "its version, empty where it names none",
    ),
    Function(
        "purl.covers",
        {"wider": _TEXT, "purl": _TEXT},
        cel.Type.BOOL,
        covers,
        "whether `purl` is the package, and where one is named the version, of `wider`",
    ),
    Function(
        "pep440.compare",
        {"one": _TEXT, "other": _TEXT},
        cel.Type.INT,
        compare_pep440,
        "-1, 0 or 1: order of Python versions",
    ),
    Function(
        "pep440.within",
        {"version": _TEXT, "specifiers": _TEXT},
        cel.Type.BOOL,
        within_pep440,
        "whether a version is among `>=2.1,<3` and the like",
    ),
    Function(
        "semver.compare",
        {"one": _TEXT, "other": _TEXT},
        cel.Type.INT,
        compare_semver,
        "-1, 0 or 1: order of semantic versions",
    ),
    Function(
        "severity.rank",
        {"severity": _TEXT},
        cel.Type.INT,
        rank,
        "0 for `none` to 4 for `critical`; an error for `unknown`, so that a rule says what it means by it",
    ),
    Function(
        "cvss.severity",
        {"method": _TEXT, "vector": _TEXT},
        _TEXT,
        cvss_severity,
        "the severity of a CVSS vector's base score, `unknown` where it has none; `method` is `CVSS_V3` or the like",
    ),
    Function(
        "spdx.satisfied",
        {"expression": _TEXT, "allowed": cel.Type.List(_TEXT)},
        cel.Type.BOOL,
        _satisfied,
        "whether a licence expression can be met with the licences of a list",
    ),
    Function("spdx.names", {"expression": _TEXT}, cel.Type.List(_TEXT), _named, "every licence that it names"),
)


def declarations() -> list[cel.FunctionDecl]:
    return [function.declaration() for function in FUNCTIONS]

"""``pipeline.toml`` as frozen data; what is unknown or missing is refused."""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.version import InvalidVersion, Version
from pydantic import AfterValidator, Field, StringConstraints, ValidationError

from pipeline.model.documents import Document
from pipeline.model.errors import Misuse

FILE = "pipeline.toml"
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*@")


def _relative(path: str) -> str:
    parts = path.split("/")
    if not path or path.startswith("/") or ".." in parts or "\\" in path or "" in parts:
        raise ValueError("should be a path below the repository, with single forward slashes and no ..")
    return path


def _version(text: str) -> str:
    try:
        Version(text)
    except InvalidVersion:
        raise ValueError("should be a PEP 440 version") from None
    return text


def _address(text: str) -> str:
    if text and not re.fullmatch(r"https?://[^\s@?#]+", text):
        raise ValueError("should be an http or https address without user, query or fragment")
    return text.rstrip("/")


def _contact(text: str) -> str:
    if text and not re.fullmatch(r"https?://[^\s@]+|[^\s@:]+@[^\s@:]+", text):
        raise ValueError("should be an address for mail, or of a page (https://...)")
    return text


def _licence(text: str) -> str:
    try:
        return str(canonicalize_license_expression(text)) if text else ""
    except InvalidLicenseExpression:
        raise ValueError("should be an SPDX licence expression") from None


def _registry(text: str) -> str:
    if text and not re.fullmatch(r"[a-z0-9.-]+(:\d{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+", text):
        raise ValueError("should be host[:port]/repository in lower case, without scheme or tag")
    return text


RelativePath = Annotated[str, AfterValidator(_relative)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$")]


class App(Document):
    name: Name
    version: Annotated[str, AfterValidator(_version)]
    directory: RelativePath
    tests: RelativePath
    port: int = Field(ge=1, le=65535)
    health: Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9/_.-]*$")]
    supplier: Annotated[str, StringConstraints(max_length=200)] = ""
    contact: Annotated[str, AfterValidator(_contact)] = ""
    licence: Annotated[str, AfterValidator(_licence)] = ""


class Image(Document):
    builder: Literal["composer", "engine"] = "composer"
    platforms: Annotated[list[Literal["linux/amd64", "linux/arm64"]], Field(min_length=1, max_length=2)]
    byte_code: bool = True


class SourceSettings(Document):
    branch: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$")] = "main"


class Base(Document):
    mirror: Annotated[str, AfterValidator(_address)] = ""
    snapshot: Annotated[str, AfterValidator(_address)] = ""
    suite: Annotated[str, StringConstraints(pattern=r"^[a-z]+$")] = "trixie"
    image: Annotated[str, StringConstraints(pattern=r"^([^@\s]{1,255}@sha256:[0-9a-f]{64})?$")] = ""


class StoreSettings(Document):
    registry: Annotated[str, AfterValidator(_registry)] = ""


class Promotion(Document):
    remote: Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*)?$")] = ""
    branch: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+([._/-][a-z0-9]+)*$")] = "ledger"
    repositories: dict[Name, Annotated[str, AfterValidator(_registry)]] = {}


class Signing(Document):
    instance: str = "public"
    publish_identity: bool = False


class Advisories(Document):
    osv: Annotated[str, AfterValidator(_address)] = ""


def _one_group(text: str) -> str:
    try:
        groups = re.compile(text).groups
    except re.error as error:
        raise ValueError(f"should be a regular expression ({error})") from None
    if groups != 1:
        raise ValueError("should be a regular expression with one group, which is kept")
    return text


class Exchange(Document):
    """A request that the service answers, as the smoke step sends it; ``WEBSOCKET`` opens one and sends ``body``."""

    name: Name
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET"] = "GET"
    path: Annotated[str, StringConstraints(pattern=r"^/[!-~]{0,2000}$")]
    headers: dict[
        Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,100}$")],
        Annotated[str, StringConstraints(pattern=r"^[ -~]{0,2000}$")],
    ] = {}
    body: Annotated[str, StringConstraints(max_length=16_000)] = ""
    status: int = Field(default=200, ge=100, le=599)
    contains: str = ""
    keep: dict[
        Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")], Annotated[str, AfterValidator(_one_group)]
    ] = {}


def _named_once(exchanges: list[Exchange]) -> list[Exchange]:
    names = [exchange.name for exchange in exchanges]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"should name each exchange once, not {twice} twice")
    return exchanges


class Settings(Document):
    app: App
    image: Image
    source: SourceSettings = Field(default_factory=SourceSettings)
    base: Base = Field(default_factory=Base)
    store: StoreSettings = Field(default_factory=StoreSettings)
    promotion: Promotion = Field(default_factory=Promotion)
    signing: Signing = Field(default_factory=Signing)
    advisories: Advisories = Field(default_factory=Advisories)
    smoke: Annotated[list[Exchange], Field(max_length=50), AfterValidator(_named_once)] = []


def with_registry(settings: Settings, registry: str) -> Settings:
    """The same settings with another registry (``--registry``); raises Misuse (``arguments.registry``)."""
    try:
        store = StoreSettings(registry=registry)
    except ValidationError as error:
        raise Misuse(
            "arguments.registry",
            f"--registry: not a repository (got {registry[:120]!r}, expected host[:port]/repository in lower case)",
            fix="give it without scheme, tag or credentials: --registry registry.example.com/team/app",
        ) from error
    return settings.model_copy(update={"store": store})


def load(root: Path) -> Settings:
    """Read ``pipeline.toml`` below ``root``; raises Misuse (``settings.*``)."""
    path = root / FILE
    try:
        parsed = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise Misuse(
            "settings.missing",
            f"{FILE}: not found (got no such file, expected it at the root of the repository)",
            fix="run from a clone of the repository, or restore the file with `git checkout pipeline.toml`",
        ) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Misuse(
            "settings.malformed",
            f"{FILE}: not readable (got {error}, expected UTF-8 TOML)",
            fix=f"mend {FILE} at the place named",
        ) from error
    try:
        return Settings.model_validate(parsed)
    except ValidationError as error:
        # A misspelt key is unknown and the one that was meant is missing: the unknown one is what to mend.
        problem = min(error.errors(include_url=False), key=lambda each: each["type"] != "extra_forbidden")
        where = ".".join(str(part) for part in problem["loc"])
        got = "nothing" if problem["type"] == "missing" else _CREDENTIALS.sub("", repr(problem["input"]))[:120]
        raise Misuse(
            "settings.invalid",
            f"{FILE}: {where}: {problem['msg'].lower()} (got {got}, expected what docs/settings.md lists)",
            fix=f"change {where} in {FILE}",
        ) from error

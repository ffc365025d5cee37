"""A strict reader of Dockerfiles: what it does not know it refuses, where an engine would guess.

RUN it reads for an engine alone, and only so far that nothing in it reaches around ``--network none`` or the context.

Source: Dockerfile reference of BuildKit; tests hold this reading against BuildKit's own parser.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pipeline.model.errors import Misuse, Refused

NAME = "Dockerfile"
#: What a name in a layer begins with that removes files of the layers below (OCI image specification, ``layer.md``).
_WHITEOUT = ".wh."
#: By these builds on an engine are known, and trees told apart.
_OWN_LABELS = "dev.gatehouse."
_WORD = re.compile(r"""(?:[^\s"'\\]|"[^"\\]*"|'[^']*')+""")
_PAIR = re.compile(r"""([A-Za-z_][A-Za-z0-9_.-]*)=(?:"([^"\\]*)"|'([^']*)'|([^\s"'\\]*))""")
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*)|(.?))")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction. ``words`` are its arguments: of an exec form the array's strings, else as written."""

    line: int
    keyword: str
    flags: tuple[str, ...]
    words: tuple[str, ...]
    is_array: bool


@dataclass(frozen=True, slots=True)
class Copy:
    """``sources`` are below the build context, ``target`` is absolute; ``into`` says that it names a folder."""

    line: int
    sources: tuple[str, ...]
    target: str
    into: bool
    owner: int


@dataclass(frozen=True, slots=True)
class Made:
    """A folder that WORKDIR makes where it is not there yet; ``path`` is absolute."""

    line: int
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What a Dockerfile says, with every variable replaced. ``base`` is FROM's image, ``base_from`` FROM's own word."""

    base: str
    base_from: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    directory: str = "/"
    ports: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    stop_signal: str = ""
    copies: tuple[Copy, ...] = ()
    made: tuple[Made, ...] = ()
    runs: tuple[Instruction, ...] = ()
    """What an engine runs, in its order; none for the composer."""


def _refuse(line: int, got: str, expected: str, *, code: str = "dockerfile.unsupported", fix: str = "") -> Refused:
    message = f"{NAME}:{line}: not of the known subset (got {got[:200]}, expected {expected})"
    return Refused(code, message, fix=fix or f"write line {line} in that form")


def parse(text: str, *, engine: bool = False) -> list[Instruction]:
    """Split into instructions; raises Refused or Misuse (``dockerfile.*``) for what is not of the known subset."""
    return [_instruction(number, logical, engine=engine) for number, logical in _logical_lines(text)]


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their continuations joined and comments left out, each with the number that it starts at."""
    started, joined = 0, ""
    # BuildKit ends lines at \n alone and continues them behind exactly one backslash: what could be read otherwise
    # (other line ends, other blanks, several backslashes) would let it see instructions that were not seen here.
    for number, line in enumerate(text.replace("\r\n", "\n").removesuffix("\n").split("\n"), 1):
        if not line.replace("\t", " ").isprintable():
            raise _refuse(number, repr(line), "printable characters, blanks and tabs")
        stripped = line.strip()
        if stripped.startswith("#"):
            if re.match(r"#\s*(syntax|escape|check)\s*=", stripped, re.IGNORECASE):
                raise _refuse(number, f"parser directive {stripped!r}", "none")
            continue
        if not stripped:
            if joined:
                raise _refuse(number, "an empty line inside an instruction", "its next line")
            continue
        if line.rstrip().endswith("\\\\"):
            raise _refuse(number, "two backslashes at the end", "one where the next line belongs to this one")
        started = started or number
        # Leading space of a continued line belongs to it; at the start of an instruction it means nothing.
        joined += line.rstrip() if joined else stripped
        if joined.endswith("\\"):
            joined = joined[:-1] or " "
            continue
        yield started, joined
        started, joined = 0, ""
    if joined:
        raise _refuse(started, "a continuation at the end of the file", "the rest of the instruction")


def _instruction(line: int, text: str, *, engine: bool) -> Instruction:
    keyword, _, rest = text.partition(" ")
    keyword, rest = keyword.strip().upper(), rest.strip()
    if keyword == "RUN" and engine:
        return _run(line, rest)
    if keyword == "RUN":
        raise Misuse(
            "dockerfile.needs-engine",
            f"{NAME}:{line}: {keyword} needs a container engine (got {keyword}, expected an instruction that the "
            "composer can carry out without running anything)",
            fix='set `[image] builder = "engine"` in pipeline.toml, or take the instruction out',
        )
    if keyword not in _READERS:
        raise _refuse(line, keyword, f"one of {', '.join(sorted(_READERS))}", code="dockerfile.unknown-instruction")
    flags = []
    while match := re.match(r"--\S+\s*", rest):
        flags.append(match[0].strip())
        rest = rest[match.end() :]
    if rest.startswith("[") and keyword in {"COPY", "ENTRYPOINT", "CMD"}:
        return Instruction(line, keyword, tuple(flags), _array(line, rest), is_array=True)
    words = _words(line, rest)
    if keyword in _ONE_WORD and len(words) > 1:
        raise _refuse(line, rest, f"{keyword} and one word")
    return Instruction(line, keyword, tuple(flags), words, is_array=False)


def _run(line: int, text: str) -> Instruction:
    """Its flags could give it the network, other images or what earlier builds left behind; ``<<`` hides lines."""
    if not text or text.startswith("--"):
        raise _refuse(line, text or "no arguments", "RUN without flags, and what to run")
    if "<<" in text:
        raise _refuse(line, "a here-document", "no <<")
    is_array = text.startswith("[")
    return Instruction(line, "RUN", (), _array(line, text) if is_array else (text,), is_array=is_array)


def _array(line: int, text: str) -> tuple[str, ...]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _refuse(line, text, 'a JSON array of strings, ["like", "this"]') from error
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise _refuse(line, text, 'a JSON array of strings, ["like", "this"]')
    if any("\0" in word or not _is_text(word) for word in value):
        # No argument of a program can hold a NUL, and no file of ours half a character.
        raise _refuse(line, text, "strings of whole characters")
    return tuple(value)


def _is_text(word: str) -> bool:
    try:
        return bool(word.encode()) or not word
    except UnicodeEncodeError:
        return False


def _words(line: int, text: str) -> tuple[str, ...]:
    words = tuple(_WORD.findall(text))
    if re.sub(r"\s", "", "".join(_WORD.split(text))) or not words:
        raise _refuse(line, text or "no arguments", "words without backslashes and with balanced quotes")
    if any(word.startswith("<<") for word in words):
        raise _refuse(line, "a here-document", "no <<")
    return words


class _Reading:
    """The state while instructions are read in their order."""

    def __init__(self, arguments: Mapping[str, str], otherwise: Mapping[str, str]) -> None:
        self.given = arguments
        self.otherwise = otherwise
        self.variables: dict[str, str] = {}
        self.environment: dict[str, str] = {}
        self.labels: dict[str, str] = {}
        self.single: dict[str, str] = {}
        self.ports: list[str] = []
        self.arrays: dict[str, tuple[str, ...]] = {}
        self.copies: list[Copy] = []
        self.made: list[Made] = []

    def expand(self, line: int, text: str) -> str:
        def value(match: re.Match[str]) -> str:
            name = match[1] or match[2]
            known = {**self.variables, **self.environment}
            if not name or name not in known:
                raise _refuse(line, match[0], "a variable that an ARG or ENV above gives a value", code=_UNDEFINED)
            return known[name]

        return _VARIABLE.sub(value, text)

    def pairs(self, item: Instruction) -> Iterator[tuple[str, str]]:
        for word in item.words:
            match = _PAIR.fullmatch(word)
            if not match:
                raise _refuse(item.line, word, "name=value, quoted whole where it has spaces")
            literal = match[3]
            yield match[1], literal if literal is not None else self.expand(item.line, match[2] or match[4] or "")

    def one(self, item: Instruction, pattern: str, expected: str) -> str:
        value = self.expand(item.line, item.words[0])
        if not re.fullmatch(pattern, value):
            raise _refuse(item.line, value, expected)
        return value


#: signal(7), by the names that every engine knows.
_SIGNALS = "SIG(ABRT|ALRM|CONT|HUP|INT|KILL|PIPE|QUIT|STOP|TERM|TSTP|USR1|USR2|WINCH)"
_UNDEFINED = "dockerfile.undefined-variable"


def _arg(state: _Reading, item: Instruction) -> None:
    # As BuildKit does it: no value of an instruction is seen by another one of the same instruction.
    found: dict[str, str] = {}
    for word in item.words:
        name, _, _ = word.partition("=")
        if word == name:
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                raise _refuse(item.line, word, "a variable's name")
            defaults = {name: state.otherwise[name]} if name in state.otherwise else {}
        else:
            defaults = dict(state.pairs(Instruction(item.line, item.keyword, (), (word,), is_array=False)))
        given = {name: state.given[name]} if name in state.given else {}
        found |= {**defaults, **given}
    state.variables |= found


def _from(state: _Reading, item: Instruction) -> None:
    if len(item.words) != 1:
        raise _refuse(item.line, " ".join(item.words), "FROM and one image: a Dockerfile has one stage")
    state.single["FROM"] = state.expand(item.line, item.words[0])
    # Arguments before FROM are FROM's alone (reference, "Understand how ARG and FROM interact").
    state.variables.clear()


def _env(state: _Reading, item: Instruction) -> None:
    state.environment |= dict(state.pairs(item))


def _label(state: _Reading, item: Instruction) -> None:
    found = dict(state.pairs(item))
    if own := next((name for name in found if name.startswith(_OWN_LABELS)), None):
        raise _refuse(item.line, own, f"a label that does not begin with {_OWN_LABELS}: those are the pipeline's")
    state.labels |= found


def _user(state: _Reading, item: Instruction) -> None:
    value = state.one(item, r"[1-9]\d{0,8}(:[1-9]\d{0,8})?", "numbers of a user and group, none of them 0")
    state.single["USER"] = value if ":" in value else f"{value}:{value}"


def _workdir(state: _Reading, item: Instruction) -> None:
    if "USER" in state.single:
        # BuildKit would give its folder to that user, the classic builder to root.
        raise _refuse(item.line, "WORKDIR behind USER", "it before USER", fix="move the line above USER")
    path = state.one(item, r"(/[A-Za-z0-9_.-]*[A-Za-z0-9_-])+|/", "an absolute path without spaces")
    if f"/{_WHITEOUT}" in path:
        raise _refuse(item.line, path, f"no name that begins with {_WHITEOUT}: it would remove files of the base")
    state.single["WORKDIR"] = path
    state.made.append(Made(item.line, state.single["WORKDIR"]))


def _expose(state: _Reading, item: Instruction) -> None:
    for word in item.words:
        value = state.expand(item.line, word)
        if not re.fullmatch(r"[1-9]\d{0,4}(/(tcp|udp))?", value) or int(value.partition("/")[0]) > 65535:
            raise _refuse(item.line, value, "a port, with /tcp or /udp at most")
        state.ports.append(value if "/" in value else f"{value}/tcp")


def _stop_signal(state: _Reading, item: Instruction) -> None:
    state.single["STOPSIGNAL"] = state.one(item, rf"{_SIGNALS}|[1-9]|[1-5]\d|6[0-4]", "a signal of Linux")


def _health_check(state: _Reading, item: Instruction) -> None:
    # The image has no shell and no client to probe itself with: the platform's own probes do that.
    state.one(item, "NONE", "NONE: probes are the platform's")


def _exec(state: _Reading, item: Instruction) -> None:
    if not item.is_array:
        raise _refuse(item.line, " ".join(item.words), 'the exec form ["program", "argument"]: the image has no shell')
    state.arrays[item.keyword] = item.words


def _copy(state: _Reading, item: Instruction) -> None:
    owner = 0
    for flag in item.flags:
        match = re.fullmatch(r"--chown=(\d{1,9})(?::(\d{1,9}))?", flag)
        if not match or (match[2] or match[1]) != match[1]:
            raise _refuse(item.line, flag, "--chown=N:N with one number at most")
        owner = int(match[1])
    words = [state.expand(item.line, word) for word in item.words]
    if len(words) < 2 or any(re.search(r"[*?\[\"'\s]", word) for word in words):
        raise _refuse(item.line, " ".join(words), "paths without patterns, quotes or spaces, and a target")
    *sources, target = words
    if not target.startswith("/"):
        target = f"{state.single.get('WORKDIR', '/').rstrip('/')}/{target}"
    if ".." in target.split("/"):
        raise _refuse(item.line, target, "a target without ..")
    into = target.endswith(("/", "/.")) or len(sources) > 1
    # One path, one way to write it: "./a" in a layer would be neither found as "a" nor held against the base.
    parts = [part for part in target.split("/") if part not in {"", "."}]
    if any(part.startswith(_WHITEOUT) for part in parts):
        raise _refuse(item.line, target, f"no name that begins with {_WHITEOUT}: it would remove files of the base")
    state.copies.append(Copy(item.line, tuple(sources), "/" + "/".join(parts), into, owner))


_READERS = {
    "ARG": _arg,
    "FROM": _from,
    "LABEL": _label,
    "ENV": _env,
    "USER": _user,
    "WORKDIR": _workdir,
    "EXPOSE": _expose,
    "COPY": _copy,
    "ENTRYPOINT": _exec,
    "CMD": _exec,
    "STOPSIGNAL": _stop_signal,
    "HEALTHCHECK": _health_check,
}
#: An engine takes the rest of their line as it is, spaces and all.
_ONE_WORD = {"USER", "WORKDIR", "STOPSIGNAL", "HEALTHCHECK"}


def read(
    text: str, arguments: Mapping[str, str], *, otherwise: Mapping[str, str] | None = None, engine: bool = False
) -> Recipe:
    """Carry out the instructions; ``engine`` allows RUN.

    ``arguments`` are build arguments, ``otherwise`` the values of those that neither they nor the Dockerfile give one.
    Raises Refused (``dockerfile.*``) and Misuse (``dockerfile.needs-engine``).
    """
    state = _Reading(arguments, otherwise or {})
    instructions = parse(text, engine=engine)
    kinds = [item.keyword for item in instructions]
    if kinds.count("FROM") != 1 or "FROM" not in [kind for kind in kinds if kind != "ARG"][:1]:
        raise _refuse(1, f"{kinds.count('FROM')} FROM among {kinds[:3]}", "one FROM, with nothing but ARG before it")
    for item in instructions:
        if item.flags and item.keyword != "COPY":
            raise _refuse(item.line, item.flags[0], f"{item.keyword} without flags")
        if item.keyword != "RUN":
            _READERS[item.keyword](state, item)
    return Recipe(
        base=state.single["FROM"],
        base_from=next(item.words[0] for item in instructions if item.keyword == "FROM"),
        environment=state.environment,
        labels=state.labels,
        user=state.single.get("USER", ""),
        directory=state.single.get("WORKDIR", "/"),
        ports=tuple(dict.fromkeys(state.ports)),
        entrypoint=state.arrays.get("ENTRYPOINT", ()),
        command=state.arrays.get("CMD", ()),
        stop_signal=state.single.get("STOPSIGNAL", ""),
        copies=tuple(state.copies),
        made=tuple(state.made),
        runs=tuple(item for item in instructions if item.keyword == "RUN"),
    )

"""JUnit XML as pytest writes it (``junit_family = xunit2``), read without entities and held against its own counts."""

from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from pipeline.steps.tool_output import unreadable

_LIMIT = 16 * 1024 * 1024
_LONGEST = 500  # characters of a test's name: parameters may be of any length
_OUTCOMES = ("failure", "error", "skipped")
_COUNTS = {"failures": "failure", "errors": "error", "skipped": "skipped"}


@dataclass(slots=True)
class Results:
    """Test ids by how they ended; an id stands in the worst list that it earned."""

    passed: list[str] = field(default_factory=list)
    failure: list[str] = field(default_factory=list)
    error: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        return len(self.passed) + len(self.failure) + len(self.error) + len(self.skipped)


def read_junit(content: bytes, *, step: str) -> Results:
    """Parse a report; raises CannotEvaluate (``<step>.unreadable``).

    Refused: a document type (entities grow without bound), XML that is cut off, another root, counts in the head
    that the test cases do not bear out.
    """
    if len(content) > _LIMIT:
        raise unreadable(step, "pytest", f"a report of {len(content)} bytes", f"at most {_LIMIT}")
    reader = _Reader(step)
    try:
        reader.parser.Parse(content, True)
    except expat.ExpatError as error:
        raise unreadable(step, "pytest", f"XML: {error}", "one whole JUnit report") from error
    return reader.results()


class _Reader:
    """Collects expat's events: nothing is built that a hostile document could blow up."""

    def __init__(self, step: str) -> None:
        self.step = step
        self.path: list[str] = []
        self.suites: list[dict[str, str]] = []
        self.case = ""
        self.marks: set[str] = set()
        self.found = Results()
        self.parser: Any = expat.ParserCreate(encoding="UTF-8")
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.StartDoctypeDeclHandler = self.doctype

    def doctype(self, *_: object) -> None:
        raise unreadable(self.step, "pytest", "a document type declaration", "none in a JUnit report")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.path.append(name)
        if self.path == ["testsuites", "testsuite"]:
            self.suites.append(attributes)
        elif self.path == ["testsuites", "testsuite", "testcase"]:
            module, test = attributes.get("classname", ""), attributes.get("name", "")
            if not test:
                raise unreadable(self.step, "pytest", "a test case without a name", "a name")
            self.case, self.marks = (f"{module}::{test}" if module else test)[:_LONGEST], set()
        elif self.path[:3] == ["testsuites", "testsuite", "testcase"] and name in _OUTCOMES:
            self.marks.add(name)

    def end(self, _: str) -> None:
        if self.path == ["testsuites", "testsuite", "testcase"]:
            worst = next((mark for mark in ("error", "failure", "skipped") if mark in self.marks), "passed")
            getattr(self.found, worst).append(self.case)
        self.path.pop()

    def results(self) -> Results:
        if len(self.suites) != 1:
            raise unreadable(self.step, "pytest", f"{len(self.suites)} test suites", "one")
        for attribute, mark in _COUNTS.items():
            said, counted = self.suites[0].get(attribute), len(getattr(self.found, mark))
            if said != str(counted):
                raise unreadable(self.step, "pytest", f"{attribute}={said} beside {counted} such cases", "equal counts")
        # A test that fails and whose teardown fails too has two cases but counts once, so the head may say fewer.
        said = self.suites[0].get("tests", "")
        if not said.isdecimal() or not self.found.total - len(self.found.error) <= int(said) <= self.found.total:
            raise unreadable(self.step, "pytest", f"tests={said} beside {self.found.total} cases", "equal counts")
        return self.found

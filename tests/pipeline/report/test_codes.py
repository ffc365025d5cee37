import textwrap

import pytest

from pipeline.report.codes import Raised, read_codes


@pytest.fixture
def codes(tmp_path):
    """Reads the codes of a package with one module of the given text."""

    def read(text):
        package = tmp_path / "pipeline"
        package.mkdir(exist_ok=True)
        (package / "part.py").write_text(textwrap.dedent(text))
        return read_codes(package)

    return read


def test_a_code_is_read_with_its_message_its_exit_code_and_its_fix(codes):
    found = codes('raise Refused("tests.failed", f"tests: {n} failed (got {n}, expected 0)", fix="mend them")')
    message = "tests: … failed (got …, expected 0)"
    assert found == [Raised("tests.failed", "pipeline.part", "1", message, "mend them")]


@pytest.mark.parametrize(("error", "code"), [("Refused", "1"), ("Misuse", "2"), ("CannotEvaluate", "3")])
def test_the_exit_code_is_that_of_the_error(codes, error, code):
    assert codes(f'{error}("a.b", "m", fix="f")')[0].exits == code


def test_an_error_of_our_own_has_its_bases_exit_code(codes):
    text = """
    class StoreDown(CannotEvaluate): ...
    raise StoreDown("store.down", "m", fix="f")
    """
    assert [(r.code, r.exits) for r in codes(text)] == [("store.down", "3")]


def test_a_problem_leaves_the_exit_code_to_the_verdict(codes):
    assert codes('Problem(code="a.b", message="m", fix="f")')[0].exits == ""


def test_both_codes_of_a_choice_are_read(codes):
    assert [r.code for r in codes('Refused("a.full" if full else "a.closed", "m", fix="f")')] == ["a.closed", "a.full"]


def test_a_code_that_a_tool_completes_is_read_as_its_family(codes):
    assert [r.code for r in codes('Problem(code=f"lint.{rule}", message="m", fix="f")')] == ["lint.*"]


def test_a_constant_is_followed(codes):
    assert [r.code for r in codes('CODE = "a.b"\nRefused(CODE, "m", fix="f")')] == ["a.b"]


def test_a_function_that_is_given_its_code_is_followed(codes):
    text = """
    def _no(what, code):
        return Refused(code, f"{what}: no (got x, expected y)", fix="f")
    raise _no("one", "a.one")
    raise _no("two", code="a.two")
    """
    assert [(r.code, r.message) for r in codes(text)] == [
        ("a.one", "…: no (got x, expected y)"),
        ("a.two", "…: no (got x, expected y)"),
    ]


def test_a_message_that_is_handed_on_is_that_of_the_call(codes):
    text = """
    def _no(code, message):
        return Refused(code, message, fix="f")
    raise _no("a.one", f"{n}: no (got x, expected y)")
    """
    assert [r.message for r in codes(text)] == ["…: no (got x, expected y)"]


def test_where_a_code_is_a_variable_every_code_of_the_module_may_be_meant(codes):
    text = """
    TABLE = (("one", "a.one"), ("two", "a.two"))
    for word, code in TABLE:
        raise Refused(code, "m", fix="f")
    name = "pipeline.toml"
    """
    assert [(r.code, r.certain) for r in codes(text)] == [("a.one", False), ("a.two", False)]


def test_the_code_that_a_function_takes_when_none_is_given_is_read(codes):
    text = """
    def _no(line, *, code="docker.unsupported"):
        return Refused(code, f"{line}: no (got x, expected y)", fix="f")
    raise _no(1)
    raise _no(2, code="docker.unknown")
    """
    assert [r.code for r in codes(text)] == ["docker.unknown", "docker.unsupported"]


def test_a_record_with_a_code_of_its_own_is_read(codes):
    text = """
    class Flaw:
        path: str
        code: str
    Flaw("etc", "image.secret")
    Flaw("etc", other.code)
    """
    assert [(r.code, r.exits) for r in codes(text)] == [("image.secret", "")]

"""The main job: what it is asked for, and what its exit code means."""

import json
import os

import pytest

from pipeline.model.errors import Misuse
from pipeline.running import main_job
from pipeline.running.request import VARIABLE, Request, current
from pipeline.running.sessions import SessionResult, result_path


def ended(name, result, code):
    return SessionResult("run", name, result, 1.0, code)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [((0, 0), 0), ((0, 1), 1), ((0, 3), 3), ((3, 1), 1), ((0, 2), 2), ((3, 2), 2), ((2, 1), 1), ((), 3)],
)
def test_the_exit_code_is_the_worst_and_a_refusal_weighs_most(codes, expected):
    assert main_job._exit_code([ended(str(number), "any", code) for number, code in enumerate(codes)]) == expected


def test_a_session_that_left_nothing_was_not_run(tmp_path):
    assert main_job._collect(tmp_path, ["lint"], "run") == [SessionResult("run", "lint", "not run", 0.0, 3)]


def test_a_result_of_another_run_does_not_count(tmp_path):
    path = result_path(tmp_path, "lint")
    path.parent.mkdir(parents=True)
    path.write_text(
        json.dumps({"run": "old", "name": "lint", "result": "passed", "seconds": 1, "exit_code": 0, "why": ""})
    )
    assert main_job._collect(tmp_path, ["lint"], "new")[0].result == "not run"


@pytest.mark.parametrize("content", ["", "{", '{"run": "run"}', "[]"])
def test_a_damaged_result_does_not_count(tmp_path, content):
    path = result_path(tmp_path, "lint")
    path.parent.mkdir(parents=True)
    path.write_text(content)
    assert main_job._collect(tmp_path, ["lint"], "run")[0].exit_code == 3


@pytest.mark.parametrize(
    ("argv", "code"),
    [(["nonsense"], "arguments.session"), (["--jobs", "0"], "arguments.jobs"), (["-j", "x"], "arguments.jobs")],
)
def test_wrong_arguments_are_refused(argv, code):
    with pytest.raises(Misuse) as refused:
        main_job.parse_arguments(argv)
    assert refused.value.code == code


@pytest.mark.parametrize(("ci", "fresh"), [("true", True), ("1", True), ("", False), ("false", False)])
def test_ci_runs_everything(ci, fresh):
    assert current({"CI": ci}).fresh is fresh


def test_the_request_reaches_the_sessions():
    request = Request(run="r", fresh=True, registry="host/repo")
    assert current(request.as_variable()) == request


def test_an_unknown_request_is_an_error():
    with pytest.raises(TypeError):
        current({VARIABLE: '{"unknown": 1}'})


def test_what_a_killed_run_left_unfinished_goes_after_an_hour(tmp_path):
    names = ("dist/.image.tar.x1", ".gatehouse/store/blobs/sha256/.y2", ".gatehouse/ledger/.z3")
    for name in (*names, "dist/report.html", ".gatehouse/environments/pipeline-1/.complete"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    (tmp_path / "dist" / ".young").touch()
    main_job._sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [".complete", ".young", "report.html"]

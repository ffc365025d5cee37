import io
import json
from pathlib import Path

import pytest

from pipeline.model.errors import CannotEvaluate
from pipeline.report.command import write_reports

SETTINGS = Path(__file__).parents[3] / "pipeline.toml"


@pytest.fixture
def clone(root):
    (root / "pipeline.toml").write_bytes(SETTINGS.read_bytes())
    return root


def test_it_leaves_the_page_and_the_data_and_prints_the_table(clone):
    stream = io.StringIO()
    write_reports(clone, stream)
    assert (clone / "dist/report.html").read_bytes().startswith(b"<!doctype html>")
    assert json.loads((clone / "dist/summary.json").read_bytes())["accepted"] is True
    assert stream.getvalue().startswith("noticeboard 0.1.0")


def test_as_json_it_prints_the_same_data_and_nothing_else(clone):
    stream = io.StringIO()
    write_reports(clone, stream, style="json")
    assert stream.getvalue().encode() == (clone / "dist/summary.json").read_bytes()


def test_the_ci_summary_is_written_where_the_ci_asks_for_it(clone, tmp_path):
    summary = tmp_path / "step.md"
    write_reports(clone, io.StringIO(), summary=summary)
    assert "## Gatehouse" in summary.read_text()


def test_a_damaged_record_leaves_the_old_report_alone(clone):
    write_reports(clone, io.StringIO())
    before = (clone / "dist/report.html").read_bytes()
    (clone / ".gatehouse/steps/tests.json").write_text("{")
    stream = io.StringIO()
    with pytest.raises(CannotEvaluate):
        write_reports(clone, stream)
    assert (clone / "dist/report.html").read_bytes() == before
    assert stream.getvalue() == ""

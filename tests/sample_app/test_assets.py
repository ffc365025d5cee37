"""Static files."""

import pytest

from sample_app.assets import read_assets


def test_each_file_has_a_type_a_version_and_a_digest():
    assets = read_assets()
    assert sorted(assets) == ["icon.svg", "live.js", "noticeboard.css"]
    assert assets["live.js"].content_type == "text/javascript; charset=utf-8"
    assert assets["live.js"].url == f"/static/{assets['live.js'].version}/live.js"
    assert len(assets["live.js"].integrity) == len("sha384-") + 64


def test_the_version_changes_with_the_content(tmp_path):
    (tmp_path / "a.css").write_text("a{}")
    one = read_assets(tmp_path)["a.css"]
    (tmp_path / "a.css").write_text("b{}")
    other = read_assets(tmp_path)["a.css"]
    assert one.version != other.version
    assert one.integrity != other.integrity


def test_a_file_of_an_unknown_type_stops_the_start(tmp_path):
    (tmp_path / "a.exe").write_text("x")
    with pytest.raises(ValueError, match=r"^static file a.exe: type not known \(expected one of .css, .js, .svg\)$"):
        read_assets(tmp_path)

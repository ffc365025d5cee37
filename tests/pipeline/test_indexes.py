"""One index, asked of pip's configuration, handed on by environment only."""

import os
from pathlib import Path

import pytest

from pipeline.indexes import configured, index_base, pip_environment, uv_environment, without_credentials
from pipeline.model.errors import CannotEvaluate, Refused
from pipeline.processes import run

MIRROR = "https://user:pass@mirror.example/simple"


def files(home: Path, **more: str) -> dict[str, str]:
    """An environment whose configuration files are what a test writes below ``home`` (and the machine's own)."""
    return {"HOME": str(home), "XDG_CONFIG_DIRS": str(home / "xdg"), "VIRTUAL_ENV": str(home / "venv"), **more}


def environ(home: Path, **more: str) -> dict[str, str]:
    """An environment without any configuration file."""
    return files(home, PIP_CONFIG_FILE=os.devnull, **more)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_users_configuration_file_names_the_index(tmp_path):
    write(tmp_path / ".config/pip/pip.conf", f"[global]\nindex-url = {MIRROR}\ntimeout = 40\n")
    assert configured(files(tmp_path)).url == MIRROR
    assert uv_environment(files(tmp_path))["UV_DEFAULT_INDEX"] == MIRROR
    assert uv_environment(files(tmp_path))["UV_HTTP_TIMEOUT"] == "40"


def test_the_install_section_beats_the_global_one_and_the_environment_beats_both(tmp_path):
    write(tmp_path / ".pip/pip.conf", "[install]\nindex-url = https://two.example/simple\n")
    write(tmp_path / ".config/pip/pip.conf", "[global]\nindex_url = https://one.example/simple\n")
    assert configured(files(tmp_path)).url == "https://two.example/simple"
    ambient = files(tmp_path, PIP_INDEX_URL="https://three.example/simple")
    assert configured(ambient).url == "https://three.example/simple"


def test_pip_reads_the_same_configuration_in_the_same_order(tmp_path, checks_python):
    write(tmp_path / ".pip/pip.conf", "[global]\nindex-url = https://one.example/simple\n")
    write(tmp_path / ".config/pip/pip.conf", "[global]\nindex-url = https://two.example/simple\n")
    write(tmp_path / "own.conf", "[global]\nindex-url = https://three.example/simple\n")
    for more in ({}, {"PIP_CONFIG_FILE": str(tmp_path / "own.conf")}):
        ambient = files(tmp_path, **more)
        listed = run([checks_python, "-Im", "pip", "config", "get", "global.index-url"], env=ambient)
        assert listed.stdout.decode().strip() == configured(ambient).url


def test_what_would_steer_pip_is_left_out(tmp_path):
    ambient = environ(tmp_path, PIP_FIND_LINKS="/somewhere", PIP_PRE="1", PIP_CONSTRAINT="x", PIP_INDEX_URL=MIRROR)
    passed = pip_environment(ambient)
    assert passed["PIP_INDEX_URL"] == MIRROR
    assert passed["PIP_CONFIG_FILE"] == "/dev/null"
    assert passed.keys().isdisjoint({"PIP_FIND_LINKS", "PIP_PRE", "PIP_CONSTRAINT"})


def test_certificate_proxy_and_trusted_hosts_reach_both_tools(tmp_path):
    ambient = environ(tmp_path, PIP_CERT="/ca.pem", PIP_PROXY="http://p.example:3128", PIP_TRUSTED_HOST="a.example")
    assert pip_environment(ambient)["PIP_CERT"] == "/ca.pem"
    uv = uv_environment(ambient)
    assert (uv["SSL_CERT_FILE"], uv["ALL_PROXY"], uv["UV_INSECURE_HOST"]) == (
        "/ca.pem",
        "http://p.example:3128",
        "a.example",
    )


def test_uv_trusts_the_systems_certificates_and_reads_no_configuration(tmp_path):
    assert uv_environment(environ(tmp_path)) == {
        "UV_SYSTEM_CERTS": "1",
        "UV_NO_CONFIG": "1",
        "UV_NO_PROGRESS": "1",
    }


@pytest.mark.parametrize(
    "second",
    [
        {"PIP_EXTRA_INDEX_URL": "https://other.example/simple"},
        {"UV_INDEX": "evil=https://other.example/simple"},
        {"UV_EXTRA_INDEX_URL": "https://other.example/simple"},
        {"UV_DEFAULT_INDEX": "https://other.example/simple"},
    ],
)
def test_a_second_index_is_refused_against_dependency_confusion(tmp_path, second):
    with pytest.raises(Refused, match=r"got mirror\.example, other\.example, expected one") as refused:
        configured(environ(tmp_path, PIP_INDEX_URL=MIRROR, **second))
    assert refused.value.code == "lock.second-index"
    assert "pass" not in str(refused.value)


def test_an_extra_index_beside_pips_default_is_a_second_one(tmp_path):
    with pytest.raises(Refused) as refused:
        configured(environ(tmp_path, PIP_EXTRA_INDEX_URL="https://other.example/simple"))
    assert refused.value.code == "lock.second-index"


def test_the_same_index_named_for_pip_and_uv_is_one(tmp_path):
    assert configured(environ(tmp_path, PIP_INDEX_URL=MIRROR, UV_DEFAULT_INDEX=MIRROR + "/")).url == MIRROR


def test_no_index_is_refused(tmp_path):
    with pytest.raises(Refused) as refused:
        configured(environ(tmp_path, PIP_NO_INDEX="1"))
    assert refused.value.code == "lock.no-index"


@pytest.mark.parametrize("text", ["[global\n", "index-url = x\n", "[global]\nindex-url = ftp://a/b\n"])
def test_a_damaged_configuration_cannot_be_evaluated(tmp_path, text):
    write(tmp_path / ".pip/pip.conf", text)
    with pytest.raises(CannotEvaluate) as refused:
        configured(files(tmp_path))
    assert refused.value.code == "index.unreadable"


def test_credentials_show_in_no_representation(tmp_path):
    index = configured(environ(tmp_path, PIP_INDEX_URL=MIRROR))
    assert "pass" not in repr(index)
    assert without_credentials(f"failed: {MIRROR}") == "failed: https://mirror.example/simple"


@pytest.mark.parametrize("ending", ["/simple", "/simple/", "/+simple", "", "/"])
def test_json_is_asked_beside_the_simple_index(tmp_path, ending):
    ambient = environ(tmp_path, PIP_INDEX_URL="https://mirror.example/repository/all" + ending)
    assert index_base(Path("/bin/false"), ambient) == "https://mirror.example/repository/all"


def test_without_configuration_pip_names_its_own_index(tmp_path, checks_python):
    base = index_base(checks_python, environ(tmp_path))
    assert base.startswith("https://")
    assert not base.endswith("/")


def test_a_pip_that_does_not_answer_cannot_be_evaluated(tmp_path):
    with pytest.raises(CannotEvaluate) as refused:
        index_base(Path("/bin/false"), environ(tmp_path))
    assert refused.value.code == "index.unknown"

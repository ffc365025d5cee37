"""The main job of one clone under other conditions: twice at once, offline, on a full disk, with what others broke."""

from pathlib import Path

import pytest

from tests.support.main_job import clone_of
from tests.support.namespaces import OFFLINE, within

pytestmark = pytest.mark.network


def test_twice_at_once_the_second_waits_says_so_and_reuses(warm, tmp_path):
    first = warm.start(warm.command("--fresh", "lint", "types"), tmp_path / "first")
    while "lint" not in (tmp_path / "first").read_text():
        assert first.poll() is None
    second = warm.run("lint", "types")
    assert first.wait(60) == 0
    assert second.code == 0
    assert second.output.startswith("another run of the main job in this clone goes on: waiting for its end\n")
    assert second.output.count(": reused (") == 2


def test_twice_at_once_in_a_new_clone(root, warm, tmp_path):
    clone = clone_of(root, tmp_path / "clone", warm.home)
    first = clone.start(clone.command("lint"), tmp_path / "first")
    second = clone.run("lint")
    assert first.wait(120) == 0, (tmp_path / "first").read_text()
    assert second.code == 0, second.output
    both = (tmp_path / "first").read_text() + second.output
    assert both.count("making environment bootstrap") == 1
    assert "waiting for its end" in both


def test_an_unchanged_tree_needs_no_network_but_for_the_audit(warm):
    assert warm.run().code == 0
    ended = warm.run(within=within(*OFFLINE))
    assert ended.code == 0, ended.output
    assert "audit: warned: 0 of " in ended.output
    assert ended.output.count(": reused (") == 9


def test_without_caches_and_network_there_is_one_line(root, tmp_path):
    clone = clone_of(root, tmp_path / "clone", tmp_path / "home")
    (clone.home / ".config" / "pip").mkdir(parents=True)
    (clone.home / ".config" / "pip" / "pip.conf").write_text("[global]\nretries = 1\n")
    ended = clone.run(within=within(*OFFLINE))
    assert ended.code == 3
    lines = ended.output.splitlines()
    assert lines[0] == "making environment bootstrap from requirements/bootstrap.txt"
    assert lines[1].startswith("environment.unreachable: environment bootstrap: not made (got 'Failed to establish")
    assert lines[2].startswith("  fix: check network, proxy and package index")
    assert len(lines) == 3
    assert not list((clone.root / ".gatehouse" / "environments").iterdir())


def test_a_full_disk_leaves_no_piece_of_an_image(warm):
    prepare = f"mount -t tmpfs -o size=5m none '{warm.root}/dist'"
    ended = warm.run("--fresh", "image", within=[*within(f'{prepare} && cd "{warm.root}"', "--mount")])
    assert ended.code == 3
    assert "files.full: " in ended.output
    assert "fix: free some disk space" in ended.output
    assert "Traceback" not in ended.output
    ended = warm.run("image")
    assert ended.code == 0, ended.output


@pytest.mark.parametrize(
    ("before", "after", "place"),
    [
        ("port = ", "prot = ", "app.prot: extra inputs are not permitted (got 8888"),
        ("[store]", "[store", "not readable"),
    ],
)
def test_wrong_settings_are_said_once(warm, before, after, place):
    path = warm.root / "pipeline.toml"
    text = path.read_text()
    path.write_text(text.replace(before, after, 1))
    try:
        ended = warm.run()
    finally:
        path.write_text(text)
    assert ended.code == 2
    assert ended.output.count("\n") == 2
    assert place in ended.output


def spoil_mode(path: Path) -> None:
    path.chmod(0o644)


def spoil_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:400])


@pytest.mark.parametrize(
    ("name", "spoil", "code", "exit_code"),
    [
        ("sigstore/keys.json", spoil_mode, "state.keys-exposed", 2),
        ("sigstore/keys.json", spoil_half, "state.damaged", 3),
        ("steps/tests.json", spoil_half, "document.malformed", 3),
    ],
)
def test_a_state_folder_that_somebody_spoilt(warm, name, spoil, code, exit_code):
    path = warm.root / ".gatehouse" / name
    content, mode = path.read_bytes(), path.stat().st_mode
    spoil(path)
    try:
        ended = warm.run("attest")
    finally:
        path.write_bytes(content)
        path.chmod(mode)
    assert ended.code == exit_code, ended.output
    assert f"{code}: " in ended.output
    assert "Traceback" not in ended.output


@pytest.mark.parametrize(
    ("registry", "code", "exit_code"),
    [("127.0.0.1:1/team/app", "registry.unreachable", 3), ("https://host/app", "arguments.registry", 2)],
)
def test_a_registry_that_is_down_or_misspelt(warm, registry, code, exit_code):
    ended = warm.run("--registry", registry, "attest")
    assert ended.code == exit_code, ended.output
    assert f"{code}: " in ended.output

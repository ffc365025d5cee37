"""Which store a run uses."""

import subprocess
import sys

from pipeline.store.layout import OciLayout
from pipeline.store.opening import open_store
from pipeline.store.registry import Registry


def test_without_a_registry_it_is_the_layout_in_the_state_folder(tmp_path):
    store = open_store("", tmp_path)
    assert isinstance(store, OciLayout)
    assert store.address == str(tmp_path / "store")


def test_a_registry_is_named_by_its_address(tmp_path):
    store = open_store("registry.example:5000/team/app", tmp_path)
    assert isinstance(store, Registry)
    assert store.address == "registry.example:5000/team/app"


def test_a_layout_does_not_wait_for_an_http_client(root):
    script = "import sys; from pipeline.store.opening import open_store; print('requests' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"

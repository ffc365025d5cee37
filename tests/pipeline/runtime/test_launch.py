"""What would be started, from an image's configuration."""

import pytest

from pipeline.model.errors import Refused
from pipeline.runtime.launch import DEFAULT_PATH, read_launch


def test_entrypoint_and_command_are_one_command_line():
    launch = read_launch({"config": {"Entrypoint": ["/bin/app", "-I"], "Cmd": ["serve"]}})
    assert launch.arguments == ("/bin/app", "-I", "serve")


def test_the_images_environment_comes_over_an_engines_defaults():
    launch = read_launch({"config": {"Cmd": ["x"], "Env": ["HOME=/app", "A=b=c"], "WorkingDir": "/app"}})
    assert launch.environment == {"PATH": DEFAULT_PATH, "HOME": "/app", "A": "b=c"}
    assert launch.directory == "/app"


@pytest.mark.parametrize(
    ("user", "ids"),
    [
        ("1000:2000", (1000, 2000)),
        ("1000", (1000, 1000)),
        ("nobody", (65532, 65532)),
        ("", (65532, 65532)),
        ("0:0", (65532, 65532)),
        ("7:0", (7, 7)),
        ("7:staff", (7, 7)),
    ],
)
def test_the_service_never_gets_the_ids_of_root(user, ids):
    launch = read_launch({"config": {"Cmd": ["x"], "User": user}})
    assert (launch.uid, launch.gid) == ids


@pytest.mark.parametrize("configuration", [{}, {"config": None}, {"config": {"Entrypoint": None, "Cmd": []}}])
def test_an_image_that_starts_nothing_is_refused(configuration):
    with pytest.raises(Refused, match="nothing to start") as refusal:
        read_launch(configuration)
    assert refusal.value.code == "smoke.entrypoint"

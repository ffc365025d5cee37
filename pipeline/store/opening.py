"""Which store a run uses."""

from pathlib import Path

from pipeline.store.interface import Store
from pipeline.store.layout import OciLayout


def open_store(registry: str, state: Path, *, docker_config: Path | None = None) -> Store:
    """The registry ``host/repository``, or, where it is empty, the OCI layout in the state folder.

    ``docker_config`` is the folder of Docker's ``config.json``, which the command line finds.
    """
    if not registry:
        return OciLayout(state / "store")
    from pipeline.store.registry import Registry  # noqa: PLC0415  # requests is slow to import, and a layout needs none

    return Registry(registry, docker_config=docker_config, locks=state / "locks")

"""``export IMAGE``: one file with image, evidence, trust roots and policy, for who judges it without a network."""

import argparse
from pathlib import Path

from pipeline.commands.edge import Subcommands, docker_config, load_settings, root_folder, use_system_certificates


def register(commands: "Subcommands") -> None:
    export = commands.add_parser("export", help="write image, evidence, trust roots and policy into one file")
    export.add_argument("image", help="sha256:... or a tag in the store")
    export.add_argument("--registry", default="", metavar="HOST/REPO", help="default: pipeline.toml's store")
    export.add_argument("--policy", type=Path, default=None, metavar="FOLDER", help="default: policies/")
    export.add_argument("--output", type=Path, default=None, metavar="FILE", help="default: dist/export-DIGEST.tar")
    export.set_defaults(run=_export)


def _export(arguments: argparse.Namespace) -> int:
    from pipeline.gate.export import write_export
    from pipeline.report.text import size
    from pipeline.store.opening import open_store

    use_system_certificates()
    root = root_folder()
    state, policies = root / ".gatehouse", arguments.policy or root / "policies"
    store = open_store(load_settings(arguments.registry).store.registry, state, docker_config=docker_config())
    image = store.resolve(arguments.image).digest  # once: the tag may point elsewhere a moment later
    target = arguments.output or root / "dist" / f"export-{image.short}.tar"
    written = write_export(store, str(image), policies, state, target)
    print(f"{written.path}: {size(written.size)}, sha256:{written.sha256}")
    print(f"image       {written.image} with {written.referrers} referrers")
    print(f"policy      sha256:{written.policy}")
    for name, digest in written.trust_roots.items():
        print(f"trust root  {name}=sha256:{digest}")
    print("Hand these digests over by another way than the file: what comes with it is not trusted by itself.")
    return 0

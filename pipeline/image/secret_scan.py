"""Run detect-secrets over texts (a JSON list of [file name, text] on stdin); writes the forms found in each, as JSON.

Run by the scanners' interpreter, whose environment has the detector; it imports nothing of ours. Nothing in a file
silences it: no comment, no telling name. Nothing is verified over the network, and no value is repeated.
"""

import json
import sys
import tempfile
from pathlib import Path

from detect_secrets.core.scan import scan_file
from detect_secrets.settings import default_settings

#: Filters that go by what a file is called, or by a comment beside the secret.
SILENCERS = (
    "detect_secrets.filters.allowlist.is_line_allowlisted",
    "detect_secrets.filters.heuristic.is_lock_file",
    "detect_secrets.filters.heuristic.is_non_text_file",
    "detect_secrets.filters.heuristic.is_swagger_file",
)
NO_SECRET = ("IPPublicDetector",)


def main() -> None:
    texts = json.load(sys.stdin)
    found = []
    with tempfile.TemporaryDirectory(prefix="gatehouse-secrets-") as folder, default_settings() as settings:
        settings.disable_filters(*SILENCERS)
        settings.disable_plugins(*NO_SECRET)
        for number, (name, text) in enumerate(texts):
            # A folder each: the name says how the text is to be read, and two files may share it.
            place = Path(folder, str(number), name)
            place.parent.mkdir()
            place.write_text(text, encoding="utf-8")
            found.append(sorted({secret.type for secret in scan_file(str(place))}))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()

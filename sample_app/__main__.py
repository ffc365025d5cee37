"""Starts the service: ``python -m sample_app``, or by path (``python3 -I /app/sample_app/__main__.py``)."""

import os
import sys
from pathlib import Path

if __package__ in {None, ""}:
    # Started by path and isolated (-I), Python searches neither this folder nor its parent.
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sample_app.server import main

if __name__ == "__main__":
    sys.exit(main(os.environ))

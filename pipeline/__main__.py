"""``python -m pipeline``, and the same by path in isolated mode (``python -I pipeline/__main__.py``)."""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from pipeline.cli import main
    from pipeline.processes import end_on_signals

    end_on_signals()
    sys.exit(main(sys.argv[1:]))

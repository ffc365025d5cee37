"""Hold a CycloneDX 1.6 document on stdin against its JSON schema, strictly, and say in JSON what does not fit.

Run by the scanners' interpreter, whose environment has the schema and a validator; it imports nothing of ours.
"""

import json
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

SHOWN = 5


def main() -> None:
    errors = JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read(), all_errors=True)
    shown = [str(error.data.message)[:300] for _, error in zip(range(SHOWN), errors or [], strict=False)]
    sys.stdout.write(json.dumps({"valid": errors is None, "errors": shown}))


if __name__ == "__main__":
    main()

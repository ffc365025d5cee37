"""Hold CycloneDX 1.6 documents (a JSON list on stdin) against their JSON schema, and say in JSON what does not fit.

Run by the scanners' interpreter, whose environment has the schema and a validator; it imports nothing of ours.
"""

import json
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator


def main() -> None:
    documents = json.load(sys.stdin)
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    found = [validator.validate_str(json.dumps(document)) for document in documents]
    errors = [str(error.data.message)[:300] for error in found if error is not None]
    sys.stdout.write(json.dumps({"documents": len(documents), "errors": errors}))


if __name__ == "__main__":
    main()

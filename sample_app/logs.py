"""Logs: one JSON object a line on standard error, each with the id of the request it belongs to."""

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO

#: The request that the running task serves; "" outside of one.
request_id: ContextVar[str] = ContextVar("request_id", default="")

#: Attributes of a log record that become fields of their own: ``log.info("...", extra={"status": 200})``.
FIELDS = ("method", "path", "status", "milliseconds", "address", "port")


class JsonFormatter(logging.Formatter):
    """NOTE: JSON escapes line ends and control characters, so no input can forge a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if identifier := request_id.get():
            line["request"] = identifier
        line |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure(level: str, stream: TextIO | None = None) -> logging.Handler:
    """Send every logger of the process there; gives the handler, for the tests to remove."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.setLevel(level.upper())
    root.handlers[:] = [handler]
    # Tornado says there what answers already say to the client; at info it would repeat the access log.
    logging.getLogger("tornado.general").setLevel(logging.ERROR)
    return handler

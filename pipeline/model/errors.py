"""The one family of errors that a user may see: a stable code, what differs, and how to mend it."""

from typing import ClassVar


class GatehouseError(Exception):
    """Something that stops the work, told in one line.

    ``code`` is stable (``family.what``), ``message`` follows
    ``<subject>: <what differs> (got X, expected Y)`` and ``fix`` says what to type or change.
    """

    exit_code: ClassVar[int] = 3

    def __init__(self, code: str, message: str, *, fix: str) -> None:
        # What was got is often foreign: it must neither end the line nor steer a terminal.
        line = "".join(one if one.isprintable() else "?" for one in " ".join(message.splitlines()))
        super().__init__(line)
        self.code = code
        self.message = line
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.code}: {self.message}\n  fix: {self.fix}"


class Refused(GatehouseError):
    """A check looked and said no (exit code 1)."""

    exit_code = 1


class Misuse(GatehouseError):
    """Arguments, ``pipeline.toml`` or the machine do not allow the work to start (exit code 2)."""

    exit_code = 2


class CannotEvaluate(GatehouseError):
    """Policy, trust root, evidence, feed or tool could not be read, so nothing may pass (exit code 3)."""

    exit_code = 3

# SPDX-License-Identifier: Apache-2.0
"""The errors that this agent raises on purpose, one for each decision a caller can take.

Each message says what happened, where, and what to do about it. Anything else that is raised is a
defect.
"""

from __future__ import annotations

from rules.model import ObjectKey


class DataplaneError(Exception):
    """Any error below; the command line prints it in one line and exits with 1."""


class UnusableObjectError(DataplaneError):
    """An object that cannot be used: it is skipped, and what was known of it before stays.

    Attributes:
        where: the file (with the document's number) or the API path that it came from.
        kind: its kind, with the API's name if that is none of ours; empty if it is not known.
        key: its name; None if that is not known.
        field: path of the wrong field, such as ``spec.ports[0].port``; empty for the whole object.
        reason: what is wrong with it.
    """

    def __init__(
        self, *, where: str, kind: str = "", key: ObjectKey | None = None, field: str, reason: str
    ) -> None:
        self.where = where
        self.kind = kind
        self.key = key
        self.field = field
        self.reason = reason
        what = f"{kind} {key or ''}".rstrip()
        super().__init__(": ".join(part for part in (where, what, field, reason) if part))


class ConfigurationChangedError(DataplaneError):
    """The configuration file says something else than at the start of this agent."""


class SourceError(DataplaneError):
    """A source that cannot be read at all: no such path, no usable cluster configuration."""


class KernelError(DataplaneError):
    """The kernel's tables cannot be read or written."""


class KernelUnusableError(KernelError):
    """This process can never program this machine: wrong kernel, libraries or privileges."""


class LockError(KernelError):
    """The file of the xtables lock cannot be opened or locked."""


class LockTimeoutError(LockError):
    """Another process kept the xtables lock for longer than our wait."""


class ConflictError(KernelError):
    """A table changed between our read and our commit: read it again."""


class UnacceptableRulesError(KernelError):
    """A table cannot be programmed since one of its rules cannot stand there; it is as it was."""


class CommitRefusedError(UnacceptableRulesError):
    """The kernel took none of a table's edits since one of its rules is not acceptable.

    Attributes:
        errno: what the kernel said; it does not say which rule it means.
    """

    def __init__(self, message: str, errno: int) -> None:
        self.errno = errno
        super().__init__(message)


class ChainInUseError(KernelError):
    """A chain cannot be deleted since a rule that is not ours still jumps to it."""

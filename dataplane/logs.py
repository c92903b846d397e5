# SPDX-License-Identifier: Apache-2.0
"""Logs go to stderr: stdout belongs to what a command prints."""

from __future__ import annotations

import logging
import sys
from typing import Final

import msgspec

from dataplane.settings import LogSettings

_DEBUG_VERBOSITY: Final = 4
_LIBRARIES_VERBOSITY: Final = 6
FIELDS: Final = "fields"
"""In ``extra``: what the message tells, for programs; JSON logs have it, text logs do not."""
_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class JsonFormatter(logging.Formatter):
    """One JSON object a line; the names ts, msg and err are those of kube-proxy's JSON logs."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON; ``ts`` is in milliseconds."""
        fields: dict[str, object] = {
            "ts": round(record.created * 1000, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": record.getMessage(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            fields["err"] = self.formatException(record.exc_info)
        return msgspec.json.encode(fields).decode()


def configure_logs(settings: LogSettings) -> None:
    """Log to stderr; details from ``-v 4`` on and those of libraries from 6, as kube-proxy does."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if settings.is_json else logging.Formatter(_FORMAT))
    logging.basicConfig(handlers=[handler], level=_level(settings.verbosity, _LIBRARIES_VERBOSITY))
    # Libraries warn by Python's own means, too: as plain text these would break JSON logs.
    logging.captureWarnings(capture=True)
    for name in ("dataplane", "rules"):
        logging.getLogger(name).setLevel(_level(settings.verbosity, _DEBUG_VERBOSITY))


def _level(verbosity: int, details_from: int) -> int:
    return logging.DEBUG if verbosity >= details_from else logging.INFO

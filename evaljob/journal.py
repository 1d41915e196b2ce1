"""The log: as text or as JSON, each line with the id of its run, and for each run and model one line of what it did."""

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import uuid4

Format = Literal["text", "json"]
FIELDS = "fields"  # the attribute of a log record that holds what is structured

_run_id: ContextVar[str] = ContextVar("run_id", default="")
logger = logging.getLogger(__name__)


class JsonFormatter(logging.Formatter):
    """A JSON object a line: time, level, logger, message, run_id within a run, and the record's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if run_id := _run_id.get():
            line["run_id"] = run_id
        line |= getattr(record, FIELDS, {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)  # ASCII: whatever is in a name, a line stays a line


def configure(form: Format, level: int) -> None:
    """Send the log to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    handler.setFormatter(JsonFormatter() if form == "json" else text)
    logging.basicConfig(level=level, handlers=[handler])


@contextmanager
def run() -> Iterator[str]:
    """Give what is logged inside the block the id of one run. Yields the id."""
    token = _run_id.set(uuid4().hex[:12])
    try:
        yield _run_id.get()
    finally:
        _run_id.reset(token)


def ended(model: str, as_of: datetime, durations: Mapping[str, float], outcome: Mapping[str, Any]) -> None:
    """Say what became of a run for one model: `durations` are seconds by stage, `outcome` whatever else is known."""
    seconds = {stage: round(spent, 6) for stage, spent in durations.items()}
    fields = {"event": "run", "model": model, "as_of": as_of.isoformat(), "durations": seconds, **outcome}
    stages = ", ".join(f"{stage} {spent:.3f} s" for stage, spent in seconds.items())
    counts = ", ".join(f"{name} {value}" for name, value in outcome.items() if name != "error")
    message = "run %s: %s as of %s: %s; %s"
    logger.info(message, _run_id.get(), model, as_of.isoformat(), stages, counts, extra={FIELDS: fields})

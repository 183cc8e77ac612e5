"""Progress for a person: a bar on a terminal, a line now and then elsewhere, and a log."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cdred import documents
from cdred.errors import printable, without_secrets

LINE_EVERY = 30.0  # seconds between lines where there is no terminal

logger = logging.getLogger("cdred")


class _Formatter(logging.Formatter):
    """A formatter of lines without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(without_secrets(super().format(record)))


class _AboveTheBar(logging.StreamHandler):  # type: ignore[type-arg]
    """A handler that writes log lines without tearing a progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        tqdm.write(self.format(record), file=sys.stderr)


def configure_logging(files: Iterable[Path | None], quiet: bool = False) -> None:
    """Send the log to standard error (unless `quiet`) and, line by line, to `files`."""
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logging.raiseExceptions = False  # a log that cannot be written must not cost the work
    if not quiet:
        terminal = _AboveTheBar()
        terminal.setFormatter(_Formatter("%(message)s"))
        logger.addHandler(terminal)
    for log in filter(None, files):
        log.parent.mkdir(parents=True, exist_ok=True)
        documents.open_to_append(log).close()  # a regular file
        # Appended to: a job that was killed goes on, and so does its log.
        written = logging.FileHandler(log, encoding="utf-8")
        written.setFormatter(_Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
        logger.addHandler(written)


def to_log(text: str) -> None:
    """Write a line to the log file alone, if there is one."""
    record = logger.makeRecord(logger.name, logging.INFO, "", 0, text, (), None)
    for handler in logger.handlers:
        if not isinstance(handler, _AboveTheBar):
            handler.handle(record)


class Progress:
    """The progress of a job: call it with the steps done so far and the values to show. `initial`
    of them were done before."""

    def __init__(self, label: str, total: int, unit: str = "step", initial: int = 0) -> None:
        self.label, self.total, self.unit, self.initial = label, total, unit, initial
        self.bar: Any = None
        if sys.stderr.isatty() and any(type(h) is _AboveTheBar for h in logger.handlers):
            from tqdm import tqdm

            self.bar = tqdm(
                total=total, desc=label, unit=unit, dynamic_ncols=True, leave=False, initial=initial
            )
        self.start = self.last = time.monotonic()
        self.done, self.text = initial, ""

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()

    def __call__(self, done: int, values: dict[str, float]) -> None:
        advance, self.done = done - self.done, done
        text = ", ".join(f"{name} {value:.1f}" for name, value in values.items())
        if self.bar is not None:
            self.bar.update(advance)
            if text != self.text:
                self.bar.set_postfix_str(text)
        self.text = text
        now = time.monotonic()
        if now - self.last >= LINE_EVERY or done == self.total:
            self.last = now
            rate = (done - self.initial) / max(now - self.start, 1e-9)
            left = _clock((self.total - done) / rate) if rate else "?"
            share = 100 * done // self.total
            self._line(
                f"{self.label}: {done}/{self.total} {self.unit}s ({share}%), "
                f"{rate:.0f} {self.unit}s/s, {left} left" + (f", {text}" if text else "")
            )

    def _line(self, text: str) -> None:
        """Write to the log file always, to the terminal only where there is no bar."""
        if self.bar is None:
            logger.info(text)
        else:
            to_log(text)


def _clock(seconds: float) -> str:
    """1:02:03, or 02:03 within the hour."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"

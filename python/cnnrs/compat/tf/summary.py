"""`tf.summary`: files that TensorBoard shows, written by tensorboardX, the extra `cnnrs[tensorboard]`.

>>> import cnnrs.compat.tf as tf
>>> writer = tf.summary.create_file_writer("logs")  # doctest: +SKIP
>>> with writer.as_default():  # doctest: +SKIP
...     tf.summary.scalar("loss", 0.5, step=1)
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from cnnrs.compat.tf.namespaces import unknown

__all__ = [
    "SummaryWriter",
    "create_file_writer",
    "create_noop_writer",
    "experimental",
    "flush",
    "histogram",
    "image",
    "record_if",
    "scalar",
    "should_record_summaries",
    "text",
]


class _State(threading.local):
    """The writer, the step and the condition of a thread."""

    def __init__(self) -> None:
        self.writer: SummaryWriter | None = None
        self.step: Any = None
        self.records: Any = True


_STATE = _State()


class SummaryWriter:
    """A folder of files for TensorBoard.

    Args:
        logdir: The folder; None to write nothing.
        max_queue: How many entries wait to be written.
        flush_millis: After how long they are.
        filename_suffix: The end of the files' names.

    Raises:
        ImportError: The extra is not installed.
    """

    def __init__(
        self,
        logdir: Any,
        max_queue: int | None = None,
        flush_millis: int | None = None,
        filename_suffix: Any = None,
    ):
        self._file = None
        if logdir is None:
            return
        try:
            import tensorboardX  # type: ignore[import-untyped,unused-ignore]
        except ImportError as error:
            raise ImportError(
                "tf.summary: tensorboardX is not there; install it with: pip install 'cnnrs[tensorboard]'"
            ) from error
        self._file = tensorboardX.SummaryWriter(
            str(logdir),
            max_queue=10 if max_queue is None else max_queue,
            flush_secs=120 if flush_millis is None else max(flush_millis / 1000, 0.001),
            filename_suffix=filename_suffix or "",
        )

    @contextlib.contextmanager
    def as_default(self, step: Any = None) -> Iterator[SummaryWriter]:
        """Context manager in which functions of `tf.summary` write to it, at a step if one is given."""
        before = _STATE.writer, _STATE.step
        _STATE.writer = self
        _STATE.step = before[1] if step is None else step
        try:
            yield self
        finally:
            _STATE.writer, _STATE.step = before
            self.flush()

    def set_as_default(self, step: Any = None) -> None:
        """Makes functions of `tf.summary` write to it from now on."""
        _STATE.writer = self
        if step is not None:
            _STATE.step = step

    def flush(self) -> None:
        """Writes what waits."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Writes what waits, and closes the file."""
        if self._file is not None:
            self._file.close()


def create_file_writer(
    logdir: Any,
    max_queue: int | None = None,
    flush_millis: int | None = None,
    filename_suffix: Any = None,
    name: str | None = None,
) -> SummaryWriter:
    """A writer of files in a folder; arguments are those of `SummaryWriter`, `name` a text or None."""
    if name is not None and not isinstance(name, str):
        raise TypeError(f"create_file_writer: name: expected text or None, received {name!r}")
    return SummaryWriter(logdir, max_queue, flush_millis, filename_suffix)


def create_noop_writer() -> SummaryWriter:
    """A writer that writes nothing."""
    return SummaryWriter(None)


def _target(step: Any, function: str) -> tuple[Any, int] | None:
    """The file to write to and the step; None where nothing is to be written."""
    writer = _STATE.writer
    if writer is None or not should_record_summaries():
        return None
    at = _STATE.step if step is None else step
    if at is None:
        raise ValueError(
            f"tf.summary.{function}: step: expected an integer, or summary.experimental.set_step before"
        )
    return None if writer._file is None else (writer._file, int(np.asarray(at)))


def should_record_summaries() -> bool:
    """Whether functions of `tf.summary` write."""
    condition = _STATE.records() if callable(_STATE.records) else _STATE.records
    return bool(np.asarray(condition)) and _STATE.writer is not None


@contextlib.contextmanager
def record_if(condition: Any) -> Iterator[None]:
    """Context manager in which functions of `tf.summary` write if a condition, or a function, holds."""
    before, _STATE.records = _STATE.records, condition
    try:
        yield
    finally:
        _STATE.records = before


def scalar(name: str, data: Any, step: Any = None, description: str | None = None) -> bool:
    """Writes a number, and its description; gives whether it did."""
    target = _target(step, "scalar")
    if target is None:
        return False
    target[0].add_scalar(name, float(np.asarray(data)), target[1], summary_description=description or "")
    return True


def histogram(
    name: str, data: Any, step: Any = None, buckets: int | None = None, description: str | None = None
) -> bool:
    """Writes how values are distributed, over 30 buckets if None; `description` is None."""
    target = _target(step, "histogram")
    _no_description(description, "histogram")
    if target is None:
        return False
    target[0].add_histogram(name, np.asarray(data), target[1], bins=30 if buckets is None else buckets)
    return True


def image(
    name: str, data: Any, step: Any = None, max_outputs: int = 3, description: str | None = None
) -> bool:
    """Writes the first `max_outputs` images of a batch (n, h, w, c), floats of 0 to 1 or uint8."""
    target = _target(step, "image")
    _no_description(description, "image")
    if target is None:
        return False
    for i, picture in enumerate(np.asarray(data)[:max_outputs]):
        target[0].add_image(f"{name}/image/{i}" if i else name, picture, target[1], dataformats="HWC")
    return True


def text(name: str, data: Any, step: Any = None, description: str | None = None) -> bool:
    """Writes a text; `description` is None."""
    target = _target(step, "text")
    _no_description(description, "text")
    if target is None:
        return False
    given = data.decode() if isinstance(data, bytes) else str(data)
    target[0].add_text(name, given, target[1])
    return True


def _no_description(description: Any, function: str) -> None:
    if description is not None:
        raise ValueError(f"tf.summary.{function}: description: expected None; scalars have one alone")


def flush(writer: SummaryWriter | None = None) -> None:
    """Writes what waits, of a writer or of the one in use."""
    chosen = writer or _STATE.writer
    if chosen is not None:
        chosen.flush()


class experimental:
    """`tf.summary.experimental`."""

    @staticmethod
    def set_step(step: Any) -> None:
        """The step of what is written without one."""
        _STATE.step = step

    @staticmethod
    def get_step() -> Any:
        """The step of what is written without one."""
        return _STATE.step


__getattr__ = unknown(
    "tf.summary",
    {
        "trace_on trace_off trace_export graph": "use cnnrs.utils.profile, or callbacks.TensorBoard",
        "audio write": "use tf.summary.scalar, histogram, image or text",
    },
    __all__,
)

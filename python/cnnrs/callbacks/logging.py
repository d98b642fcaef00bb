"""Callbacks that write down what happens."""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import math
import os
import stat
from collections.abc import Iterator
from typing import Any

from cnnrs.base.arguments import file_path
from cnnrs.base.user_warnings import warn_user
from cnnrs.callbacks.callback import Callback


class ProgbarLogger(Callback):
    """Progress on standard output, in Keras's format.

    `fit`, `evaluate` and `predict` add one unless `verbose` is 0.

    >>> from cnnrs import callbacks
    >>> callbacks.CallbackList([], add_progbar=True, verbose=1).callbacks
    [<ProgbarLogger>]
    """

    def __init__(self) -> None:
        super().__init__()
        self._bar: Any = None
        # Validation inside of `fit` belongs to the line of its epoch.
        self._in_fit = False
        # Of an epoch that has ended, where nobody knew before.
        self._counted: int | None = None

    def _start(self, steps: int | None) -> None:
        from cnnrs.base.progbar import Progbar

        # Logs are of the epoch so far already.
        verbose = self.params.get("verbose", 1)
        self._bar = Progbar(steps, verbose=verbose, interval=0.1, stateless_metrics=())

    def on_train_begin(self, logs: Any = None) -> None:
        self._in_fit, self._counted = True, None

    def on_train_end(self, logs: Any = None) -> None:
        self._in_fit = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        epochs = self.params.get("epochs", 1)
        if self.params.get("verbose") and epochs > 1:
            print(f"Epoch {epoch + 1}/{epochs}")
        self._start(self.params.get("steps") or self._counted)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._bar.update(batch + 1, list((logs or {}).items()), finalize=False)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._finish(logs)

    def on_test_begin(self, logs: Any = None) -> None:
        if not self._in_fit:
            self._start(self.params.get("steps"))

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        if self._in_fit:
            return
        self._bar.update(batch + 1, list((logs or {}).items()), finalize=False)

    def on_test_end(self, logs: Any = None) -> None:
        if not self._in_fit:
            self._finish(logs)

    def on_predict_begin(self, logs: Any = None) -> None:
        self._start(self.params.get("steps"))

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        self._bar.update(batch + 1, [], finalize=False)

    def on_predict_end(self, logs: Any = None) -> None:
        self._finish({})

    def _finish(self, logs: Any) -> None:
        if self._bar.target is None:
            self._bar.target = self._counted = self._bar.seen
        self._bar.update(self._bar.target, list((logs or {}).items()), finalize=True)


class CSVLogger(Callback):
    """The logs of each epoch as a line of a CSV file.

    The columns are the logs of the first epoch, and those of validation if there is to be one; a file that
    is continued keeps its own. What an epoch lacks is `NA`; logs without a column are left out, with a
    warning. With `BackupAndRestore`, training that is taken up again has one line for each epoch: those of
    epochs that run again are replaced.

    Args:
        filename: The file; a terminal, `/dev/stdout` or a FIFO that somebody reads will do.
        separator: Between columns.
        append: Whether an existing file is continued.

    Raises:
        OSError: In training: the file cannot be written, is a FIFO that nobody reads, or a block device.

    >>> import os, tempfile
    >>> import numpy as np
    >>> import cnnrs
    >>> model = cnnrs.Sequential([cnnrs.Input((2,)), cnnrs.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "log.csv")
    ...     log = cnnrs.callbacks.CSVLogger(path)
    ...     history = model.fit(np.ones((4, 2)), np.ones(4), verbose=0, callbacks=[log])
    ...     with open(path) as file:
    ...         file.readline()
    'epoch,loss\\n'
    """

    def __init__(self, filename: Any, separator: str = ",", append: bool = False):
        super().__init__()
        self.filename, self.sep, self.append = file_path(filename, self), separator, append
        self._file: Any = None

    def on_train_begin(self, logs: Any = None) -> None:
        # Open until training ends. What the file held stays until it is known whether training is taken up.
        self._file = open(self.filename, "a", newline="", encoding="utf-8", opener=_open_for_lines)
        self._is_regular = stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)
        size = os.path.getsize(self.filename) if self._is_regular else 0
        self._before, self._text = size if self.append else 0, ""
        self._began = False
        self._header: list[str] | None = None
        if self.append and size:
            with open(self.filename, newline="", encoding="utf-8") as file:
                self._header = next(csv.reader(file, delimiter=self.sep))
        self._left_out: set[str] = set()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if not self._began:
            self._began = True
            if self._is_regular:
                self._file.truncate(self._before)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        row = {"epoch": epoch, **(logs or {})}
        lines: list[Any] = []
        if self._header is None:
            self._header = ["epoch", *self._columns(logs or {})]
            lines.append(self._header)
        lines.append([row.get(name, "NA") for name in self._header])
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=self.sep).writerows(lines)
        with self._naming_the_file():
            self._write(text.getvalue())
        new = row.keys() - set(self._header) - self._left_out
        if new:
            self._left_out |= new
            warn_user(f"CSVLogger: {self.filename!r} has no columns for {sorted(new)}")

    def _write(self, text: str) -> None:
        self._file.write(text)
        self._file.flush()
        self._text += text

    def training_state(self) -> dict[str, Any]:
        return {"before": self._before, "text": self._text, "header": self._header}

    def load_training_state(self, state: dict[str, Any]) -> None:
        self._header = state["header"]
        if not self._is_regular:
            return
        # Lines of epochs that will run again are written again.
        self._before, self._began = state["before"], True
        with self._naming_the_file():
            self._file.truncate(min(self._before, os.path.getsize(self.filename)))
            self._write(state["text"])

    def _columns(self, logs: dict[str, Any]) -> list[str]:
        names = sorted(logs)
        if self.params.get("do_validation") and not any(name.startswith("val_") for name in names):
            # The first epoch may be one without validation.
            names += [f"val_{name}" for name in names if name != "learning_rate"]
        return names

    def on_train_end(self, logs: Any = None) -> None:
        with self._naming_the_file():
            self._file.close()

    @contextlib.contextmanager
    def _naming_the_file(self) -> Iterator[None]:
        """Errors of writing name the file, which is closed then."""
        try:
            yield
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.close()
            raise OSError(error.errno, f"CSVLogger: {error.strerror}", self.filename) from error


def _open_for_lines(path: str, flags: int) -> int:
    """As `os.open`, but it does not wait for a reader of a FIFO, and refuses disks."""
    try:
        file = os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o666)
    except OSError as error:
        if error.errno == errno.ENXIO and stat.S_ISFIFO(os.stat(path).st_mode):
            raise OSError(errno.ENXIO, "CSVLogger: a FIFO that nobody reads", path) from error
        raise
    if stat.S_ISBLK(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, "CSVLogger: a block device, not a regular file", path)
    if hasattr(os, "O_NONBLOCK"):
        os.set_blocking(file, True)
    return file


class TerminateOnNaN(Callback):
    """Stops training when the loss is NaN or infinite.

    Args:
        raise_error: Whether to raise a RuntimeError instead.

    >>> from cnnrs import callbacks
    >>> callbacks.TerminateOnNaN(raise_error=True).raise_error
    True
    """

    def __init__(self, raise_error: bool = False):
        super().__init__()
        self.raise_error = raise_error

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            message = f"Batch {batch}: Invalid loss, terminating training"
            if self.raise_error:
                raise RuntimeError(f"NaN or Inf loss encountered at batch {batch}")
            print(message)
            self.model.stop_training = True

"""Callbacks that watch a log and act on it."""

from __future__ import annotations

import os
import re
import string
from typing import Any

from cnnrs import _core, ops
from cnnrs.base.arguments import file_path, integer, number
from cnnrs.base.user_warnings import warn_user
from cnnrs.callbacks.callback import Callback
from cnnrs.serialization.formats import check_model_path, check_weights_path


class Monitor(Callback):
    """Watches `monitor`: whether it has become better."""

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0):
        super().__init__()
        if mode not in ("auto", "min", "max"):
            raise ValueError(
                f"{type(self).__name__}: mode: expected 'auto', 'min' or 'max', received {mode!r}"
            )
        self.monitor, self.mode = monitor, mode
        self.min_delta = abs(number(min_delta, self, "min_delta"))

    def _is_upward(self) -> bool:
        """Whether larger values are better.

        Raises:
            ValueError: `mode` is "auto", and nothing says so.
        """
        if self.mode != "auto":
            return self.mode == "max"
        name = self.monitor.removeprefix("val_")
        for metric in _metrics_of(self.model):
            if metric._direction is not None and name in (metric.name, f"weighted_{metric.name}"):
                return bool(metric._direction == "up")
        if name.endswith(("acc", "accuracy", "auc", "precision", "recall")):
            return True
        if name.endswith("loss"):
            return False
        for metric in _metrics_of(self.model):
            if metric._direction is not None and name.endswith(f"_{metric.name}"):
                return bool(metric._direction == "up")
        raise ValueError(
            f"{type(self).__name__}: mode: nothing says whether a larger {self.monitor!r} is better; "
            "pass mode='max' or mode='min'"
        )

    @property
    def monitor_op(self) -> Any:
        """`ops.greater` or `ops.less`, as values become better; None where nobody knows."""
        try:
            return ops.greater if self._is_upward() else ops.less
        except ValueError:
            return None

    def _better(self, value: float, than: float | None) -> bool:
        upward = self._is_upward()
        if than is None:
            return True
        return value - self.min_delta > than if upward else value + self.min_delta < than

    def _value(self, logs: Any) -> Any:
        value = (logs or {}).get(self.monitor)
        if value is None:
            warn_user(f"{type(self).__name__}: {self.monitor!r} is not among the logs {sorted(logs or {})}")
        return value


def _metrics_of(model: Any) -> list[Any]:
    """The metrics of a model, those of `compile` among them, one by one."""
    found: list[Any] = []
    for metric in getattr(model, "metrics", ()):
        found += getattr(metric, "metrics", [metric])
    return [metric for metric in found if hasattr(metric, "_direction")]


class EarlyStopping(Monitor):
    """Stops training when a log has not become better for `patience` epochs.

    Args:
        monitor: Name of the log.
        min_delta: Least change that counts as better.
        patience: Epochs without a better value before training stops.
        verbose: 1 prints when it stops.
        mode: "min", "max", or "auto" by the name of the log.
        baseline: Value that must be reached for patience to start afresh.
        restore_best_weights: Whether the weights of the best epoch come back.
        start_from_epoch: Epochs before it counts.

    >>> import numpy as np
    >>> import cnnrs
    >>> from cnnrs import callbacks
    >>> model = cnnrs.Sequential([cnnrs.Input((2,)), cnnrs.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x = np.ones((4, 2), "float32")
    >>> stop = callbacks.EarlyStopping(monitor="loss", patience=1, min_delta=100.0)
    >>> history = model.fit(x, x.sum(1), epochs=9, verbose=0, callbacks=[stop])
    >>> len(history.epoch)
    2
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ):
        super().__init__(monitor, mode, min_delta)
        for argument, value in (("patience", patience), ("start_from_epoch", start_from_epoch)):
            number(value, self, argument, least=0)
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore_best_weights, self.start_from_epoch = restore_best_weights, start_from_epoch
        self.stopped_epoch, self.best_epoch, self.wait = 0, 0, 0
        self.best: float | None = None
        self.best_weights: Any = None

    def on_train_begin(self, logs: Any = None) -> None:
        self.wait, self.stopped_epoch, self.best_epoch = 0, 0, 0
        self.best, self.best_weights = None, None

    def training_state(self) -> dict[str, Any]:
        state = {
            "wait": self.wait,
            "stopped_epoch": self.stopped_epoch,
            "best_epoch": self.best_epoch,
            "best": self.best,
            "stop": bool(self.model.stop_training),
        }
        return {**state, **{f"best/{i}": weight for i, weight in enumerate(self.best_weights or [])}}

    def load_training_state(self, state: dict[str, Any]) -> None:
        self.wait, self.stopped_epoch = state["wait"], state["stopped_epoch"]
        self.best_epoch, self.best = state["best_epoch"], state["best"]
        # States that former versions kept do not say it.
        self.model.stop_training = bool(state.get("stop", False))
        weights = [state[f"best/{i}"] for i in range(sum(key.startswith("best/") for key in state))]
        self.best_weights = weights or None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        value = self._value(logs)
        if value is None:
            return
        self._is_upward()
        if epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if self._better(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self._better(value, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:
        if self.stopped_epoch > 0 and self.verbose > 0:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose > 0:
                print(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)


class ModelCheckpoint(Monitor):
    """Saves the model or its weights after epochs, or every `save_freq` batches.

    Args:
        filepath: Path, with fields such as `{epoch:02d}` and `{val_loss:.2f}`. Checked at once: models end
            in `.keras`, `.h5` or `.safetensors`, weights in `.weights.h5` or `.weights.safetensors`.
        monitor: The log that decides which is best.
        verbose: 1 prints what is saved.
        save_best_only: Whether only better models are saved; without the log each is, with a warning.
        save_weights_only: Whether weights alone are saved.
        mode: "min", "max", or "auto" by the name of the log.
        save_freq: "epoch" or a number of batches.
        initial_value_threshold: The best so far.

    Raises:
        ValueError: The path has another ending or a field that is damaged, or an argument is wrong.
        OSError: The folder is there, but files in it cannot be written.

    >>> import os, tempfile
    >>> import numpy as np
    >>> import cnnrs
    >>> model = cnnrs.Sequential([cnnrs.Input((2,)), cnnrs.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save = cnnrs.callbacks.ModelCheckpoint(os.path.join(folder, "{epoch}.safetensors"))
    ...     history = model.fit(np.ones((4, 2)), np.ones(4), epochs=2, verbose=0, callbacks=[save])
    ...     sorted(os.listdir(folder))
    ['1.safetensors', '2.safetensors']
    """

    def __init__(
        self,
        filepath: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: Any = "epoch",
        initial_value_threshold: float | None = None,
    ):
        super().__init__(monitor, mode)
        self.filepath = file_path(filepath, self)
        (check_weights_path if save_weights_only else check_model_path)(self.filepath)
        if save_freq != "epoch" and (isinstance(save_freq, bool) or not isinstance(save_freq, int)):
            raise ValueError(
                f"ModelCheckpoint: save_freq: expected 'epoch' or an integer, received {save_freq!r}"
            )
        if save_freq != "epoch":
            integer(save_freq, self, "save_freq", least=1)
        try:
            list(string.Formatter().parse(self.filepath))
        except ValueError as error:
            raise ValueError(f"ModelCheckpoint: filepath: {self.filepath!r}: {error}") from error
        folder = os.path.dirname(self.filepath)
        if "{" not in folder and os.path.exists(folder or os.curdir):
            _core.check_writable(self.filepath)
        self.verbose, self.save_best_only, self.save_weights_only = verbose, save_best_only, save_weights_only
        self.save_freq = save_freq
        self.best: float | None = initial_value_threshold
        self._batches, self._epoch = 0, 0
        self._looks_at_batches = save_freq != "epoch"

    def training_state(self) -> dict[str, Any]:
        return {"best": self.best, "batches": self._batches}

    def load_training_state(self, state: dict[str, Any]) -> None:
        self.best, self._batches = state["best"], state["batches"]

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.save_freq == "epoch":
            return
        self._batches += 1
        if self._batches >= self.save_freq:
            self._batches = 0
            self._save(self._epoch, batch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch, None, logs)

    def _save(self, epoch: int, batch: int | None, logs: Any) -> None:
        logs = logs or {}
        if self.save_best_only:
            value = self._value(logs)
            # A model of which nobody knows whether it is the best is saved: it may be the only one.
            if value is not None:
                if not self._better(value, self.best):
                    if self.verbose > 0:
                        print(f"\nEpoch {epoch + 1}: {self.monitor} did not improve from {self.best:.5f}")
                    return
                if self.verbose > 0:
                    before = "" if self.best is None else f"from {self.best:.5f} "
                    print(f"\nEpoch {epoch + 1}: {self.monitor} improved {before}to {value:.5f}")
                self.best = value
        fields = {"epoch": epoch + 1, **({} if batch is None else {"batch": batch + 1}), **logs}
        try:
            path = self.filepath.format(**fields)
        except KeyError as error:
            known = ", ".join(sorted(fields))
            raise KeyError(f"ModelCheckpoint: filepath names {error}; there are {known}") from None
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            raise ValueError(f"ModelCheckpoint: filepath: {self.filepath!r}: {error}") from error
        if folder := os.path.dirname(path):
            os.makedirs(folder, exist_ok=True)
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: saving model to {re.sub(os.sep * 2, os.sep, path)}")
        self._write(path)

    def _write(self, path: str) -> None:
        if self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)

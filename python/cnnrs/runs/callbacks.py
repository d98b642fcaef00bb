"""Callbacks of a run: the order of its data, its history, its snapshots, and what is shown of it."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable
from typing import Any

from cnnrs import reporting
from cnnrs.callbacks import BackupAndRestore, Callback, ModelCheckpoint
from cnnrs.callbacks.learning_rates import log_rates
from cnnrs.runs.data import ImageBatches
from cnnrs.runs.folder import write_text
from cnnrs.runs.progress import Line, bar, duration, is_terminal, write
from cnnrs.runs.stopping import Stopping

__all__ = ["BestModel", "EpochOrder", "HistoryFile", "LiveReport", "Pruning", "RunProgress", "Snapshots"]


class EpochOrder(Callback):
    """Tells batches which epoch begins: their order depends on it.

    Args:
        batches: The batches.
    """

    def __init__(self, batches: ImageBatches):
        super().__init__()
        self._batches = batches

    def training_state(self) -> dict[str, Any]:
        return {"epoch": self._batches.epoch}

    def load_training_state(self, state: dict[str, Any]) -> None:
        # What goes through the data behind the last epoch finds its order.
        self._batches.begin(state["epoch"])

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._batches.begin(epoch)


class BestModel(ModelCheckpoint):
    """Keeps the best model for use: without the optimizer of the run, so that Keras reads it.

    Args:
        path: The file.
        monitor: The log that decides which is best.
    """

    def __init__(self, path: Any, monitor: str):
        super().__init__(str(path).replace("{", "{{").replace("}", "}}"), monitor, save_best_only=True)

    def _write(self, path: str) -> None:
        self.model.save(path, overwrite=True, include_optimizer=False)


class HistoryFile(Callback):
    """Writes a line an epoch: its number from 1, losses and metrics, the learning rate and its seconds.

    The file is whole at any time, and goes on where training is resumed.

    Args:
        path: The CSV file.
    """

    def __init__(self, path: Any):
        super().__init__()
        self.path, self.rows = path, list[dict[str, Any]]()
        self._start = 0.0

    def training_state(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_training_state(self, state: dict[str, Any]) -> None:
        self.rows = [dict(row) for row in state["rows"]]

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        log_rates(self.model.optimizer, logs)
        own = {name: float(value) for name, value in (logs or {}).items()}
        names = sorted(
            own, key=lambda name: (name == "learning_rate", name.startswith("val_"), name != "loss")
        )
        row = {"epoch": epoch + 1, **{name: own[name] for name in names}}
        for name in names:
            # Of numbers of 32 bits the shortest text that means them.
            row[name] = float(f"{own[name]:.9g}")
        self.rows.append({**row, "seconds": round(time.perf_counter() - self._start, 3)})
        text = io.StringIO()
        writer = csv.DictWriter(text, list(self.rows[0]), extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.path, text.getvalue())


class Snapshots(BackupAndRestore):
    """Keeps the state of training after each epoch, and when a signal asks to stop, which it then does.

    Args:
        folder: Where the state is kept, and taken up from.
        stopping: What notes signals.
    """

    def __init__(self, folder: Any, stopping: Stopping):
        super().__init__(folder, save_freq="epoch", delete_checkpoint=False)
        self._stopping = stopping
        self._looks_at_batches = True

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        super().on_train_batch_end(batch, logs)
        if self._stopping.number is not None:
            self._save(batch + 1)
            self._stopping.check()

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        # The epoch's batches are done: what is left is its validation.
        if self._stopping.number is not None:
            self._save(self._last_batch_seen + 1)
            self._stopping.check()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_end(epoch, logs)
        self._stopping.check()


class Pruning(Callback):
    """Hands the validation of each epoch to a function, which may end the training by an exception.

    Args:
        report: Called with the epoch and its logs.
    """

    def __init__(self, report: Callable[[int, dict[str, Any]], None]):
        super().__init__()
        self._report = report

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._report(epoch, dict(logs or {}))


class LiveReport(Callback):
    """Serves the report of a run on this machine while it trains, and says where.

    Args:
        folder: The folder of the run.
        port: The port; 0 for a free one.
    """

    def __init__(self, folder: Any, port: int):
        super().__init__()
        self._folder, self._port = folder, port
        self._service: Any = None

    def on_train_begin(self, logs: Any = None) -> None:
        self._service = reporting.live(self._folder, self._port)
        write(f"report: {self._service.url}\n")

    def close(self) -> None:
        """Ends the service."""
        if self._service is not None:
            self._service.close()
            self._service = None


class RunProgress(Callback):
    """Shows a run on standard error: in a terminal a line that is redrawn, elsewhere a line an epoch.

    Both have the rate in images a second, and the time that is left of the run.

    Args:
        batch_size: Images of a batch.
        images: Images of an epoch.
        monitor: The log that names the best epoch.
    """

    def __init__(self, batch_size: int, images: int, monitor: str):
        super().__init__()
        self._batch_size, self._images, self._monitor = batch_size, images, monitor
        self._best: float | None = None
        self._epoch = self._first = self._batch = 0
        self._start = self._epoch_start = self._drawn = 0.0
        self._from: int | None = None
        self._line = Line()
        self._started = False

    def training_state(self) -> dict[str, Any]:
        return {"best": self._best}

    def load_training_state(self, state: dict[str, Any]) -> None:
        self._best = state["best"]

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        now = time.perf_counter()
        if not self._started:
            self._started, self._start, self._first = True, now, epoch
        self._epoch, self._epoch_start, self._from = epoch, now, None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self._from is None:
            # A resumed epoch begins in its middle.
            self._from = batch
        self._batch = batch + 1
        now = time.perf_counter()
        if not is_terminal() or now - self._drawn < 0.1:
            return
        self._drawn = now
        steps = self.params.get("steps") or self._batch
        done = min(self._batch, steps) / steps
        elapsed = now - self._epoch_start
        here = max(self._batch - self._from, 1)
        left = elapsed / here * (steps - self._batch)
        parts = [self._head(), bar(done), f"{done:4.0%}", self._rate(here * self._batch_size, elapsed)]
        parts += [f"{duration(self._left(now, done))} left"]
        values = sorted((logs or {}).items(), key=lambda entry: entry[0] != "loss")
        parts += [f"{name} {float(value):.4f}" for name, value in values]
        parts += [f"epoch {duration(left)} left"]
        self._line.draw(parts)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        now = time.perf_counter()
        elapsed = now - self._epoch_start
        seen = self._images - (self._from or 0) * self._batch_size
        parts = [self._head(), duration(elapsed), self._rate(max(seen, 0), elapsed)]
        shown = {k: float(v) for k, v in (logs or {}).items() if not k.startswith("learning_rate")}
        names = sorted(shown, key=lambda name: (name.startswith("val_"), not name.endswith("loss")))
        parts += [f"{name} {shown[name]:.4f}" for name in names]
        value = shown.get(self._monitor)
        upward = not self._monitor.endswith("loss")
        if value is not None and (
            self._best is None or (value > self._best if upward else value < self._best)
        ):
            self._best = value
            parts.append("best")
        if epoch + 1 < self.params["epochs"]:
            parts.append(f"{duration(self._left(now, 1.0))} left")
        self._line.clear()
        write("  ".join(parts) + "\n")

    def _head(self) -> str:
        epochs = self.params["epochs"]
        return f"{self._epoch + 1:>{len(str(epochs))}}/{epochs}"

    def _rate(self, images: int, seconds: float) -> str:
        return f"{images / max(seconds, 1e-9):,.0f} images/s"

    def _left(self, now: float, part: float) -> float:
        """Seconds to the end of the last epoch, by the pace so far."""
        done = self._epoch - self._first + part
        return (now - self._start) / max(done, 1e-3) * (self.params["epochs"] - self._epoch - part)

    def close(self) -> None:
        """Ends the line that is redrawn."""
        self._line.end()

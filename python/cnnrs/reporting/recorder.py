"""`RunReport`: the callback that makes the folder of a run, and its report, of a plain `fit`."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cnnrs import _core, config, losses
from cnnrs.base.arguments import flag, integer, named
from cnnrs.base.user_warnings import warn_user
from cnnrs.callbacks import Callback
from cnnrs.callbacks.learning_rates import log_rates
from cnnrs.evaluation import evaluate_model, evaluate_regression
from cnnrs.evaluation.run_files import write_file
from cnnrs.random import current_seed
from cnnrs.reporting.serving import LiveReport
from cnnrs.reporting.serving import live as serve
from cnnrs.reporting.writing import write
from cnnrs.training.data_adapter import ArrayData, BatchData

__all__ = ["RunReport"]

# Losses of models that predict numbers, by their names without underscores.
_OF_NUMBERS = (
    "meansquarederror", "meanabsoluteerror", "meanabsolutepercentageerror", "meansquaredlogarithmicerror",
    "huber", "logcosh", "poisson",
)  # fmt: skip


def _kinds_of(model: Any) -> list[str]:
    """What a model may predict, the likelier first, by its loss."""
    given = getattr(model, "loss", None)
    given = given[0] if isinstance(given, (list, tuple)) and len(given) == 1 else given
    loss = losses.get(given) if isinstance(given, str) else given
    name = getattr(loss, "__name__", type(loss).__name__).replace("_", "").lower()
    return ["regression", "classes"] if name in _OF_NUMBERS else ["classes", "regression"]


class RunReport(Callback):
    """Writes the folder of a run while `fit` trains, and its report: after each epoch, and whole at the end.

    The folder gets `history.csv`, `environment.json`, `report.html` and, where there is a validation,
    `model.keras` and the files of `evaluate_model`, or, of models that predict numbers, as their loss says,
    those of `evaluate_regression`. What is neither is a warning.

    Args:
        run_directory: The folder; it is made if it is not there.
        validation_data: What the model is evaluated on at the end: `(x, y)`, or a data set; None takes the
            validation of `fit`, if it can be gone through again.
        class_names: Names of the classes; None takes those of the data set or of the model's preprocessing.
        live: Whether the report is served on this machine while training goes on; its address is printed.
        port: Of the service; 0 for a free one.

    Attributes:
        url: The address of the live report; None without one.

    Raises:
        OSError: When training begins: the folder cannot be made, or the port is in use. Later, what cannot be
            written is a warning, and training goes on.

    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import cnnrs
    >>> from cnnrs import layers, reporting
    >>> model = cnnrs.Sequential(
    ...     [cnnrs.Input((8, 8, 1)), layers.Flatten(), layers.Dense(2, activation="softmax")]
    ... )
    >>> model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    >>> x, y = np.random.default_rng(0).random((32, 8, 8, 1), np.float32), np.arange(32) % 2
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report = reporting.RunReport(folder, validation_data=(x, y), class_names=["cat", "dog"])
    ...     history = model.fit(x, y, epochs=2, verbose=0, callbacks=[report])
    ...     sorted(path.name for path in Path(folder).iterdir())
    ['environment.json', 'evaluation.json', 'history.csv', 'model.keras', 'predictions.npz',
     'report.html', 'samples.npz']
    """

    @named
    def __init__(
        self,
        run_directory: Any,
        validation_data: Any = None,
        class_names: Any = None,
        live: bool = False,
        port: int = 0,
    ):
        super().__init__()
        self.folder = Path(run_directory)
        self.validation_data, self.class_names = validation_data, class_names
        self._serves = flag(live, self, "live")
        self._port = integer(port, self, "port", least=0, most=65535)
        self._service: LiveReport | None = None
        self._rows: list[dict[str, float]] = []
        self._start = 0.0

    @property
    def url(self) -> str | None:
        return None if self._service is None else self._service.url

    def on_train_begin(self, logs: Any = None) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._rows = []
        text = json.dumps(self._environment(), indent=1, ensure_ascii=False)
        write_file(self.folder / "environment.json", f"{text}\n".encode("utf-8", "replace"))
        if self._serves:
            self._close()
            self._service = serve(self.folder, self._port)
            print(f"report: {self._service.url}", flush=True)

    def _environment(self) -> dict[str, Any]:
        versions = {"cnnrs": _core.__version__, "python": platform.python_version(), "numpy": np.__version__}
        return {
            "command": shlex.join([Path(sys.executable).name, *sys.argv]),
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "versions": versions,
            "seed": self.params.get("seed", current_seed()),
            "parameters": self.model.count_params() if self.model.built else None,
            "optimizer": type(self.model.optimizer).__name__,
            "machine": {
                "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
                "processors": os.cpu_count(),
                "threads": config.get_num_threads(),
                "device": config.get_device(),
            },
        }

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        values = {name: float(value) for name, value in (logs or {}).items()}
        log_rates(self.model.optimizer, values)
        spent = round(time.perf_counter() - self._start, 3)
        # Of numbers of 32 bits the shortest text that means them.
        short = {name: float(f"{value:.9g}") for name, value in values.items()}
        self._rows.append({"epoch": epoch + 1, **short, "seconds": spent})
        names = list(dict.fromkeys(name for row in self._rows for name in row if name != "seconds"))
        text = io.StringIO()
        writer = csv.DictWriter(text, [*names, "seconds"], restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows)
        with self._going_on():
            write_file(self.folder / "history.csv", text.getvalue().encode())
            write(self.folder, explain=False)

    def on_train_end(self, logs: Any = None) -> None:
        try:
            with self._going_on():
                self._evaluate()
                write(self.folder)
        finally:
            self._close()

    def _evaluate(self) -> None:
        """Keeps the model and its figures on the validation."""
        data = self.validation_data
        pair = self._of_fit() if data is None else data if isinstance(data, tuple) else (data,)
        if not pair:
            return
        self.model.save(self.folder / "model.keras")
        reasons: list[str] = []
        for kind in _kinds_of(self.model):
            try:
                if kind == "regression":
                    found: Any = evaluate_regression(self.model, *pair[:2])
                else:
                    found = evaluate_model(self.model, *pair[:2], class_names=self.class_names)
            except ValueError as error:
                reasons.append(str(error))
            else:
                found.save(self.folder)
                return
        warn_user(
            "RunReport: the model is kept, but not evaluated, for it is neither a classifier nor one that "
            f"predicts the numbers of its targets: {'; '.join(reasons)}"
        )

    def _of_fit(self) -> tuple[Any, ...]:
        """The validation of the `fit` under way, as arrays or as what yields batches; else nothing."""
        data = None if self.model._fit is None else self.model._fit.validation_data
        if isinstance(data, ArrayData):
            return data.samples[:2]
        if (
            isinstance(data, BatchData)
            and not data.once
            and not data.endless
            and data.num_batches is not None
        ):
            return (data.source,)
        return ()

    def _close(self) -> None:
        if self._service is not None:
            self._service.close()
            self._service = None

    @contextlib.contextmanager
    def _going_on(self) -> Iterator[None]:
        """A full disk costs the report, not the training."""
        try:
            yield
        except OSError as error:
            warn_user(f"RunReport: {error}: the report is not written, and training goes on")

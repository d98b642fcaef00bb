"""The base class of callbacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnrs.base.arguments import NamedArguments


class Callback(NamedArguments):
    """Base class: subclasses override the hooks they need.

    Attributes:
        model: The model.
        params: What `fit` was called with: `verbose`, `epochs`, `steps`, `seed`.

    Example:

    >>> from cnnrs import callbacks
    >>> class Stop(callbacks.Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         self.model.stop_training = logs["loss"] < 0.1
    """

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}
        self._model: Any = None

    @property
    def model(self) -> Any:
        """The model."""
        return self._model

    def set_model(self, model: Any) -> None:
        """Called before anything else."""
        self._model = model

    def set_params(self, params: Any) -> None:
        """Called before anything else."""
        self.params = params

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def training_state(self) -> dict[str, Any]:
        """What the callback needs to go on after an interruption, which `BackupAndRestore` keeps.

        Returns:
            Numbers, strings, None and numpy arrays by name; none by default.
        """
        return {}

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Sets what `training_state` gave; called after `on_train_begin`."""

    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        """An older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """An older name of `on_train_batch_end`."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Called before an epoch; `logs` is an empty dict."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Called after an epoch; `logs` are its values, those of validation with `val_` in front."""

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Called before a batch of `fit`; `logs` is an empty dict."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Called after a batch of `fit`; `logs` is the loss and the metrics of the epoch so far."""
        self.on_batch_end(batch, logs=logs)

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Called before a batch of `evaluate` or a validation; `logs` is an empty dict."""

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Called after a batch of `evaluate` or a validation; `logs` is the loss and the metrics so far."""

    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Called before a batch of `predict`; `logs` is an empty dict."""

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        """Called after a batch of `predict`; `logs` is a dict with `outputs`."""

    def on_train_begin(self, logs: Any = None) -> None:
        """Called before the first batch of `fit`; `logs` is an empty dict."""

    def on_train_end(self, logs: Any = None) -> None:
        """Called after the last batch of `fit`; `logs` is the logs of the last epoch."""

    def on_test_begin(self, logs: Any = None) -> None:
        """Called before the first batch of `evaluate` or a validation; `logs` is an empty dict."""

    def on_test_end(self, logs: Any = None) -> None:
        """Called after the last batch of `evaluate` or a validation; `logs` is the loss and the metrics."""

    def on_predict_begin(self, logs: Any = None) -> None:
        """Called before the first batch of `predict`; `logs` is an empty dict."""

    def on_predict_end(self, logs: Any = None) -> None:
        """Called after the last batch of `predict`; `logs` is an empty dict."""


class History(Callback):
    """The logs of all epochs; what `fit` returns. `BackupAndRestore` keeps those before an interruption.

    Attributes:
        epoch: Numbers of the epochs.
        history: For each log, its values by epoch.

    >>> import numpy as np
    >>> import cnnrs
    >>> model = cnnrs.Sequential([cnnrs.Input((2,)), cnnrs.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> model.fit(np.ones((4, 2)), np.ones(4), epochs=2, verbose=0)
    <History of 2 epochs: loss>
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Any = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._add(epoch, logs or {})
        self.model.history = self

    def _add(self, epoch: int, logs: dict[str, Any]) -> None:
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

    def training_state(self) -> dict[str, Any]:
        # Other callbacks hear of the end of an epoch before, and may keep the state then.
        told = History()
        told.epoch, told.history = list(self.epoch), {k: list(v) for k, v in self.history.items()}
        ended = None if self.model._fit is None else self.model._fit.ended
        if ended is not None and ended[0] not in told.epoch:
            told._add(*ended)
        return {"epoch": told.epoch, "history": told.history}

    def load_training_state(self, state: dict[str, Any]) -> None:
        self.epoch, self.history = list(state["epoch"]), {k: list(v) for k, v in state["history"].items()}

    def __getstate__(self) -> dict[str, Any]:
        return {"params": self.params, "history": self.history, "epoch": self.epoch, "_model": None}

    def __repr__(self) -> str:
        return f"<History of {len(self.epoch)} epochs: {', '.join(self.history)}>"

    def _repr_html_(self) -> str:
        """The curves, for notebooks."""
        # Few who train look at curves in a notebook.
        from cnnrs.charts import training_charts
        from cnnrs.charts.html import tag

        charts = training_charts({"epoch": [epoch + 1 for epoch in self.epoch], **self.history})
        style = "display:flex;flex-wrap:wrap;gap:1em"
        return tag("div", *(tag("div", chart.svg()) for chart in charts), style=style)


class LambdaCallback(Callback):
    """A callback made of functions, given by the names of the hooks.

    >>> import numpy as np
    >>> import cnnrs
    >>> model = cnnrs.Sequential([cnnrs.Input((2,)), cnnrs.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> tell = cnnrs.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print("epoch", epoch))
    >>> history = model.fit(np.ones((4, 2)), np.ones(4), epochs=2, verbose=0, callbacks=[tell])
    epoch 0
    epoch 1
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **kwargs: Any,
    ):
        super().__init__()
        given = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **kwargs,
        }
        for name, function in given.items():
            if function is not None:
                setattr(self, name, function)

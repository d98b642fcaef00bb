"""All callbacks of a run, called in order."""

from __future__ import annotations

from typing import Any

from cnnrs.callbacks.callback import Callback, History
from cnnrs.callbacks.logging import ProgbarLogger

_BATCH_HOOKS = [
    f"on_{kind}_batch_{end}" for kind in ("train", "test", "predict") for end in ("begin", "end")
] + [
    "on_batch_begin",
    "on_batch_end",
]


class CallbackList:
    """Calls each hook of every callback.

    Attributes:
        has_batch_hooks: Whether some callback other than the progress bar looks at batches. If none does,
            many batches may run without returning to Python.

    Args:
        callbacks: Callbacks, or one.
        add_history: Whether a `History` is added, unless there is one.
        add_progbar: Whether a `ProgbarLogger` is added, unless there is one.
        model: The model they are for.
        **params: What callbacks find in `params`.

    >>> from cnnrs import callbacks
    >>> callbacks.CallbackList([], add_history=True).has_batch_hooks
    False
    """

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ):
        if callbacks is None:
            callbacks = []
        given = list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
        for callback in given:
            if not isinstance(callback, Callback):
                raise TypeError(f"callbacks: expected Callback objects, received {type(callback).__name__}")
        self.callbacks: list[Callback] = given
        if add_progbar and not any(isinstance(c, ProgbarLogger) for c in given):
            self.callbacks = [*self.callbacks, ProgbarLogger()]
        self._history = next((c for c in self.callbacks if isinstance(c, History)), None)
        if add_history and self._history is None:
            self._history = History()
            self.callbacks = [*self.callbacks, self._history]
        self.params = params
        for callback in self.callbacks:
            callback.set_params(params)
            if model is not None:
                callback.set_model(model)
        if model is not None and self._history is not None:
            model.history = self._history

    @property
    def has_batch_hooks(self) -> bool:
        """Whether some callback other than the progress bar looks at batches."""

        def looks(callback: Callback) -> bool:
            if isinstance(callback, (History, ProgbarLogger)):
                return False
            overrides = (
                getattr(type(callback), name) is not getattr(Callback, name) for name in _BATCH_HOOKS
            )
            asks = getattr(callback, "_looks_at_batches", True)
            return (any(overrides) and asks) or any(name in vars(callback) for name in _BATCH_HOOKS)

        return any(looks(c) for c in self.callbacks)

    def append(self, callback: Callback) -> None:
        """Adds a callback."""
        self.callbacks.append(callback)

    def __iter__(self) -> Any:
        return iter(self.callbacks)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("on_") or not hasattr(Callback, name):
            raise AttributeError(f"CallbackList has no attribute {name!r}")

        def call(*args: Any, **kwargs: Any) -> None:
            for callback in self.callbacks:
                getattr(callback, name)(*args, **kwargs)

        return call

"""All callbacks of a run, called in order."""

from __future__ import annotations

import inspect
from collections.abc import Callable
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

    As in Keras, hooks always receive logs: a dict, empty where there is nothing to tell. It is the second
    argument of hooks of epochs and batches and the only one of the others; a hook may leave it out.

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
        self.callbacks = _in_order(self.callbacks)
        self.params = params
        # How a hook of a callback takes logs, by the name of the hook and the callback's id.
        self._styles: dict[tuple[str, int], str] = {}
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
            # The hooks of the progress bar itself need not see each batch; those of a subclass of it do.
            base = ProgbarLogger if isinstance(callback, ProgbarLogger) else Callback
            overrides = (getattr(type(callback), name) is not getattr(base, name) for name in _BATCH_HOOKS)
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

        takes_index = "epoch" in name or "batch" in name

        def call(*args: Any, logs: Any = None) -> None:
            index, rest = (args[:1], args[1:]) if takes_index else ((), args)
            logs = rest[0] if rest else logs
            logs = {} if logs is None else logs
            for callback in self.callbacks:
                hook = getattr(callback, name)
                style = self._styles.get((name, id(callback)))
                if style is None:
                    style = self._styles[name, id(callback)] = _style(hook, index)
                if style == "positional":
                    hook(*index, logs)
                elif style == "keyword":
                    hook(*index, logs=logs)
                else:
                    hook(*index)

        return call


def _in_order(callbacks: list[Any]) -> list[Any]:
    """The callbacks, those that keep the state of others behind all that have some."""
    keepers = [one for one in callbacks if getattr(one, "_keeps_others", False)]
    stateful = [
        one
        for one in callbacks
        if getattr(type(one), "training_state", None)
        not in (None, Callback.training_state, History.training_state)
    ]
    for keeper in keepers:
        last = max((callbacks.index(one) for one in stateful), default=-1)
        if callbacks.index(keeper) < last:
            callbacks = [one for one in callbacks[: last + 1] if one is not keeper] + [
                keeper,
                *callbacks[last + 1 :],
            ]
    return callbacks


def _style(hook: Callable[..., Any], index: tuple[Any, ...]) -> str:
    """How `hook` takes logs: "positional", "keyword" or "none"."""
    try:
        signature = inspect.signature(hook)
    except ValueError:
        return "positional"
    forms: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
        ("positional", (*index, {}), {}),
        ("keyword", index, {"logs": {}}),
        ("none", index, {}),
    ]
    for style, args, kwargs in forms:
        try:
            signature.bind(*args, **kwargs)
        except TypeError:
            continue
        return style
    # Calling it says what is wrong with it.
    return "positional"

"""Activation functions side by side: values, gradients, dead units, time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from cnnrs import tracing
from cnnrs.activations.functions import glu, linear, log_softmax, softmax, sparsemax
from cnnrs.activations.lookup import get
from cnnrs.base import naming
from cnnrs.base.arguments import integer, number
from cnnrs.base.extras import pyplot
from cnnrs.ops import raw
from cnnrs.ops.dispatch import as_float
from cnnrs.tape import GradientTape

__all__ = ["Comparison", "compare"]

# A unit whose gradient stays below this for all data learns nothing more.
_DEAD = 1e-6
# What is no activation of single units.
_NOT_OF_UNITS = (linear, glu, log_softmax, softmax, sparsemax)
# Samples for which a model is called at once.
_BATCH = 64
# Calls of which the quickest is what a call takes.
_CALLS = 20


class Comparison:
    """What `compare` found. `str` of it is a table.

    Attributes:
        names: Names of the activations.
        x: Where they were computed, an array of n numbers.
        outputs: Their values, an array of shape (activations, n).
        gradients: Their derivatives, likewise.
        seconds: What a call takes, an array of shape (activations, 2): without and with the gradient.
        elements: How many elements such a call has.
        dead: The share of dead units of the model for each activation, a dict by names; None without a model.
        dead_by_layer: The same for each layer, a dict of dicts by names of activations and paths of layers;
            of a block with several activations, for each: `{"relu": {"block/activation1": 0.1}}`.
    """

    def __init__(
        self,
        names: list[str],
        x: np.ndarray,
        outputs: np.ndarray,
        gradients: np.ndarray,
        seconds: np.ndarray,
        elements: int,
        dead_by_layer: dict[str, dict[str, np.ndarray]] | None,
    ):
        self.names, self.x, self.outputs, self.gradients = names, x, outputs, gradients
        self.seconds, self.elements = seconds, elements
        self.dead: dict[str, float] | None = None
        self.dead_by_layer: dict[str, dict[str, float]] | None = None
        if dead_by_layer is not None:
            self.dead = {n: float(np.concatenate(list(d.values())).mean()) for n, d in dead_by_layer.items()}
            self.dead_by_layer = {
                name: {layer: float(units.mean()) for layer, units in found.items()}
                for name, found in dead_by_layer.items()
            }

    def __str__(self) -> str:
        middle = int(np.abs(self.x).argmin())
        slope = f"f'({self.x[middle]:.2g})"
        head = ["activation", "least", "largest", slope, "flat", "µs", "µs with gradient"]
        rows = [head + (["dead units"] if self.dead is not None else [])]
        for i, name in enumerate(self.names):
            flat = np.mean(np.abs(self.gradients[i]) < _DEAD)
            row = [
                name,
                f"{self.outputs[i].min():.3f}",
                f"{self.outputs[i].max():.3f}",
                f"{self.gradients[i][middle]:.3f}",
                f"{flat:.0%}",
                *(f"{1e6 * seconds:.0f}" for seconds in self.seconds[i]),
            ]
            rows.append(row + ([f"{self.dead[name]:.1%}"] if self.dead is not None else []))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(
                c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(r, widths, strict=True))
            )
            for r in rows
        ]
        lines.insert(1, "─" * len(lines[0]))
        below = f"x from {self.x[0]:g} to {self.x[-1]:g}; times of calls with {self.elements} elements"
        return "\n".join([*lines, below])

    def __repr__(self) -> str:
        return str(self)

    def plot(self) -> Any:
        """Draws values and gradients, and the shares of dead units if a model was given.

        Returns:
            The figure of matplotlib.

        Raises:
            ImportError: matplotlib, of the extra `plot`, is not installed.
        """
        plt = pyplot("Comparison.plot")
        many = 2 + (self.dead is not None)
        figure, axes = plt.subplots(1, many, figsize=(4 * many, 3.2), squeeze=False)
        for ax, values, title in (
            (axes[0][0], self.outputs, "f(x)"),
            (axes[0][1], self.gradients, "f'(x)"),
        ):
            for name, row in zip(self.names, values, strict=True):
                ax.plot(self.x, row, label=name)
            ax.set(xlabel="x", title=title)
            ax.grid(alpha=0.3)
        axes[0][0].legend()
        if self.dead is not None:
            axes[0][2].barh(self.names, [self.dead[name] for name in self.names])
            axes[0][2].set(xlim=(0, 1), title="share of dead units")
        figure.tight_layout()
        return figure


def compare(
    names: Any = ("relu", "leaky_relu", "elu", "silu", "gelu", "tanh"),
    x_range: tuple[float, float] = (-5.0, 5.0),
    n: int = 201,
    *,
    model: Any = None,
    data: Any = None,
    elements: int = 65536,
) -> Comparison:
    """Compares activation functions: outputs, gradients, time per call, and units that would be dead.

    With a model and data, each activation is tried on what the model's own activations receive for the data,
    softmax and its kin left out.
    A unit, the last axis of a layer's output or with `channels_first` axis 1, is dead for an activation if
    its gradient is below 1e-6 for all samples and places.

    Args:
        names: Names of activations, or functions that compute element by element; one, or a list.
        x_range: Where the curves begin and end.
        n: How many numbers between, both ends included.
        model: A built model, whose layers have activations.
        data: Samples for the model, as `model` takes them in a call: an array.
        elements: How many elements calls have whose time is taken.

    Returns:
        A `Comparison`: arrays and dicts, a table as text, `plot()` for a picture.

    Raises:
        ValueError: A name is not known, `x_range` is no range, one of `model` and `data` is not given, the
            model has no activations, or an activation does not compute element by element.

    >>> from cnnrs import activations
    >>> found = activations.compare(["relu", "tanh"], (-1.0, 1.0), 3, elements=64)
    >>> found.outputs[0].tolist(), found.gradients[0].tolist()
    ([0.0, 0.0, 1.0], [0.0, 0.0, 1.0])
    >>> print(found.gradients[1].round(3))
    [0.42 1.   0.42]
    """
    single = isinstance(names, (str, dict)) or callable(names)
    functions: dict[str, Any] = {}
    for each in [names] if single else names:
        name, function = _named(each), get(each)
        if functions.get(name) is not function:
            # Two functions without a name of their own are two.
            functions[naming.unique(name, functions)] = function
    if not functions:
        raise ValueError("compare: names: expected at least one activation, received none")
    try:
        low, high = (number(bound, "compare", "x_range") for bound in x_range)
    except TypeError:
        low = high = 0.0
    if not low < high:
        raise ValueError(f"compare: x_range: expected two numbers, the first the less, received {x_range!r}")
    n = integer(n, "compare", "n", least=2)
    elements = integer(elements, "compare", "elements", least=1)
    if (model is None) != (data is None):
        lacking = "data" if data is None else "model"
        raise ValueError(f"compare: {lacking}: expected model and data together, received None")
    x = np.linspace(low, high, n, dtype=np.float32)
    curves = [_curve(name, function, x) for name, function in functions.items()]
    seconds = [_seconds(function, elements, low, high) for function in functions.values()]
    dead = None if model is None else _dead(functions, model, data)
    outputs, gradients = (np.stack(part) for part in zip(*curves, strict=True))
    return Comparison(list(functions), x, outputs, gradients, np.array(seconds), elements, dead)


def _named(activation: Any) -> str:
    if isinstance(activation, str):
        return activation
    return getattr(activation, "__name__", None) or getattr(activation, "name", None) or str(activation)


def _gradient(function: Any, x: Any) -> tuple[Any, Any]:
    with GradientTape() as tape:
        tape.watch(x)
        y = function(x)
        total = raw.sum(y)
    return y, tape.gradient(total, x)


def _curve(name: str, function: Any, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    try:
        y, gradient = _gradient(function, as_float(x))
        # What depends on all elements changes when there are twice as many.
        twice = function(as_float(np.concatenate([x, x]))).numpy()
    except ValueError as error:
        # Layers for images say which axes they want.
        raise ValueError(
            f"compare: names: expected activations that compute element by element, received {name!r}: "
            f"{error}"
        ) from error
    if tuple(y.shape) != x.shape or not np.allclose(twice[: len(x)], y.numpy(), rtol=1e-3, atol=1e-6):
        raise ValueError(
            f"compare: names: expected activations that compute element by element, received {name!r}"
        )
    return y.numpy(), np.zeros_like(x) if gradient is None else gradient.numpy()


def _seconds(function: Any, elements: int, low: float, high: float) -> tuple[float, float]:
    """What a recorded call takes, and one with the gradient: the quickest of some."""
    x = as_float(np.random.default_rng(0).uniform(low, high, elements).astype(np.float32))
    found = []
    for call in (lambda x: (function(x),), lambda x: _gradient(function, x)):
        recorded = tracing.function(call)
        recorded(x)
        best = np.inf
        for _ in range(_CALLS):
            start = time.perf_counter()
            [result.numpy() for result in recorded(x) if result is not None]
            best = min(best, time.perf_counter() - start)
        found.append(best)
    return found[0], found[1]


def _dead(functions: dict[str, Any], model: Any, data: Any) -> dict[str, dict[str, np.ndarray]]:
    """For each activation and layer, which units have no gradient anywhere in the data."""
    alive: dict[str, dict[str, np.ndarray]] = {name: {} for name in functions}

    def note(label: str, layer: Any, received: Any) -> None:
        x = as_float(received).numpy().astype(np.float32)
        first = getattr(layer, "data_format", None) == "channels_first" and x.ndim > 2
        rows = np.moveaxis(x, 1, -1) if first else x
        rows = np.ascontiguousarray(rows.reshape(-1, rows.shape[-1]))
        for name, function in functions.items():
            gradient = _gradient(function, as_float(rows))[1]
            steep = (np.abs(gradient.numpy()) >= _DEAD).any(0)
            found = alive[name]
            found[label] = found.get(label, False) | steep

    array = np.asarray(data)
    if array.ndim == 0 or not len(array):
        raise ValueError("compare: data: expected an array of samples, received none")
    with _listening(model, note):
        for start in range(0, len(array), _BATCH):
            model(array[start : start + _BATCH], training=False)
    if not all(alive.values()):
        raise ValueError(
            f"compare: model: expected layers with activations, received {model.name!r}, which has none"
        )
    return {name: {layer: ~units for layer, units in found.items()} for name, found in alive.items()}


@contextmanager
def _listening(model: Any, note: Any) -> Iterator[None]:
    """While it lasts, what activations of a model receive is noted."""
    before: list[tuple[Any, Any, Any]] = []
    apart = []
    try:
        for path, layer in _layers_of(model, ""):
            if getattr(layer, "_is_activation", False):
                layer.call = _noting(path, layer, layer.call, note)
                apart.append(layer)
                continue
            places = list(_places_of(layer))
            for number, (holder, key) in enumerate(places, 1):
                label = path if len(places) == 1 else f"{path}/activation{number}"
                before.append((holder, key, holder[key]))
                holder[key] = _noting(label, layer, holder[key], note)
        yield
    finally:
        for holder, key, function in before:
            holder[key] = function
        for layer in apart:
            del layer.call


def _layers_of(model: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The layers inside of a model, at any depth, with their paths."""
    for layer in model._sublayers():
        inside = f"{path}/{layer.name}" if path else layer.name
        yield inside, layer
        yield from _layers_of(layer, inside)


def _places_of(layer: Any) -> Iterator[tuple[Any, Any]]:
    """Where a layer keeps its activation, each as a container and a key.

    Blocks have a function of each step in lists, beside the argument from which it came.
    """
    function = getattr(layer, "activation", None)
    if not callable(function) or function in _NOT_OF_UNITS:
        return
    attributes = vars(layer)
    if "_kept" not in attributes:
        yield attributes, "activation"
        return
    pending: list[tuple[Any, Any]] = [(attributes, key) for key in attributes if key != "activation"]
    while pending:
        holder, key = pending.pop(0)
        value = holder[key]
        if value is function:
            yield holder, key
        elif isinstance(value, list):
            pending += [(value, k) for k in range(len(value))]


def _noting(label: str, layer: Any, function: Any, note: Any) -> Any:
    def noted(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        note(label, layer, inputs)
        return function(inputs, *args, **kwargs)

    return noted

"""The classes of constraints: projections applied to weights after each update."""

from __future__ import annotations

from typing import Any

from cnnrs.base.arguments import NamedArguments, number
from cnnrs.ops import raw

__all__ = ["Constraint", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"]

_EPSILON = 1e-7


def _norm(w: Any, axis: Any) -> Any:
    axes = [axis] if isinstance(axis, int) else list(axis)
    square = raw.sum(raw.square(w), axes=axes, keepdims=True)
    # The root has no derivative at 0: there the norm counts as constant.
    zero = raw.equal(square, 0.0)
    return raw.where(zero, 0.0, raw.sqrt(raw.where(zero, 1.0, square)))


class Constraint(NamedArguments):
    """Base class: subclasses define `__call__(w) -> w` and `get_config()`.

    >>> from cnnrs import constraints, ops
    >>> class AtMostOne(constraints.Constraint):
    ...     def __call__(self, w):
    ...         return ops.minimum(w, 1.0)
    >>> AtMostOne()([0.5, 2.0]).tolist()
    [0.5, 1.0]
    """

    def __call__(self, w: Any) -> Any:
        """Weights that satisfy the constraint; `w` itself in the base class."""
        return w

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Constraint:
        """The constraint of a config."""
        return cls(**config)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{k}={v!r}" for k, v in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


class NonNeg(Constraint):
    """Negative weights become 0.

    >>> from cnnrs import constraints
    >>> constraints.NonNeg()([-1.0, 2.0]).tolist()
    [0.0, 2.0]
    """

    def __call__(self, w: Any) -> Any:
        return raw.relu(w)


class MaxNorm(Constraint):
    """Norms along `axis` are at most `max_value`: weights of a larger norm are made shorter.

    Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15,
    section 5.1, use it beside dropout.

    Args:
        max_value: The largest norm, at least 0.
        axis: Axis, or axes, along which norms are taken: 0 of a kernel of `Dense`, (inputs, outputs), so that
            each output has a norm; [0, 1, 2] of one of `Conv2D`, (height, width, channels, filters), so that
            each filter has one; [0, 1] of one of `DepthwiseConv2D`.

    Raises:
        ValueError: `max_value` is no number >= 0.

    >>> from cnnrs import constraints
    >>> [round(v, 4) for v in constraints.MaxNorm(1.0)([3.0, 4.0]).tolist()]
    [0.6, 0.8]
    """

    def __init__(self, max_value: float = 2, axis: Any = 0):
        number(max_value, self, "max_value", least=0)
        self.max_value, self.axis = max_value, axis

    def __call__(self, w: Any) -> Any:
        norm = _norm(w, self.axis)
        return w * (raw.clip(norm, min=0.0, max=float(self.max_value)) / (norm + _EPSILON))

    def get_config(self) -> dict[str, Any]:
        return {"max_value": self.max_value, "axis": self.axis}


class UnitNorm(Constraint):
    """Norms along `axis` are 1.

    Args:
        axis: Axis, or axes, along which norms are taken: 0 of a kernel of `Dense`, (inputs, outputs), so that
            each output has a norm; [0, 1, 2] of one of `Conv2D`, (height, width, channels, filters), so that
            each filter has one; [0, 1] of one of `DepthwiseConv2D`.

    >>> from cnnrs import constraints
    >>> [round(v, 4) for v in constraints.UnitNorm()([3.0, 4.0]).tolist()]
    [0.6, 0.8]
    """

    def __init__(self, axis: Any = 0):
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        return w / (_norm(w, self.axis) + _EPSILON)

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis}


class MinMaxNorm(Constraint):
    """Norms along `axis` are drawn into `min_value`..`max_value` at `rate`.

    Args:
        min_value: The least norm, at least 0.
        max_value: The largest norm, at least 0.
        rate: How far a norm outside goes in one step: 1 all the way.
        axis: As in `MaxNorm`.

    Raises:
        ValueError: A number is less than 0.

    >>> from cnnrs import constraints
    >>> [round(v, 4) for v in constraints.MinMaxNorm(0.5, 1.0)([3.0, 4.0]).tolist()]
    [0.6, 0.8]
    """

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Any = 0):
        for argument, value in (("min_value", min_value), ("max_value", max_value), ("rate", rate)):
            number(value, self, argument, least=0)
        self.min_value, self.max_value, self.rate, self.axis = min_value, max_value, rate, axis

    def __call__(self, w: Any) -> Any:
        norm = _norm(w, self.axis)
        clipped = raw.clip(norm, min=float(self.min_value), max=float(self.max_value))
        wanted = self.rate * clipped + (1 - self.rate) * norm
        return w * (wanted / (norm + _EPSILON))

    def get_config(self) -> dict[str, Any]:
        return {
            "min_value": self.min_value,
            "max_value": self.max_value,
            "rate": self.rate,
            "axis": self.axis,
        }

"""The classes of regularizers: penalties on weights that are added to the loss."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.base.arguments import NamedArguments, number
from cnnrs.ops import dispatch, raw

__all__ = ["L1", "L1L2", "L2", "OrthogonalRegularizer", "Regularizer"]


class Regularizer(NamedArguments):
    """Base class: subclasses define `__call__(x) -> scalar` and `get_config()`.

    >>> from cnnrs import ops, regularizers
    >>> class Largest(regularizers.Regularizer):
    ...     def __call__(self, x):
    ...         return 0.5 * ops.max(ops.abs(x))
    >>> float(Largest()([1.0, -2.0]))
    1.0
    """

    def __call__(self, x: Any) -> Any:
        """The penalty of weights `x`, a scalar; 0 in the base class."""
        return 0.0

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Regularizer:
        """The regularizer of a config."""
        return cls(**config)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{k}={v!r}" for k, v in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


class L1L2(Regularizer):
    """`l1 · Σ|x| + l2 · Σx²`.

    >>> from cnnrs import regularizers
    >>> float(regularizers.L1L2(l1=1.0, l2=0.5)([1.0, -2.0]))
    5.5
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0):
        self.l1 = number(0.0 if l1 is None else l1, self, "l1", least=0)
        self.l2 = number(0.0 if l2 is None else l2, self, "l2", least=0)

    def __call__(self, x: Any) -> Any:
        x = dispatch.as_tensor(x)
        penalty: Any = 0.0
        if self.l1:
            penalty = self.l1 * raw.sum(raw.abs(x)) + penalty
        if self.l2:
            penalty = self.l2 * raw.sum(raw.square(x)) + penalty
        return penalty

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2}


class L1(L1L2):
    """`l1 · Σ|x|`.

    >>> from cnnrs import regularizers
    >>> float(regularizers.L1(0.5)([1.0, -2.0]))
    1.5
    """

    def __init__(self, l1: float = 0.01):
        super().__init__(l1=l1)

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1}


class L2(L1L2):
    """`l2 · Σx²`.

    >>> from cnnrs import regularizers
    >>> float(regularizers.L2(0.5)([1.0, -2.0]))
    2.5
    """

    def __init__(self, l2: float = 0.01):
        super().__init__(l2=l2)

    def get_config(self) -> dict[str, Any]:
        return {"l2": self.l2}


class OrthogonalRegularizer(Regularizer):
    """`factor` times the mean of `|cos|` between each two rows, or columns, of a matrix.

    A kernel of a convolution, of shape (height, width, channels, filters), is taken as the matrix of shape
    (height · width · channels, filters): with `mode="columns"` its filters are driven apart, which keeps
    gradients of deep networks in size and makes filters learn different things (Bansal, Chen and Wang 2018,
    "Can We Gain More from Orthogonality Regularizations in Training Deep CNNs?", arXiv:1810.09102). Keras
    takes matrices alone. A kernel of a depthwise convolution has a column for each `depth_multiplier`.

    Args:
        factor: What the mean is multiplied by, at least 0.
        mode: "rows" or "columns"; "columns" for kernels of `Conv2D` and `Dense`, whose outputs are columns.

    Raises:
        ValueError: An argument is none of these; or, at the call, the weights have fewer than two axes.

    >>> from cnnrs import regularizers
    >>> float(regularizers.OrthogonalRegularizer(1.0)([[1.0, 0.0], [2.0, 0.0]]))
    1.0
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows"):
        self.factor = number(factor, self, "factor", least=0)
        if mode not in ("rows", "columns"):
            raise ValueError(f"{type(self).__name__}: mode: expected 'rows' or 'columns', received {mode!r}")
        self.mode = mode

    def __call__(self, x: Any) -> Any:
        x = dispatch.as_float(x)
        if len(x.shape) < 2:
            raise ValueError(
                f"{type(self).__name__}: expected weights of two axes, or the kernel of a convolution, "
                f"received the shape {tuple(x.shape)}"
            )
        x = ops.reshape(x, (-1, x.shape[-1])) if len(x.shape) > 2 else x
        x = x if self.mode == "rows" else ops.transpose(x)
        count = int(x.shape[0])
        square = raw.sum(raw.square(x), axes=[1], keepdims=True)
        x = x * raw.rsqrt(raw.maximum(square, 1e-12))
        others = 1.0 - ops.eye(count, dtype=x.dtype)
        pairs = max(count * (count - 1), 1)
        return raw.sum(raw.abs(ops.matmul(x, ops.transpose(x)) * others)) * (self.factor / pairs)

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.factor, "mode": self.mode}

"""Normalisation of each element by its neighbours among the channels."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.base.arguments import integer, number
from cnnrs.base.dtypes import dtype_name
from cnnrs.layers.base import Layer
from cnnrs.layers.input_spec import InputSpec
from cnnrs.ops.spatial import image_data_format

__all__ = ["LocalResponseNormalization"]


def _inverse_power(x: Any, beta: float) -> Any:
    """`x ** -beta`, by roots where that is a quarter: with the 0.75 of the paper in half the time of
    `power`."""
    if beta not in (0.25, 0.5, 0.75):
        return ops.power(x, -beta)
    root = ops.rsqrt(x)
    return {0.25: ops.sqrt(root), 0.5: root, 0.75: root * ops.sqrt(root)}[beta]


class LocalResponseNormalization(Layer):
    """Divides each element by a power of the sum of squares of its neighbours among the channels.

    `b_i = a_i / (k + alpha * sum_j a_j ** 2) ** beta`, where j goes over the `size` channels around i that
    there are:
    section 3.3 of Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional neural
    networks,
    NIPS 2012, whose constants are the defaults. AlexNet and GoogLeNet have it; batch normalisation has
    replaced it.
    Where others divide `alpha` by `size`, as Caffe and PyTorch do, `alpha` is `size` times as large for them.

    Args:
        size: How many channels there are in a window, odd.
        alpha: Factor of the sum.
        beta: The power.
        k: What is added to the sum, above 0.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        **kwargs: `name` and `dtype`.

    Input shape:
        (batch, height, width, channels), or (batch, channels, height, width).

    Output shape:
        That of the input.

    Raises:
        ValueError: `size` is even, or a number is out of range.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> x = np.array([[[[1.0, 2.0, 3.0]]]])
    >>> y = layers.LocalResponseNormalization(size=3, alpha=1.0, beta=1.0, k=1.0)(x)
    >>> y.numpy().astype("float64").round(3).tolist()
    [[[[0.167, 0.133, 0.214]]]]
    """

    def __init__(
        self,
        size: int = 5,
        alpha: float = 1e-4,
        beta: float = 0.75,
        k: float = 2.0,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.size = integer(size, self.name, "size", least=1)
        if self.size % 2 == 0:
            raise ValueError(f"{self.name}: size: expected an odd number, received {size!r}")
        self.alpha = number(alpha, self.name, "alpha", least=0)
        self.beta = number(beta, self.name, "beta", least=0)
        self.k = number(k, self.name, "k", above=0)
        self.data_format = image_data_format(data_format, self.name)
        self.input_spec = InputSpec(ndim=4)
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        axis = 1 if self.data_format == "channels_first" else 3
        reach, channels = self.size // 2, inputs.shape[axis]
        padding = [(0, 0)] * 4
        padding[axis] = (reach, reach)
        # Sums of squares are beyond what 16 bits hold.
        x = ops.cast(inputs, "float32") if dtype_name(inputs.dtype) in ("float16", "bfloat16") else inputs
        squares = ops.pad(ops.square(x), padding)
        # Sums of few shifted tensors are one pointwise kernel.
        total = sum(
            squares[(slice(None),) * axis + (slice(shift, shift + channels),)] for shift in range(self.size)
        )
        return ops.cast(x * _inverse_power(self.k + self.alpha * total, self.beta), inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        own = {"size": self.size, "alpha": self.alpha, "beta": self.beta, "k": self.k}
        return {**super().get_config(), **own, "data_format": self.data_format}

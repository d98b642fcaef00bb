"""Kernels with mean 0 and variance 1."""

from __future__ import annotations

import math
from typing import Any

from cnnrs import ops
from cnnrs.base.arguments import number
from cnnrs.layers.convolving import Conv, ConvTranspose, DepthwiseConv
from cnnrs.layers.core import Dense
from cnnrs.layers.wrapping import Wrapper

__all__ = ["WeightStandardization"]


class WeightStandardization(Wrapper):
    """A convolution or dense layer whose kernel has mean 0 and variance 1 for each output channel.

    The kernel that is trained is the layer's own; computed is with
    `(kernel - mean) / sqrt(variance + epsilon)`, where mean and variance are those of all weights that one
    output channel sees. With group normalisation behind it, small batches train as large ones do with batch
    normalisation. In inference the standardised kernel is a constant: it is made once for many calls, and
    batch normalisation behind it is folded into it.

    Args:
        layer: A layer of `Conv1D` to `Conv3D`, `DepthwiseConv1D`, `DepthwiseConv2D`, `Conv1DTranspose` to
            `Conv3DTranspose`, or `Dense`.
        epsilon: Added to the variance.

    Input and output shapes, and weights, are those of the layer.

    Raises:
        ValueError: The layer is another one, or an output channel sees one weight only.

    Reference:
        Qiao, Wang, Liu, Shen and Yuille 2019, "Micro-batch training with batch-channel normalization and
        weight standardization", arXiv:1903.10520, equations 6 to 8.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layer = layers.WeightStandardization(layers.Conv2D(8, 3))
    >>> layer(np.zeros((1, 5, 5, 4))).shape
    (1, 3, 3, 8)
    >>> kernel = layer.standardized_kernel().numpy()
    >>> bool(abs(kernel.mean((0, 1, 2))).max() < 1e-6), bool(abs(kernel.var((0, 1, 2)) - 1).max() < 1e-2)
    (True, True)
    """

    # Variances of kernels are smaller than 16 bits hold.
    _widens = True

    def __init__(self, layer: Any, epsilon: float = 1e-5, **kwargs: Any):
        super().__init__(layer, **kwargs)
        if not isinstance(layer, (Conv, ConvTranspose, DepthwiseConv, Dense)):
            raise ValueError(
                f"{self.name}: layer: expected a convolution, depthwise or transposed ones included, or a "
                f"Dense, received {type(layer).__name__}"
            )
        self.epsilon = number(epsilon, self.name, "epsilon", above=0)

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        self.input_spec = self.layer.input_spec
        kernel = self.layer.kernel
        if math.prod(kernel.shape[a] for a in self._axes(len(kernel.shape))) < 2:
            raise ValueError(
                f"{self.name}: expected several weights for each output channel, received a kernel of shape "
                f"{tuple(kernel.shape)}"
            )

    def _axes(self, rank: int) -> list[int]:
        """The axes of a kernel that one output channel sees."""
        if isinstance(self.layer, DepthwiseConv):
            return list(range(rank - 2))
        output = rank - 2 if isinstance(self.layer, ConvTranspose) else rank - 1
        return [a for a in range(rank) if a != output]

    def standardized_kernel(self) -> Any:
        """The kernel with which the layer computes."""
        kernel = self.layer.kernel.value
        mean, variance = ops.moments(kernel, self._axes(kernel.ndim), keepdims=True)
        return (kernel - mean) * ops.rsqrt(variance + self.epsilon)

    def _casts_inputs(self) -> bool:
        return False

    def call(self, inputs: Any, training: Any = None) -> Any:
        kernel, dtype = self.standardized_kernel(), self.layer._working_dtype()
        # The layer itself, whose kernel is another: the layer stays as it is for calls on other threads.
        twin = object.__new__(type(self.layer))
        vars(twin).update(vars(self.layer))
        kept = {"kernel": kernel if dtype is None else ops.cast(kernel, dtype)}
        vars(twin).update(kept, _keep_loss=self.layer._keep_loss)
        return twin._compute(training, (inputs,), {})

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon}

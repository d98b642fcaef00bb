"""Attention of each place to all places."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.base.arguments import flag
from cnnrs.layers.arguments import positive
from cnnrs.layers.blocks.norms import make_norm, norm_argument
from cnnrs.layers.composed import ComposedLayer
from cnnrs.layers.convolutional import Conv2D
from cnnrs.layers.pooling import MaxPooling2D

__all__ = ["NonLocal"]

_MODES = ("embedded_gaussian", "gaussian", "dot_product", "concatenation")


class NonLocal(ComposedLayer):
    """Feature maps, to each place of which is added what fits it of all places.

    `zᵢ = W yᵢ + xᵢ` with `yᵢ = Σⱼ f(xᵢ, xⱼ) g(xⱼ) / C(x)`, where j runs over all places. θ, φ, g and W are
    1×1 convolutions. By mode the pairwise function f and the divisor C are

    - "embedded_gaussian": `exp(θ(xᵢ)·φ(xⱼ))`, and the sum of f over j: a softmax, the self-attention of
      "Attention Is All You Need" with one head and without its scale;
    - "gaussian": `exp(xᵢ·xⱼ)`, and the sum of f over j;
    - "dot_product": `θ(xᵢ)·φ(xⱼ)`, and the number of places;
    - "concatenation": `relu(w·[θ(xᵢ), φ(xⱼ)])`, and the number of places.

    The scale of `norm` behind W starts at 0, or W itself does where there is no norm: the layer starts as the
    identity, and can be put into a trained network.

    Args:
        filters: Channels of θ, φ and g; None for half of the input's, at least 1.
        mode: One of the above.
        sub_sample: Whether φ and g are pooled by 2 × 2, which leaves a quarter of the pairs.
        norm: What stands behind W: "batch", as in the paper, or another name or layer, as for `BasicBlock`;
            None for none.
        **kwargs: `kernel_initializer` and `kernel_regularizer`, as for `Conv2D`; `data_format`,
            "channels_last" or "channels_first"; and arguments of every layer.

    Input and output shape: (batch, height, width, channels), or channels first. The scores take
    `(height · width)²` numbers for each sample.

    Raises:
        ValueError: An argument is none of the above, or the number of channels is not known.

    Reference:
        Wang, Girshick, Gupta and He 2017, "Non-local Neural Networks", arXiv:1711.07971, section 3.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> x = np.random.default_rng(0).normal(size=(2, 6, 6, 8)).astype("float32")
    >>> bool((layers.NonLocal()(x).numpy() == x).all())
    True
    """

    def __init__(
        self,
        filters: int | None = None,
        mode: str = "embedded_gaussian",
        sub_sample: bool = False,
        norm: Any = "batch",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if mode not in _MODES:
            raise ValueError(f"{self.name}: mode: expected one of {', '.join(_MODES)}, received {mode!r}")
        self._keep(
            filters=None if filters is None else positive(filters, self.name, "filters"),
            mode=mode,
            sub_sample=flag(sub_sample, self.name, "sub_sample"),
            norm=norm_argument(norm, self.name),
        )

    def _make_layers(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        filters = self.filters or max(1, channels // 2)
        self.g = self._conv(filters, "g")
        if self.mode != "gaussian":
            self.theta = self._conv(filters, "theta")
            self.phi = self._conv(filters, "phi")
        if self.mode == "concatenation":
            # The halves of w, for θ and for φ: the score of a pair is a sum of two numbers.
            self.score_kernel = self.add_weight(
                shape=(filters, 2), initializer=self.kernel_initializer, name="score_kernel"
            )
        first: dict[str, Any] = {"gamma_initializer": "zeros"}
        self.out_norm = make_norm(self.norm, channels, self._axis, **first, **self._inside("out_norm"))
        start = {} if self.out_norm is not None else {"kernel_initializer": "zeros"}
        self.out = self._conv(channels, "out", **start)
        self.pool = None
        if self.sub_sample:
            self.pool = MaxPooling2D(2, data_format="channels_last", **self._inside("pool"))

    def _conv(self, filters: int, name: str, **others: Any) -> Conv2D:
        return Conv2D(
            filters, 1, data_format="channels_last", **{**self._weights(), **others, **self._inside(name)}
        )

    def _rows(self, maps: Any, channels: int, is_pooled: bool = True) -> Any:
        """Places as rows of a matrix, after pooling where that is asked for."""
        if is_pooled and self.pool is not None:
            maps = self.pool(maps)
        batch, height, width, _ = maps.shape
        return ops.reshape(maps, (batch, height * width, channels))

    def call(self, inputs: Any) -> Any:
        maps = inputs if self.data_format == "channels_last" else ops.moveaxis(inputs, 1, -1)
        filters = self.g.filters
        values = self._rows(self.g(maps), filters)
        if self.mode == "gaussian":
            queries = self._rows(maps, maps.shape[-1], False)
            keys = self._rows(maps, maps.shape[-1])
        else:
            queries = self._rows(self.theta(maps), filters, False)
            keys = self._rows(self.phi(maps), filters)
        weights = self._pairs(queries, keys)
        found = ops.reshape(ops.matmul(weights, values), (*maps.shape[:-1], filters))
        found = self.out(found)
        if self.data_format == "channels_first":
            found = ops.moveaxis(found, -1, 1)
        if self.out_norm is not None:
            found = self.out_norm(found)
        return inputs + found

    def _pairs(self, queries: Any, keys: Any) -> Any:
        """f / C, of shape (batch, queries, keys)."""
        if self.mode == "concatenation":
            halves = ops.convert_to_tensor(self.score_kernel)
            of_queries = ops.matmul(queries, halves[:, :1])
            of_keys = ops.matmul(keys, halves[:, 1:])
            scores = ops.relu(of_queries + ops.swapaxes(of_keys, 1, 2))
        else:
            scores = ops.matmul(queries, ops.swapaxes(keys, 1, 2))
        if "gaussian" in self.mode and scores.shape[-1] == 1:
            return ops.ones_like(scores)  # a map of one place, of which `softmax` warns
        if "gaussian" in self.mode:
            return ops.softmax(scores, -1)
        return scores / max(1, keys.shape[1])

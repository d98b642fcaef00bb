"""A convolution with what stands around it: norm, activation, attention, what training drops."""

from __future__ import annotations

from typing import Any

from cnnrs.base.arguments import flag, number
from cnnrs.layers.arguments import positive
from cnnrs.layers.blocks.base import Block
from cnnrs.layers.composed import in_turn
from cnnrs.layers.dropping import DropBlock2D
from cnnrs.layers.regularization import Dropout
from cnnrs.ops.spatial import spatial_numbers

__all__ = ["AttentionConvBlock", "ConvBlock", "RegularizedConvBlock"]

_COMMON = ("kernel_size", "strides", "dilation_rate")


class ConvBlock(Block):
    """Convolution, normalisation, activation.

    Args:
        filters: Output channels.
        kernel_size: Height and width of the window, a number or a pair.
        strides: Step of the window, a number or a pair.
        dilation_rate: Distance between the elements of the window, a number or a pair.
        groups: Groups of channels that are convolved separately.
        padding: "same" or "valid".
        use_bias: Whether the convolution has a bias; None: if there is no norm.
        **kwargs: As for `BasicBlock`.

    Input shape: (batch, height, width, channels), or channels first.

    Raises:
        ValueError: An argument is none of the above, or the number of channels is not known.

    Reference:
        Ioffe and Szegedy 2015, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal
        Covariate Shift", arXiv:1502.03167, section 3.2: the norm stands before the activation.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> block = layers.ConvBlock(32, 3, strides=2, norm="group", activation="silu")
    >>> block(np.zeros((2, 8, 8, 3))).shape
    (2, 4, 4, 32)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any = 3,
        strides: Any = 1,
        dilation_rate: Any = 1,
        groups: int = 1,
        padding: str = "same",
        use_bias: bool | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if padding not in ("same", "valid"):
            raise ValueError(f"{self.name}: padding: expected 'same' or 'valid', received {padding!r}")
        given = (kernel_size, strides, dilation_rate)
        windows = {
            argument: tuple(spatial_numbers(value, f"{self.name}: {argument}", 2, 1))
            for argument, value in zip(_COMMON, given, strict=True)
        }
        self._keep(
            filters=positive(filters, self.name, "filters"),
            **windows,
            groups=positive(groups, self.name, "groups"),
            padding=padding,
            use_bias=None if use_bias is None else flag(use_bias, self.name, "use_bias"),
        )

    def _make_layers(self, input_shape: Any) -> None:
        bias = {} if self.use_bias is None else {"use_bias": self.use_bias}
        self.conv = self._conv(
            self.filters,
            self.kernel_size,
            "conv",
            self.strides,
            dilation_rate=self.dilation_rate,
            groups=self.groups,
            padding=self.padding,
            **bias,
        )
        self.norm_layer = self._norm(self.filters, "norm_layer")
        self.activation_layer = self._act("activation_layer")

    def call(self, inputs: Any) -> Any:
        return in_turn(inputs, self.conv, self.norm_layer, self.activation_layer)


class _BesideShortcut(ConvBlock):
    """A `ConvBlock` to which, if `residual`, the input is added."""

    def _keep_residual(self, residual: Any) -> None:
        self._keep(residual=flag(residual, self.name, "residual"))
        if self.residual and self.padding == "valid" and max(self.kernel_size) > 1:
            raise ValueError(
                f"{self.name}: residual: expected False with padding 'valid', which changes the size"
            )

    def _make_shortcut(self, input_shape: Any) -> None:
        self.projection = self.projection_norm = None
        changes = self._channels(input_shape) != self.filters or max(self.strides) > 1
        if self.residual and changes:
            self.projection = self._conv(self.filters, 1, "projection", self.strides)
            self.projection_norm = self._norm(self.filters, "projection_norm")

    def _with_shortcut(self, x: Any, inputs: Any) -> Any:
        return x + in_turn(inputs, self.projection, self.projection_norm) if self.residual else x


class AttentionConvBlock(_BesideShortcut):
    """Convolution, normalisation, activation, attention.

    Args:
        filters, kernel_size, strides: As for `ConvBlock`.
        attention: "cbam", "se", "eca", "channel", "spatial", a layer that is copied, a function that makes
            one; None for none.
        residual: Whether the input is added behind it, by a 1 × 1 convolution where the shape changes.
        **kwargs: Further arguments of `ConvBlock`.

    Raises:
        ValueError: An argument is none of the above, or the number of channels is not known.

    Reference:
        Woo, Park, Lee and Kweon 2018, "CBAM: Convolutional Block Attention Module", arXiv:1807.06521.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.AttentionConvBlock(32, attention="cbam")(np.zeros((2, 8, 8, 3))).shape
    (2, 8, 8, 32)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any = 3,
        strides: Any = 1,
        attention: Any = "cbam",
        residual: bool = False,
        **kwargs: Any,
    ):
        super().__init__(filters, kernel_size, strides, **kwargs)
        self._keep_attention(attention)
        self._keep_residual(residual)

    def _make_layers(self, input_shape: Any) -> None:
        super()._make_layers(input_shape)
        self.attention_layer = self._attend()
        self._make_shortcut(input_shape)

    def call(self, inputs: Any) -> Any:
        return self._with_shortcut(in_turn(super().call(inputs), self.attention_layer), inputs)


class RegularizedConvBlock(_BesideShortcut):
    """Convolution, normalisation, activation, and what training drops of the result.

    Args:
        filters, kernel_size, strides: As for `ConvBlock`.
        drop_block: Share of the places that `DropBlock2D` leaves out in training.
        block_size: Sides of its blocks.
        dropout: Share of the elements that `Dropout` leaves out in training.
        drop_path: Share of the samples for which training leaves out the convolution, by `StochasticDepth`;
            it needs `residual`.
        residual: Whether the input is added behind it, by a 1 × 1 convolution where the shape changes.
        seed: Integer for what is dropped; None draws one.
        **kwargs: Further arguments of `ConvBlock`, as `norm`, `activation` and `kernel_regularizer`.

    Raises:
        ValueError: An argument is none of the above, the blocks are larger than the map, or the number of
            channels is not known.

    Reference:
        Ghiasi, Lin and Le 2018, "DropBlock: A regularization method for convolutional networks",
        arXiv:1810.12890. Huang, Sun, Liu, Sedra and Weinberger 2016, "Deep Networks with Stochastic Depth",
        arXiv:1603.09382.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> block = layers.RegularizedConvBlock(32, drop_block=0.1, block_size=3, residual=True)
    >>> block(np.zeros((2, 8, 8, 3)), training=True).shape
    (2, 8, 8, 32)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any = 3,
        strides: Any = 1,
        drop_block: float = 0.0,
        block_size: Any = 7,
        dropout: float = 0.0,
        drop_path: float = 0.0,
        residual: bool = False,
        seed: Any = None,
        **kwargs: Any,
    ):
        super().__init__(filters, kernel_size, strides, **kwargs)
        self._keep(
            drop_block=number(drop_block, self.name, "drop_block", least=0, below=1),
            block_size=tuple(spatial_numbers(block_size, f"{self.name}: block_size", 2, 1)),
            dropout=number(dropout, self.name, "dropout", least=0, below=1),
        )
        self._keep_drop_path(drop_path, seed)
        self._keep_residual(residual)
        if self.drop_path and not self.residual:
            raise ValueError(
                f"{self.name}: drop_path: expected 0 without a shortcut, received {drop_path}; residual=True "
                "adds one"
            )

    def _make_layers(self, input_shape: Any) -> None:
        super()._make_layers(input_shape)
        self.drop_block_layer = self.dropout_layer = None
        if self.drop_block:
            self.drop_block_layer = DropBlock2D(
                self.drop_block,
                self.block_size,
                data_format=self.data_format,
                seed=self.seed,
                **self._inside("drop_block_layer"),
            )
        if self.dropout:
            self.dropout_layer = Dropout(self.dropout, seed=self.seed, **self._inside("dropout_layer"))
        self.stochastic_depth = self._drop()
        self._make_shortcut(input_shape)

    def call(self, inputs: Any) -> Any:
        x = in_turn(super().call(inputs), self.drop_block_layer, self.dropout_layer, self.stochastic_depth)
        return self._with_shortcut(x, inputs)

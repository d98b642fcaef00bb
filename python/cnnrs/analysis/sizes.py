"""Sizes of results of convolutions and poolings, and the costs of dense and convolutional layers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from cnnrs.analysis.tables import table
from cnnrs.base.arguments import flag, integer, named
from cnnrs.charts import Plotted

__all__ = ["LayerCost", "ParameterComparison", "compare_parameters", "output_size"]


@named
def output_size(
    input: Any,
    kernel_size: Any,
    strides: Any = 1,
    padding: Any = "valid",
    dilation_rate: Any = 1,
    *,
    transposed: bool = False,
    output_padding: Any = None,
    ceil_mode: bool = False,
) -> Any:
    """The extent of what a convolution, a pooling or a transposed convolution makes of an image.

    With n elements, k in a window, s apart, d the dilation and p the padding at both ends together, a window
    spans `e = (k - 1) d + 1`, and there are `floor((n + p - e) / s) + 1` of them; with padding "same",
    `ceil(n / s)`. A transposed convolution goes the other way: `(n - 1) s + e - p`; "same" gives `n s`, and
    "valid" `n s + max(e - s, 0)`.

    Args:
        input: Extent of the image, or several.
        kernel_size: Elements of a window.
        strides: Step between windows.
        padding: "valid", "same", "causal", the padding at each end, or a pair (before, after).
        dilation_rate: Step between elements of a window.
        transposed: Whether it is a transposed convolution.
        output_padding: What a transposed convolution adds at the end.
        ceil_mode: Whether a pooling counts windows that begin inside and end outside, if rows are left over.

    Returns:
        An integer, or a tuple for several extents. Arguments that are one number stand for all of them.

    Raises:
        ValueError: The window does not fit, or an argument is none of these.

    Reference: V. Dumoulin, F. Visin (2016), "A guide to convolution arithmetic for deep learning",
    arXiv:1603.07285.

    >>> import cnnrs
    >>> cnnrs.output_size(224, 7, strides=2, padding=3)
    112
    >>> cnnrs.output_size((28, 32), 5), cnnrs.output_size(7, 3, 2, "same", transposed=True)
    ((24, 28), 14)
    """
    owner = "output_size"
    transposed, ceil_mode = flag(transposed, owner, "transposed"), flag(ceil_mode, owner, "ceil_mode")
    if output_padding is not None and not transposed:
        raise ValueError(
            f"{owner}: output_padding: expected transposed=True with it, received {output_padding!r}"
        )
    if ceil_mode and (transposed or isinstance(padding, str) and padding != "valid"):
        raise ValueError(f"{owner}: ceil_mode: expected a pooling with padding 'valid' or numbers")
    several = isinstance(input, (tuple, list))
    extents = list(input) if several else [input]

    def each(value: Any, name: str, least: int) -> list[int]:
        values = list(value) if isinstance(value, (tuple, list)) else [value] * len(extents)
        if len(values) != len(extents):
            raise ValueError(f"{owner}: {name}: expected {len(extents)} integers, received {value!r}")
        return [integer(v, owner, name, least=least) for v in values]

    columns = [
        each(extents, "input", 1),
        each(kernel_size, "kernel_size", 1),
        each(strides, "strides", 1),
        each(dilation_rate, "dilation_rate", 1),
        [None] * len(extents) if output_padding is None else each(output_padding, "output_padding", 0),
        _paddings(padding, len(extents), owner),
    ]
    sizes = [
        _extent(n, k, s, d, extra, sides, transposed, ceil_mode)
        for n, k, s, d, extra, sides in zip(*columns, strict=True)
    ]
    return tuple(sizes) if several else sizes[0]


def _paddings(padding: Any, count: int, owner: str) -> list[Any]:
    """For each axis "same", "causal", or numbers before and after."""
    if isinstance(padding, str):
        if padding not in ("valid", "same", "causal"):
            raise ValueError(
                f"{owner}: padding: expected 'valid', 'same', 'causal', an integer or a pair, received "
                f"{padding!r}"
            )
        return [(0, 0) if padding == "valid" else padding] * count
    if isinstance(padding, (tuple, list)):
        pairs = list(padding)
        if all(isinstance(p, (tuple, list)) for p in pairs) and len(pairs) == count:
            pass
        elif len(pairs) == 2 and count == 1:
            pairs = [pairs]
        elif len(pairs) == count:
            pairs = [(p, p) for p in pairs]
        else:
            raise ValueError(f"{owner}: padding: expected {count} integers or pairs, received {padding!r}")
    else:
        pairs = [(padding, padding)] * count
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError(f"{owner}: padding: expected pairs (before, after), received {padding!r}")
    return [(integer(a, owner, "padding", least=0), integer(b, owner, "padding", least=0)) for a, b in pairs]


def _extent(
    n: int, k: int, s: int, d: int, extra: int | None, padding: Any, transposed: bool, ceil_mode: bool
) -> int:
    span = (k - 1) * d + 1
    if transposed:
        if padding == "causal":
            raise ValueError(
                "output_size: padding: expected 'valid', 'same' or numbers of a transposed convolution"
            )
        if padding == "same":
            size = n * s if extra is None else (n - 1) * s + span + extra - 2 * (span // 2)
        elif extra is None and padding == (0, 0):
            size = n * s + max(span - s, 0)
        else:
            size = (n - 1) * s + span + (extra or 0) - sum(padding)
        if extra is not None and extra >= s:
            raise ValueError(f"output_size: output_padding: expected less than strides {s}, received {extra}")
    elif padding in ("same", "causal"):
        return -(-n // s)
    else:
        before, after = padding
        room = n + before + after - span
        if room < 0:
            raise ValueError(
                f"output_size: kernel_size: expected a window that fits {n} elements with padding "
                f"{padding}, received one that spans {span}"
            )
        size = room // s + 1
        # As in PyTorch, a window begins inside of the image or its padding before.
        if ceil_mode and room % s and size * s < n + before:
            size += 1
    if size < 1:
        raise ValueError(f"output_size: padding: expected a result of at least 1 element, received {padding}")
    return size


@dataclass(frozen=True)
class LayerCost:
    """What a layer costs.

    Attributes:
        layer: The kind of layer.
        parameters: Its weights.
        flops: Floating-point operations for one image; a multiply-add counts 2.
    """

    layer: str
    parameters: int
    flops: int


class ParameterComparison(Plotted):
    """Layers that map images of the same shapes, and what each costs. Printing it shows a table.

    `plot` draws the parameters as bars, on a logarithmic scale.

    Attributes:
        input_shape: Height, width and channels of the image.
        output_shape: Those of the result.
        rows: The layers.
    """

    def __init__(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...], rows: list[LayerCost]):
        self.input_shape = input_shape
        self.output_shape = output_shape
        self.rows = rows

    def __getitem__(self, layer: str) -> LayerCost:
        """That of a kind of layer: "dense", say.

        Raises:
            KeyError: There is none of that name.
        """
        for row in self.rows:
            if row.layer == layer:
                return row
        raise KeyError(
            f"compare_parameters: expected one of {[row.layer for row in self.rows]}, received {layer!r}"
        )

    def __repr__(self) -> str:
        base = self["convolution"]
        rows = [
            [row.layer, f"{row.parameters:,}", f"{row.flops:,}", f"{row.parameters / base.parameters:,.3g}"]
            for row in self.rows
        ]
        titles = ["Layer", "Parameters", "FLOPs", "× convolution"]
        return f"{self.input_shape} to {self.output_shape}\n{table(titles, rows, frozenset([1, 2, 3]))}"

    def _draw(self, ax: Any) -> None:
        ax.barh([row.layer for row in self.rows], [row.parameters for row in self.rows])
        ax.invert_yaxis()
        ax.set(xscale="log", xlabel="parameters", title=f"{self.input_shape} to {self.output_shape}")


@named
def compare_parameters(
    input_shape: Any,
    filters: int,
    kernel_size: Any = 3,
    strides: Any = 1,
    padding: str = "same",
    use_bias: bool = True,
) -> ParameterComparison:
    """What dense, unshared, convolutional and separable layers cost that map images of the same shapes.

    A dense layer connects each element with each; an unshared one sees windows, but has weights of its own at
    each place; a convolution shares them; a separable one treats places and channels one after the other.

    Args:
        input_shape: Height, width and channels of the image.
        filters: Channels of the result.
        kernel_size: Rows and columns of a window.
        strides: Step between windows.
        padding: "same" or "valid".
        use_bias: Whether the layers have biases.

    Returns:
        Parameters and operations for each.

    Raises:
        ValueError: `input_shape` has not three extents, or an argument is none of these.

    >>> import cnnrs
    >>> costs = cnnrs.analysis.compare_parameters((32, 32, 3), 64)
    >>> costs["dense"].parameters, costs["convolution"].parameters
    (201392128, 1792)
    """
    owner = "compare_parameters"
    if not isinstance(input_shape, (tuple, list)) or len(input_shape) != 3:
        raise ValueError(
            f"{owner}: input_shape: expected (height, width, channels), received {input_shape!r}"
        )
    height, width, channels = (integer(n, owner, "input_shape", least=1) for n in input_shape)
    filters, bias = integer(filters, owner, "filters", least=1), int(flag(use_bias, owner, "use_bias"))
    kernel = kernel_size if isinstance(kernel_size, (tuple, list)) else (kernel_size, kernel_size)
    rows, columns = output_size((height, width), kernel, strides, padding)
    window, places = math.prod(kernel), rows * columns
    inputs, outputs = height * width * channels, places * filters
    unshared = outputs * window * channels
    depthwise, pointwise = window * channels, channels * filters
    found = [
        LayerCost("dense", inputs * outputs + bias * outputs, 2 * inputs * outputs + bias * outputs),
        LayerCost("unshared convolution", unshared + bias * outputs, 2 * unshared + bias * outputs),
        LayerCost("convolution", window * channels * filters + bias * filters, 2 * unshared + bias * outputs),
        LayerCost(
            "separable convolution",
            depthwise + pointwise + bias * filters,
            2 * places * (depthwise + pointwise) + bias * outputs,
        ),
        LayerCost("1 × 1 convolution", pointwise + bias * filters, 2 * places * pointwise + bias * outputs),
    ]
    return ParameterComparison((height, width, channels), (rows, columns, filters), found)

"""Blocks of pixels as channels, and windows as columns."""

from __future__ import annotations

from typing import Any

from cnnrs.base.arguments import integer
from cnnrs.ops.dispatch import apply, op
from cnnrs.ops.spatial import _from_last, _to_last

__all__ = ["depth_to_space", "space_to_depth"]


@op
def depth_to_space(x: Any, block_size: int, data_format: str = "channels_last") -> Any:
    """Rearranges channels of images into blocks of pixels.

    It is the last step of sub-pixel convolution (Shi et al., arXiv:1609.05158), with the channels in the
    order (row in the block, column in the block, channel out). `space_to_depth` is its inverse.

    Args:
        x: Images, a tensor of shape (batch, height, width, channels); other dtypes are converted to float32.
            `channels` is a multiple of `block_size²`.
        block_size: Side of the blocks in pixels, an integer >= 1.
        data_format: "channels_last", the default, for the shapes given here, "channels_first" for images of
            shape (batch, channels, height, width) in and out; None means `config.image_data_format()`.

    Returns:
        float32 tensor of shape (batch, height * block_size, width * block_size, channels / block_size²).

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `x` does not have 4 axes, its channels do not fill whole blocks, `block_size` is no
            integer >= 1, or `data_format` is unknown.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> x = np.arange(4.0).reshape(1, 1, 1, 4)
        >>> ops.depth_to_space(x, 2)[0, :, :, 0].tolist()
        [[0.0, 1.0], [2.0, 3.0]]
    """
    x, first = _to_last(x, data_format)
    n, h, w, c = x.shape
    b = integer(block_size, "depth_to_space", "block_size", least=1)
    if c % (b * b):
        raise ValueError(
            f"depth_to_space: block_size: expected one whose square divides {c} channels, received {b}"
        )
    x = apply("reshape", x, shape=[n, h, w, b, b, c // (b * b)])
    x = apply("transpose", x, perm=[0, 1, 3, 2, 4, 5])
    return _from_last(apply("reshape", x, shape=[n, h * b, w * b, c // (b * b)]), first)


@op
def space_to_depth(x: Any, block_size: int, data_format: str = "channels_last") -> Any:
    """Rearranges blocks of pixels of images into channels.

    The new channels are in the order (row in the block, column in the block, channel). `depth_to_space` is
    its inverse.

    Args:
        x: Images, a tensor of shape (batch, height, width, channels); other dtypes are converted to float32.
            Height and width are multiples of `block_size`.
        block_size: Side of the blocks in pixels, an integer >= 1.
        data_format: "channels_last", the default, for the shapes given here, "channels_first" for images of
            shape (batch, channels, height, width) in and out; None means `config.image_data_format()`.

    Returns:
        float32 tensor of shape (batch, height / block_size, width / block_size, block_size² * channels).

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `x` does not have 4 axes, its height or width does not fall into whole blocks,
            `block_size` is no integer >= 1, or `data_format` is unknown.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> x = np.arange(4.0).reshape(1, 2, 2, 1)
        >>> ops.space_to_depth(x, 2).tolist()
        [[[[0.0, 1.0, 2.0, 3.0]]]]
    """
    x, first = _to_last(x, data_format)
    n, h, w, c = x.shape
    b = integer(block_size, "space_to_depth", "block_size", least=1)
    if h % b or w % b:
        raise ValueError(f"space_to_depth: block_size: expected a divisor of {h} x {w} pixels, received {b}")
    x = apply("reshape", x, shape=[n, h // b, b, w // b, b, c])
    x = apply("transpose", x, perm=[0, 1, 3, 2, 4, 5])
    return _from_last(apply("reshape", x, shape=[n, h // b, w // b, b * b * c]), first)

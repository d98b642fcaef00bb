"""Integer categories as vectors."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.layers.arguments import positive
from cnnrs.layers.base import Layer
from cnnrs.layers.preprocessing.encoding import encode

__all__ = ["CategoryEncoding"]


class CategoryEncoding(Layer):
    """Categories, given as integers, as vectors of zeros, ones and counts.

    Args:
        num_tokens: How many categories there are; they are the integers from 0 to less than that.
        output_mode: "one_hot" for a vector of each integer, with a last axis of extent 1 replaced;
            "multi_hot" for one of each sample, with 1 at the categories that occur in it; "count" for how
            often they do. Of samples with more than one axis, the first is reduced.
        sparse: False; there are no sparse tensors.

    >>> from cnnrs import layers
    >>> layers.CategoryEncoding(4, "count")([[0, 1, 1], [3, 3, 3]]).tolist()
    [[1.0, 2.0, 0.0, 0.0], [0.0, 0.0, 0.0, 3.0]]
    """

    def __init__(
        self,
        num_tokens: int | None = None,
        output_mode: str = "multi_hot",
        sparse: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if output_mode == "binary":
            output_mode = "multi_hot"
        if output_mode not in ("one_hot", "multi_hot", "count"):
            raise ValueError(
                f"{self.name}: output_mode: expected 'one_hot', 'multi_hot' or 'count', "
                f"received {output_mode!r}"
            )
        if num_tokens is None:
            raise ValueError(f"{self.name}: num_tokens: expected an integer >= 1, received None")
        if sparse:
            raise ValueError(f"{self.name}: sparse: expected False; sparse tensors are not supported")
        self.num_tokens = positive(num_tokens, self.name, "num_tokens")
        self.output_mode = output_mode
        self.sparse = False
        self._build_at_init()

    def call(self, inputs: Any, count_weights: Any = None) -> Any:
        if count_weights is not None and self.output_mode != "count":
            raise ValueError(
                f"{self.name}: count_weights: expected None with output_mode {self.output_mode!r}, "
                f"received {count_weights!r}"
            )
        indices = ops.cast(inputs, "int32")
        return encode(indices, self.output_mode, self.num_tokens, self.compute_dtype, count_weights)

    def get_config(self) -> dict[str, Any]:
        names = ("num_tokens", "output_mode", "sparse")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

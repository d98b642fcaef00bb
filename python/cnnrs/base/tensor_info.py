"""What is known about a tensor beside its values: `TensorInfo`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from cnnrs._core import Tensor

__all__ = ["Logits", "TensorInfo"]


class Logits(NamedTuple):
    """What probabilities were computed from.

    Attributes:
        tensor: The logits, of the shape of the probabilities.
        function: The function that made probabilities of them.
        axis: The axis of softmax, counted from 0; None for sigmoid.
    """

    tensor: Tensor
    function: Literal["sigmoid", "softmax"]
    axis: int | None = None


class TensorInfo(NamedTuple):
    """What is known about a tensor beside its values.

    It only says how to compute with the values more exactly, or which of them count: a function that does not
    read it is right. `cnnrs.ops.annotated` says which tensors have one, and which ops pass it on. Symbolic
    tensors have none: a functional model calls its layers and functions on tensors, which do.

    Attributes:
        logits: What the values were computed from, if they are probabilities. A cross-entropy reads them
            instead, if the function and the axis are its own.
        mask: bool tensor of the same shape, False where a value does not count: means are over the others.
    """

    logits: Logits | None = None
    mask: Tensor | None = None

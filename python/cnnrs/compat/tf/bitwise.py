"""`tf.bitwise`: integers bit by bit.

>>> import cnnrs.compat.tf as tf
>>> tf.bitwise.bitwise_and(tf.constant([6]), 3).numpy().tolist()
[2]
"""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.compat.tf.arguments import alike, tensor
from cnnrs.compat.tf.namespaces import operation, unknown

__all__ = ["bitwise_and", "bitwise_or", "bitwise_xor", "invert", "left_shift", "right_shift"]


def _of_two(name: str, compute: Any, doc: str) -> Any:
    def function(x: Any, y: Any) -> Any:
        return compute(*alike(name, x, y))

    function.__name__, function.__doc__ = name, doc
    return operation(function)


bitwise_and = _of_two("bitwise_and", ops.bitwise_and, "The bits that both have.")
bitwise_or = _of_two("bitwise_or", ops.bitwise_or, "The bits that one has, or both.")
bitwise_xor = _of_two("bitwise_xor", ops.bitwise_xor, "The bits that just one has.")
left_shift = _of_two("left_shift", ops.left_shift, "The bits of x moved up by y places.")
right_shift = _of_two("right_shift", ops.right_shift, "The bits of x moved down by y places.")


@operation
def invert(x: Any) -> Any:
    """The bits that x has not."""
    return ops.bitwise_invert(tensor(x))


__getattr__ = unknown("tf.bitwise", {}, __all__)

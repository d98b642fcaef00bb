"""`Input`, and the layer that stands for it in a model."""

from __future__ import annotations

from typing import Any

from cnnrs import symbolic
from cnnrs.base.dtypes import standardize_dtype
from cnnrs.layers.base import Layer
from cnnrs.layers.input_spec import InputSpec

__all__ = ["Input", "InputLayer"]


class InputLayer(Layer):
    """The entry of a functional model.

    Args:
        shape: Extents without the batch; None where unknown.
        batch_size: Extent of the batch, None if unknown.
        dtype: Element type, float32 by default.
        batch_shape: Extents with the batch, instead of the two above.
        name: Name.
    """

    def __init__(
        self,
        shape: Any = None,
        batch_size: int | None = None,
        dtype: Any = None,
        batch_shape: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        if (shape is None) == (batch_shape is None):
            raise ValueError(
                f"{self.name}: expected shape or batch_shape, received {shape} and {batch_shape}"
            )
        if batch_shape is not None and batch_size is not None:
            raise ValueError(
                f"{self.name}: batch_size: expected None with batch_shape, received {batch_size}"
            )
        if shape is not None:
            extents = (shape,) if isinstance(shape, int) else tuple(shape)
            batch_shape = (batch_size, *extents)
        self._dtype = standardize_dtype(dtype)
        output = symbolic.KerasTensor(batch_shape, self._dtype, name=self.name)
        self.batch_shape = output.shape
        self.input_spec = InputSpec(dtype=None, shape=self.batch_shape)
        self._build_at_init()
        symbolic.Node(self, (), {}, output)

    def call(self) -> Any:
        """Raises RuntimeError: the layer has no computation."""
        raise RuntimeError(f"{self.name}: an input layer cannot be called; use its output")

    @property
    def dtype(self) -> str:
        """Element type of the input."""
        return self._dtype

    def get_config(self) -> dict[str, Any]:
        return {"batch_shape": self.batch_shape, "dtype": self._dtype, "name": self.name}


def Input(
    shape: Any = None,
    batch_size: int | None = None,
    dtype: Any = None,
    batch_shape: Any = None,
    name: str | None = None,
) -> symbolic.KerasTensor:
    """A symbolic tensor to start a functional model from.

    Args:
        shape: Extents without the batch; None where unknown.
        batch_size: Extent of the batch, None if unknown.
        dtype: Element type, float32 by default.
        batch_shape: Extents with the batch, instead of `shape` and `batch_size`.
        name: Name.

    >>> from cnnrs import Input
    >>> Input((28, 28, 1)).shape
    (None, 28, 28, 1)
    """
    layer = InputLayer(shape=shape, batch_size=batch_size, dtype=dtype, batch_shape=batch_shape, name=name)
    return layer.output

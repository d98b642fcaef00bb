"""`Input`, and the layer that stands for it in a model."""

from __future__ import annotations

from typing import Any

from cnnrs import symbolic
from cnnrs.base.arguments import named
from cnnrs.base.dtypes import standardize_dtype
from cnnrs.base.user_warnings import warn_user
from cnnrs.layers.base import Layer
from cnnrs.layers.input_spec import InputSpec

__all__ = ["Input", "InputLayer"]


class InputLayer(Layer):
    """The entry of a functional model.

    Args:
        shape: Extents without the batch; None where unknown.
        batch_size: Extent of the batch, None if unknown.
        dtype: Element type, float32 by default.
        sparse: False; there are no sparse tensors.
        ragged: False; there are no ragged tensors.
        batch_shape: Extents with the batch, instead of the first two.
        input_tensor: A symbolic tensor that the layer gives, instead of one that it makes.
        optional: Whether the model may be given None in its place.
        name: Name.

    >>> from cnnrs import layers
    >>> layers.InputLayer((28, 28, 1), batch_size=32).output.shape
    (32, 28, 28, 1)
    """

    def __init__(
        self,
        shape: Any = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Any = None,
        input_tensor: Any = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ):
        if "input_shape" in kwargs:
            warn_user("InputLayer: input_shape is called shape since Keras 3")
            shape = kwargs.pop("input_shape")
        if "batch_input_shape" in kwargs:
            batch_shape = kwargs.pop("batch_input_shape")
        super().__init__(name=name, **kwargs)
        for argument, value in (("sparse", sparse), ("ragged", ragged)):
            if value:
                raise ValueError(
                    f"{self.name}: {argument}: expected False, for there are no {argument} tensors; "
                    "received True; use dense arrays"
                )
        if input_tensor is not None:
            self._check_tensor(input_tensor, shape, batch_size, batch_shape, dtype)
            batch_shape, dtype = input_tensor.shape, input_tensor.dtype
        elif (shape is None) == (batch_shape is None):
            raise ValueError(
                f"{self.name}: expected shape or batch_shape, received {shape} and {batch_shape}"
            )
        elif batch_shape is not None and batch_size is not None:
            raise ValueError(
                f"{self.name}: batch_size: expected None with batch_shape, received {batch_size}"
            )
        elif shape is not None:
            extents = (shape,) if isinstance(shape, int) else tuple(shape)
            batch_shape = (batch_size, *extents)
        self._dtype = standardize_dtype(dtype)
        output = input_tensor
        if output is None:
            output = symbolic.KerasTensor(batch_shape, self._dtype, name=self.name)
        self.batch_shape = output.shape
        self.sparse = self.ragged = False
        self.optional = bool(optional)
        self.input_spec = InputSpec(dtype=None, shape=self.batch_shape)
        self._build_at_init()
        symbolic.Node(self, (), {}, output)

    def _check_tensor(self, tensor: Any, shape: Any, batch_size: Any, batch_shape: Any, dtype: Any) -> None:
        if not isinstance(tensor, symbolic.KerasTensor):
            raise ValueError(f"{self.name}: input_tensor: expected a symbolic tensor, received {tensor!r}")
        for argument, given, found in (
            ("shape", shape and tuple(shape), tensor.shape[1:]),
            ("batch_size", batch_size, tensor.shape[0] if tensor.shape else None),
            ("batch_shape", batch_shape and tuple(batch_shape), tensor.shape),
            ("dtype", dtype and standardize_dtype(dtype), tensor.dtype),
        ):
            if given is not None and given != found:
                raise ValueError(
                    f"{self.name}: {argument}: expected None or {found}, which input_tensor has, "
                    f"received {given}"
                )

    def call(self) -> None:
        """Nothing: the layer has no computation; `output` is what it gives to a model."""

    @property
    def input(self) -> Any:
        """The tensor of the input, which is `output`, too."""
        return self.output

    @property
    def dtype(self) -> str:
        """Element type of the input."""
        return self._dtype

    def get_config(self) -> dict[str, Any]:
        config: dict[str, Any] = {"batch_shape": self.batch_shape, "dtype": self._dtype}
        config.update(sparse=False, ragged=False, name=self.name)
        return {**config, "optional": True} if self.optional else config


@named
def Input(
    shape: Any = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Any = None,
    name: str | None = None,
    tensor: Any = None,
    optional: bool = False,
) -> symbolic.KerasTensor:
    """A symbolic tensor to start a functional model from.

    Args:
        shape: Extents without the batch; None where unknown.
        batch_size: Extent of the batch, None if unknown.
        dtype: Element type, float32 by default.
        sparse: False; there are no sparse tensors.
        ragged: False; there are no ragged tensors.
        batch_shape: Extents with the batch, instead of `shape` and `batch_size`.
        name: Name.
        tensor: A symbolic tensor to make an input of, instead of a new one.
        optional: Whether the model may be given None in its place.

    >>> from cnnrs import Input
    >>> Input((28, 28, 1)).shape
    (None, 28, 28, 1)
    """
    layer = InputLayer(
        shape,
        batch_size,
        dtype,
        sparse,
        ragged,
        batch_shape,
        input_tensor=tensor,
        optional=optional,
        name=name,
    )
    return layer.output

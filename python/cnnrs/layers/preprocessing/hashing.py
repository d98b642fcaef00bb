"""Integers and strings as bins that a hash chooses, and pairs of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnnrs import ops, symbolic
from cnnrs.base import context
from cnnrs.base.arguments import integer
from cnnrs.layers.base import Layer
from cnnrs.layers.preprocessing.encoding import encode
from cnnrs.layers.preprocessing.hashes import farm_hash, joined_hash, sip_hash

__all__ = ["HashedCrossing", "Hashing"]

# What TensorFlow begins with when it crosses features.
_CROSS_KEY = 0xDECAFCAFFE


class _Hashed(Layer):
    """A layer that reads values, so that it is called on data before a model, not in one."""

    num_bins: int
    output_mode: str

    def __init__(self, output_mode: Any, name: str | None, dtype: Any, **kwargs: Any):
        # Layers compute in float types; bins have a type of their own.
        super().__init__(name=name, dtype=None if output_mode == "int" else dtype, **kwargs)
        self._bins = dtype or "int64"
        if output_mode == "int" and self._bins not in ("int32", "int64"):
            raise ValueError(
                f"{self.name}: dtype: expected 'int32' or 'int64' with output_mode 'int', received {dtype!r}"
            )

    def __call__(self, inputs: Any, **kwargs: Any) -> Any:
        """Bins of values; no tensors are made of strings.

        Args:
            inputs: Arrays of numpy, nested lists, texts of data sets, or tensors with values.
            **kwargs: Further arguments of `call`, of layers that are made from this one.
        """
        parts = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        recorded = context.is_tracing() and any(
            hasattr(p, "shape") and not isinstance(p, np.ndarray) for p in parts
        )
        if recorded or symbolic.any_symbolic((inputs,), {}):
            raise TypeError(
                f"{self.name}: inputs: expected arrays of numpy or lists, received what a model or a traced "
                "function records; hashes are of values: call the layer on the data before training"
            )
        return super().__call__(self._plain(inputs), **kwargs)

    def _plain(self, inputs: Any) -> Any:
        return self._array(inputs).tolist()

    def _array(self, values: Any) -> np.ndarray:
        """Integers as int64, text as objects."""
        try:
            array = np.asarray(values.numpy() if hasattr(values, "numpy") else values)
        except ValueError:
            raise ValueError(f"{self.name}: expected rows of equal length, received ragged ones") from None
        if array.dtype.kind in "iub":
            return array.astype(np.int64)
        if array.dtype.kind == "f":
            return self._of_floats(array)
        texts = array.astype(object)
        if not all(isinstance(value, (str, bytes)) for value in texts.flat):
            raise TypeError(f"{self.name}: expected integers or strings, received {values!r}")
        return texts

    def _of_floats(self, array: np.ndarray) -> np.ndarray:
        if array.size:
            raise ValueError(f"{self.name}: expected integers or strings, received numbers of {array.dtype}")
        return array.astype(np.int64)

    def _checked(self, num_bins: Any, output_mode: Any, modes: tuple[str, ...], sparse: Any) -> None:
        self.num_bins = integer(num_bins, self.name, "num_bins", least=1)
        if output_mode not in modes:
            raise ValueError(
                f"{self.name}: output_mode: expected one of {', '.join(modes)}, received {output_mode!r}"
            )
        if sparse:
            raise ValueError(f"{self.name}: sparse: expected False; sparse tensors are not supported")
        self.output_mode, self.sparse = output_mode, False

    def _encoded(self, bins: np.ndarray) -> Any:
        dtype = self._bins if self.output_mode == "int" else self.compute_dtype
        return encode(ops.convert_to_tensor(bins), self.output_mode, self.num_bins, dtype)

    def get_config(self) -> dict[str, Any]:
        names = ("num_bins", "output_mode", "sparse")
        dtype = {"dtype": self._bins} if self.output_mode == "int" else {}
        return {**super().get_config(), **{name: getattr(self, name) for name in names}, **dtype}

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the result.

        Args:
            input_shape: The shape of the inputs; None for what is unknown.
        """
        shape = tuple(input_shape)
        if self.output_mode == "int":
            return shape
        if self.output_mode == "one_hot" and shape and shape[-1] != 1:
            return (*shape, self.num_bins)
        return (*shape[:-1], self.num_bins)


def _text(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


class Hashing(_Hashed):
    """Integers and strings as bins that a hash of their text chooses, or as vectors of these.

    The layer reads values: it takes arrays of numpy and lists, and works before a model, not in one. Bins are
    those of Keras.

    Args:
        num_bins: How many bins there are, with that of the mask.
        mask_value: A value with the bin 0, which others do not get then; None for none.
        salt: An integer or two that change the hash: SipHash takes the place of FarmHash.
        output_mode: "int" for bins; "one_hot" for a vector of each; "multi_hot" and "count" for one of each
            sample.
        sparse: False; there are no sparse tensors.

    Returns:
        A tensor of int64 when called, of floats for vectors.

    Raises:
        TypeError: Called on a symbolic tensor, within a traced function, or on values of another kind.
        ValueError: An argument is none of the values above.

    >>> from cnnrs import layers
    >>> layers.Hashing(num_bins=3)([["A"], ["B"], ["C"], ["D"], ["E"]]).tolist()
    [[1], [0], [1], [1], [2]]
    """

    def __init__(
        self,
        num_bins: int,
        mask_value: Any = None,
        salt: Any = None,
        output_mode: str = "int",
        sparse: bool = False,
        **kwargs: Any,
    ):
        super().__init__(output_mode, kwargs.pop("name", None), kwargs.pop("dtype", None), **kwargs)
        self._checked(num_bins, output_mode, ("int", "one_hot", "multi_hot", "count"), sparse)
        pair = [salt, salt] if isinstance(salt, int) and not isinstance(salt, bool) else salt
        if salt is not None and (not isinstance(pair, (tuple, list)) or len(pair) != 2):
            raise ValueError(f"{self.name}: salt: expected an integer or two of them, received {salt!r}")
        self.salt = None if salt is None else [integer(part, self.name, "salt") for part in pair]
        self.mask_value = mask_value
        self._build_at_init()

    def _of_floats(self, array: np.ndarray) -> np.ndarray:
        # Keras cuts the fraction off.
        return array.astype(np.int64)

    def call(self, inputs: Any) -> Any:
        values = self._array(inputs)
        masked = self.mask_value is not None and self.num_bins > 1
        count = self.num_bins - masked
        hashed: Callable[[bytes], int] = farm_hash
        if self.salt is not None:
            key = (self.salt[0], self.salt[1])

            def hashed(text: bytes) -> int:
                return sip_hash(text, key)

        distinct = {value: hashed(_text(value)) % count + masked for value in set(values.flat)}
        if masked:
            mask = _text(self.mask_value)
            distinct = {value: 0 if _text(value) == mask else found for value, found in distinct.items()}
        bins = np.array([distinct[value] for value in values.flat], np.int64).reshape(values.shape)
        return self._encoded(bins)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "salt": self.salt, "mask_value": self.mask_value}


class HashedCrossing(_Hashed):
    """Features whose values belong together as bins that a hash of them chooses, or as vectors of these.

    The layer takes arrays of numpy and lists, and works before a model, not in one. Bins are those of Keras.

    Args:
        num_bins: How many bins there are.
        output_mode: "int" for bins; "one_hot" for vectors.
        sparse: False; there are no sparse tensors.
        name: The layer's name.
        dtype: "int64" or "int32" for bins; a float type for vectors. None takes the first, or the default.

    Returns:
        A tensor when called on two or more features of integers or strings, all of shape (), (n,) or (n, 1).

    Raises:
        TypeError: Called on a symbolic tensor, within a traced function, or on values of another kind.
        ValueError: An argument is none of the values above, or features have different shapes.

    >>> from cnnrs import layers
    >>> layers.HashedCrossing(num_bins=5)((["A", "B", "A", "B", "A"], [101, 101, 101, 102, 102])).tolist()
    [1, 4, 1, 1, 3]
    """

    def __init__(
        self,
        num_bins: int,
        output_mode: str = "int",
        sparse: bool = False,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ):
        super().__init__(output_mode, name, dtype, **kwargs)
        self._checked(num_bins, output_mode, ("int", "one_hot"), sparse)
        self._build_at_init()

    def _plain(self, inputs: Any) -> Any:
        if not isinstance(inputs, (list, tuple)) or len(inputs) < 2:
            raise ValueError(f"{self.name}: expected a list of two features or more, received {inputs!r}")
        arrays = [self._array(part) for part in inputs]
        shape = arrays[0].shape
        if len(shape) > 2 or (len(shape) == 2 and shape[1] != 1) or any(a.shape != shape for a in arrays):
            raise ValueError(
                f"{self.name}: expected features of one shape, (), (n,) or (n, 1), "
                f"received {', '.join(str(array.shape) for array in arrays)}"
            )
        return [array.tolist() for array in arrays]

    def call(self, inputs: Any) -> Any:
        arrays = [self._array(part) for part in inputs]
        bins = np.zeros(arrays[0].size, np.int64)
        for place, values in enumerate(zip(*(array.flat for array in arrays), strict=True)):
            crossed = _CROSS_KEY
            for value in values:
                word = farm_hash(_text(value)) if isinstance(value, (str, bytes)) else int(value) % 2**64
                crossed = joined_hash(crossed, word)
            bins[place] = crossed % self.num_bins
        return self._encoded(bins.reshape(arrays[0].shape))

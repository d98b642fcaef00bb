"""`IntegerLookup`: integers as indices of a vocabulary, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import ops, symbolic
from cnnrs.base.arguments import integer
from cnnrs.layers.preprocessing.lookup import Lookup, is_recorded

__all__ = ["IntegerLookup"]


class IntegerLookup(Lookup):
    """Integers as indices of a vocabulary, or as vectors of these; with `invert`, indices as integers.

    It works in models and in traced functions too, except with `num_oov_indices=0`, which looks at values,
    and with several unknown indices chosen by "farmhash".

    Args:
        max_tokens: How many indices there are at most; None for no bound.
        num_oov_indices: How many indices unknown integers have.
        mask_token: An integer with the index 0, or without a place in vectors; None for none.
        oov_token: What unknown indices are with `invert`.
        vocabulary: Integers, or the path of a file with one in each line; None to call `adapt`.
        vocabulary_dtype: "int64".
        idf_weights: A weight of each of them, for "tf_idf".
        invert: Whether indices come in and integers go out.
        output_mode: "int" for indices; "one_hot" for a vector of each; "multi_hot" and "count" for one of
            each sample; "tf_idf" for counts times weights.
        sparse: False; there are no sparse tensors.
        pad_to_max_tokens: Whether vectors have `max_tokens` entries, however many integers there are.
        oov_method: How one of several unknown indices is chosen: "floormod" for the remainder, "farmhash" for
            a hash.
        salt: An integer or two that change the hash.
        name: The layer's name.

    Returns:
        A tensor of int64 when called, of floats for "tf_idf".

    Raises:
        ValueError: With `num_oov_indices=0`, for a value that is not in the vocabulary.

    >>> from cnnrs import layers
    >>> layers.IntegerLookup(vocabulary=[12, 36])([36, 7, 12]).tolist()
    [2, 0, 1]
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: int | None = None,
        oov_token: int | None = -1,
        vocabulary: Any = None,
        vocabulary_dtype: str = "int64",
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        sparse: bool = False,
        pad_to_max_tokens: bool = False,
        oov_method: str = "floormod",
        salt: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        if vocabulary_dtype != "int64":
            raise ValueError(f"vocabulary_dtype: expected 'int64', received {vocabulary_dtype!r}")
        if oov_method not in ("floormod", "farmhash"):
            raise ValueError(f"oov_method: expected 'floormod' or 'farmhash', received {oov_method!r}")
        if salt is not None and oov_method != "farmhash":
            raise ValueError(f"salt: expected None with oov_method {oov_method!r}, received {salt!r}")
        self.vocabulary_dtype = vocabulary_dtype
        self.oov_method = oov_method
        mask_token = None if mask_token is None else integer(mask_token, "IntegerLookup", "mask_token")
        oov_token = None if oov_token is None else integer(oov_token, "IntegerLookup", "oov_token")
        super().__init__(
            max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, idf_weights, invert, output_mode,
            pad_to_max_tokens, sparse, salt, name=name, **kwargs,
        )  # fmt: skip

    def _token(self, value: Any) -> int:
        # The lines of a file are text.
        return int(value) if isinstance(value, str) else integer(value, self.name, "vocabulary")

    def _array(self, values: Any) -> np.ndarray:
        return np.asarray(values.numpy() if hasattr(values, "numpy") else values).astype(
            self.vocabulary_dtype
        )

    def _buckets(self, values: np.ndarray) -> np.ndarray:
        return self._hashed(values) if self.oov_method == "farmhash" else values % self.num_oov_indices

    def __call__(self, inputs: Any, **kwargs: Any) -> Any:
        """Lists and arrays as tensors of int64, which hold every integer that may come.

        Args:
            inputs: Integers, or indices with `invert`.
            **kwargs: Further arguments of `call`, of layers that are made from this one.
        """
        if isinstance(inputs, (list, tuple, int, np.ndarray)) and not symbolic.any_symbolic((inputs,), {}):
            inputs = ops.convert_to_tensor(self._array(inputs), self.vocabulary_dtype)
        return super().__call__(inputs, **kwargs)

    def call(self, inputs: Any) -> Any:
        self._known()
        x = ops.cast(inputs, self.vocabulary_dtype)
        if self.invert:
            values = np.array([*self.get_vocabulary(), self.oov_token], np.int64)
            last = len(values) - 1
            return ops.take(
                ops.convert_to_tensor(values), ops.where(ops.logical_and(x >= 0, x < last), x, last)
            )
        if not is_recorded(x):
            return self._encoded(ops.convert_to_tensor(self._lookup_on_host(self._array(x))))
        by_values = self.num_oov_indices > 1 and self.oov_method == "farmhash"
        if self.num_oov_indices == 0 or by_values:
            argument = "oov_method: expected 'floormod'" if by_values else "num_oov_indices: expected >= 1"
            raise ValueError(
                f"{self.name}: {argument} in a model or a traced function, which cannot look at values; "
                "or call the layer on the data before training"
            )
        return self._encoded(self._lookup_by_ops(x))

    def _lookup_by_ops(self, x: Any) -> Any:
        start = len(self._special()) - self.num_oov_indices
        unknown = x * 0 + start if self.num_oov_indices == 1 else ops.mod(x, self.num_oov_indices) + start
        indices = unknown
        if len(self._sorted):
            known = ops.convert_to_tensor(self._sorted)
            places = ops.minimum(ops.searchsorted(known, x), len(self._sorted) - 1)
            found = ops.equal(ops.take(known, places), x)
            indices = ops.where(found, ops.take(ops.convert_to_tensor(self._indices), places), unknown)
        if self.mask_token is not None:
            masked = 0 if self.output_mode == "int" else -1
            indices = ops.where(ops.equal(x, self.mask_token), masked, indices)
        return ops.cast(indices, "int64")

    def get_config(self) -> dict[str, Any]:
        own = {"vocabulary_dtype": self.vocabulary_dtype, "oov_method": self.oov_method}
        return {**super().get_config(), **own}

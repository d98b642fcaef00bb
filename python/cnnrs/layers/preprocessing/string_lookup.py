"""`StringLookup`: strings as indices of a vocabulary, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import ops
from cnnrs.layers.preprocessing.lookup import Lookup, is_recorded

__all__ = ["StringLookup"]


class StringLookup(Lookup):
    """Strings as indices of a vocabulary, or as vectors of these; with `invert`, indices as strings.

    Tensors hold no strings: the layer takes arrays of numpy and lists, and works before a model, not in one.

    Args:
        max_tokens: How many indices there are at most; None for no bound.
        num_oov_indices: How many indices unknown strings have; of several, a hash chooses one.
        mask_token: A string with the index 0, or without a place in vectors; None for none.
        oov_token: What unknown indices are with `invert`.
        vocabulary: Strings, or the path of a file with one in each line; None to call `adapt`.
        idf_weights: A weight of each of them, for "tf_idf".
        invert: Whether indices come in and strings, as an array of numpy, go out.
        output_mode: "int" for indices; "one_hot" for a vector of each; "multi_hot" and "count" for one of
            each sample; "tf_idf" for counts times weights.
        pad_to_max_tokens: Whether vectors have `max_tokens` entries, however many strings there are.
        sparse: False; there are no sparse tensors.
        encoding: What bytes are read with.
        name: The layer's name.
        salt: An integer or two that change the hash.

    Returns:
        A tensor of int64 when called, of floats for "tf_idf"; strings with `invert`.

    Raises:
        TypeError: Called on a symbolic tensor, or within a traced function.

    >>> from cnnrs import layers
    >>> layer = layers.StringLookup(vocabulary=["a", "b"])
    >>> layer(["b", "z", "a"]).tolist()
    [2, 0, 1]
    >>> layers.StringLookup(vocabulary=["a", "b"], invert=True)([2, 0]).tolist()
    ['b', '[UNK]']
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: str | None = None,
        oov_token: str | None = "[UNK]",
        vocabulary: Any = None,
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        pad_to_max_tokens: bool = False,
        sparse: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        salt: Any = None,
        **kwargs: Any,
    ):
        self.encoding = encoding
        # Keras's layer takes it, too, and hashes strings by FarmHash whatever it says.
        method = kwargs.pop("oov_method", "floormod")
        if method not in ("floormod", "farmhash"):
            raise ValueError(f"oov_method: expected 'floormod' or 'farmhash', received {method!r}")
        super().__init__(
            max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, idf_weights, invert, output_mode,
            pad_to_max_tokens, sparse, salt, name=name, **kwargs,
        )  # fmt: skip

    def _token(self, value: Any) -> str:
        if not isinstance(value, (str, bytes)):
            raise TypeError(f"{self.name}: expected strings, received {value!r}")
        return value.decode(self.encoding) if isinstance(value, bytes) else str(value)

    def _array(self, values: Any) -> np.ndarray:
        try:
            array = np.asarray(values.numpy() if hasattr(values, "numpy") else values)
        except ValueError:
            raise ValueError(f"{self.name}: expected rows of equal length, received ragged ones") from None
        if array.dtype.kind == "U":
            return array
        if array.size and array.dtype.kind not in "OST":
            raise TypeError(f"{self.name}: expected strings, received {array.dtype}")
        texts = [self._token(value) for value in array.ravel().tolist()]
        return np.array(texts, np.str_).reshape(array.shape)

    def __call__(self, inputs: Any, **kwargs: Any) -> Any:
        """Strings of any form as nested lists, which no tensors are made of.

        Args:
            inputs: Strings, or indices with `invert`.
            **kwargs: Further arguments of `call`, of layers that are made from this one.
        """
        self._refuse_recorded(inputs)
        return super().__call__(inputs if self.invert else self._array(inputs).tolist(), **kwargs)

    def _refuse_recorded(self, inputs: Any) -> None:
        if is_recorded(inputs):
            raise TypeError(
                f"{self.name}: inputs: expected arrays of numpy or lists, received what a model or a traced "
                "function records; tensors hold no strings: call the layer on the data before training"
            )

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the result, which no symbolic tensor of strings could tell.

        Args:
            input_shape: The shape of the inputs; None for what is unknown.
        """
        shape = tuple(input_shape)
        if self.output_mode == "int":
            return shape
        depth = self.max_tokens if self.pad_to_max_tokens else self.vocabulary_size()
        if self.output_mode == "one_hot":
            return (*(shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape), depth)
        return (*shape[:1], *shape[2:], depth) if len(shape) > 1 else (depth,)

    def call(self, inputs: Any) -> Any:
        if not self.invert:
            return self._encoded(ops.convert_to_tensor(self._lookup_on_host(self._array(inputs))))
        self._known()
        indices = np.asarray(inputs.numpy() if hasattr(inputs, "numpy") else inputs).astype(np.int64)
        texts = np.array([*self.get_vocabulary(), self.oov_token], np.str_)
        return texts[np.where((indices >= 0) & (indices < len(texts)), indices, len(texts) - 1)]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "encoding": self.encoding}

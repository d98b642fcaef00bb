"""`Lookup`: a vocabulary, and values as its indices: what lookups of strings and of integers share."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from cnnrs import config, ops, symbolic
from cnnrs.base import context
from cnnrs.base.arguments import integer
from cnnrs.layers.base import Layer
from cnnrs.layers.preprocessing.encoding import encode, limited
from cnnrs.layers.preprocessing.hashes import farm_hash, sip_hash

__all__ = ["Lookup", "is_recorded"]

_MODES = ("int", "one_hot", "multi_hot", "count", "tf_idf")
_FORMER = {"binary": "multi_hot", "tf-idf": "tf_idf"}


class Lookup(Layer):
    """What lookups of strings and of integers share: the vocabulary, and vectors made of indices."""

    # Whether the shape of an output is asked for.
    _counting = False

    _kind: type = str

    def __init__(
        self,
        max_tokens: int | None,
        num_oov_indices: int,
        mask_token: Any,
        oov_token: Any,
        vocabulary: Any,
        idf_weights: Any,
        invert: bool,
        output_mode: str,
        pad_to_max_tokens: bool,
        sparse: bool,
        salt: Any,
        has_input_vocabulary: bool | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if max_tokens is not None:
            max_tokens = integer(max_tokens, self.name, "max_tokens", least=2)
        elif pad_to_max_tokens:
            raise ValueError(f"{self.name}: max_tokens: expected an integer with pad_to_max_tokens=True")
        self.max_tokens = max_tokens
        self.num_oov_indices = integer(num_oov_indices, self.name, "num_oov_indices", least=0, most=2**31 - 1)
        self.output_mode = _FORMER.get(output_mode, output_mode)
        if self.output_mode not in _MODES:
            raise ValueError(
                f"{self.name}: output_mode: expected one of {', '.join(_MODES)}, received {output_mode!r}"
            )
        if invert and self.output_mode != "int":
            raise ValueError(
                f"{self.name}: output_mode: expected 'int' with invert=True, received {output_mode!r}"
            )
        if invert and oov_token is None:
            raise ValueError(f"{self.name}: oov_token: expected a token with invert=True, received None")
        if sparse:
            raise ValueError(f"{self.name}: sparse: expected False; sparse tensors are not supported")
        self.mask_token = mask_token
        self.oov_token = oov_token
        self.invert = bool(invert)
        self.pad_to_max_tokens = bool(pad_to_max_tokens)
        self.sparse = False
        self.salt = self._checked_salt(salt)
        self._tokens: list[Any] | None = None
        self._idf: np.ndarray | None = None
        # Whether the tokens are yet to be loaded, and those there stand for their number alone.
        self._awaited = False
        self._fixed = vocabulary is not None if has_input_vocabulary is None else bool(has_input_vocabulary)
        self.reset_state()
        if vocabulary is not None:
            self.set_vocabulary(vocabulary, idf_weights)
        elif idf_weights is not None:
            raise ValueError(f"{self.name}: idf_weights: expected None without a vocabulary")
        self._build_at_init()

    def _checked_salt(self, salt: Any) -> tuple[int, int] | None:
        if salt is None:
            return None
        pair = [salt, salt] if isinstance(salt, int) else salt
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise ValueError(f"{self.name}: salt: expected an integer or two of them, received {salt!r}")
        first, second = (integer(part, self.name, "salt") for part in pair)
        return first, second

    # ---- the vocabulary

    def _special(self) -> list[Any]:
        mask = [self.mask_token] if self.mask_token is not None and self.output_mode == "int" else []
        return mask + [self.oov_token] * self.num_oov_indices

    def _known(self) -> list[Any]:
        if self._tokens is None or (self._awaited and not self._counting):
            raise RuntimeError(
                f"{self.name}: expected a vocabulary; give vocabulary=, or call adapt or set_vocabulary"
            )
        return self._tokens

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Any]:
        """The tokens, each at its index.

        Args:
            include_special_tokens: Whether the mask's token and those of unknown values stand before them.

        Returns:
            A list of strings or integers.
        """
        tokens = self._tokens or []
        return self._special() + tokens if include_special_tokens else list(tokens)

    def vocabulary_size(self) -> int:
        """How many indices there are, with those of the mask and of unknown values."""
        return len(self._special()) + len(self._tokens or [])

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Takes a vocabulary in place of the present one.

        Args:
            vocabulary: Tokens, or the path of a text file with one in each line.
            idf_weights: A weight of each token, for output_mode "tf_idf" only.

        Raises:
            ValueError: Tokens occur twice, are too many, or do not fit the weights.
        """
        if (idf_weights is not None) != (self.output_mode == "tf_idf"):
            raise ValueError(
                f"{self.name}: idf_weights: expected {'weights' if idf_weights is None else 'None'} with "
                f"output_mode {self.output_mode!r}, received {idf_weights!r}"
            )
        if isinstance(vocabulary, (str, os.PathLike)):
            with open(vocabulary, encoding="utf-8") as file:
                vocabulary = file.read().splitlines()
        if not isinstance(vocabulary, (list, tuple)) and len(getattr(vocabulary, "shape", ())) != 1:
            raise TypeError(
                f"{self.name}: vocabulary: expected a list of tokens, or the path of a file, "
                f"received {vocabulary!r}"
            )
        array = vocabulary.numpy() if hasattr(vocabulary, "numpy") else vocabulary
        given = array.tolist() if isinstance(array, np.ndarray) else list(array)
        # Without a token of unknown values, None stands at their indices.
        given = [None if token is None else self._token(token) for token in given]
        special = self._special()
        found = bool(special) and given[: len(special)] == special
        tokens = given[len(special) :] if found else given
        if not given or None in tokens:
            received = "None in it" if given else "none"
            raise ValueError(f"{self.name}: vocabulary: expected at least one token, received {received}")
        self._check_tokens(tokens)
        if self.output_mode == "tf_idf":
            weights = np.asarray(idf_weights, np.float32)
            if weights.shape != (len(given),):
                raise ValueError(
                    f"{self.name}: idf_weights: expected {len(given)} numbers, one of each token, "
                    f"received shape {weights.shape}"
                )
            self._set_idf(weights, found)
        self._tokens, self._awaited = tokens, False
        self._tables()

    def _check_tokens(self, tokens: list[Any]) -> None:
        twice = [token for token, count in Counter(tokens).items() if count > 1]
        if twice:
            raise ValueError(f"{self.name}: vocabulary: expected each token once, received {twice} again")
        for name, reserved in (("mask_token", self.mask_token), ("oov_token", self.oov_token)):
            if reserved is not None and reserved in tokens and (name == "mask_token" or self.invert):
                raise ValueError(
                    f"{self.name}: vocabulary: expected {name} {reserved!r} nowhere, or at the start of "
                    f"{self._special()}, received it at {tokens.index(reserved)}"
                )
        size = len(self._special()) + len(tokens)
        if self.max_tokens is not None and size > self.max_tokens:
            raise ValueError(
                f"{self.name}: vocabulary: expected at most max_tokens={self.max_tokens}, received {size} "
                "with those of the mask and of unknown values"
            )

    def _await(self, size: int) -> None:
        """Takes a vocabulary of that size, special tokens included, which a file holds beside the config."""
        count = size - len(self._special())
        if count <= 0:
            return
        self._tokens = [self._token(str(-2 - i)) for i in range(count)]
        self._tables()
        self._awaited = True

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        self._counting = True
        try:
            return super().compute_output_spec(*args, **kwargs)
        finally:
            self._counting = False

    def _keeps_own_state(self) -> bool:
        # The config has it.
        return False

    def save_own_variables(self, store: Any) -> None:
        if self._idf is not None:
            store["idf_weights"] = self._idf

    def load_own_variables(self, store: Any) -> None:
        if self.output_mode == "tf_idf":
            self._idf = np.asarray(store["idf_weights"], np.float32)

    def save_assets(self, dir_path: Any) -> None:
        """Writes the vocabulary to `vocabulary.txt` in a folder, if it is no argument of the layer.

        Args:
            dir_path: The folder.
        """
        if self._fixed or self._tokens is None:
            return
        text = "\n".join(map(str, self.get_vocabulary()))
        with open(os.path.join(dir_path, "vocabulary.txt"), "w", encoding="utf-8") as file:
            file.write(text)

    def load_assets(self, dir_path: Any) -> None:
        """Reads what `save_assets` wrote.

        Args:
            dir_path: The folder; None if a file has none.

        Raises:
            ValueError: There is no vocabulary, though the config has its size.
        """
        path = os.path.join(dir_path or "", "vocabulary.txt")
        if self._fixed:
            return
        if dir_path is None or not os.path.exists(path):
            if self._awaited:
                raise ValueError(f"{self.name}: expected a vocabulary beside the config, found none")
            return
        idf, self._idf = self._idf, None
        with open(path, encoding="utf-8") as file:
            tokens = file.read().split("\n")
        while tokens and tokens[-1] == "":
            tokens.pop()
        special = len(self._special())
        self._tokens = [self._token(token) for token in tokens[special:]]
        self._awaited, self._idf = False, idf
        self._tables()

    def _set_idf(self, weights: np.ndarray, with_special: bool) -> None:
        if not with_special:
            mean = np.average(weights) if len(weights) else 0.0
            front = np.full(len(self._special()), mean, np.float32)
            weights = np.concatenate([front, weights])
        self._idf = weights.astype(np.float32)

    def _tables(self) -> None:
        """What calls search in: the sorted tokens and their indices."""
        tokens = self._array(self._known())
        order = np.argsort(tokens, kind="stable")
        self._sorted = tokens[order]
        self._indices = (order + len(self._special())).astype(np.int64)

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Makes the vocabulary of the values in data, the most frequent first.

        Args:
            data: An array, a list of values, or batches of arrays.
            steps: How many batches count; None for all of them.

        Raises:
            ValueError: The layer was made with a vocabulary.
        """
        self.reset_state()
        if isinstance(data, (list, tuple)) or hasattr(data, "shape"):
            values = self._array(data)
            self.update_state(values[:, None] if values.ndim == 1 else values)
        elif isinstance(data, Iterable):
            for batch in limited(data, steps):
                self.update_state(batch)
        else:
            raise TypeError(
                f"{self.name}: adapt: expected an array or batches of them, received {type(data).__name__}"
            )
        self.finalize_state()

    def reset_state(self) -> None:
        """Forgets what `update_state` counted."""
        self._counts: Counter[Any] = Counter()
        self._documents: Counter[Any] = Counter()
        self._document_count = 0

    def update_state(self, data: Any) -> None:
        """Counts the values of a batch.

        Args:
            data: An array; its rows are documents, and one of a single axis is one document.

        Raises:
            ValueError: The layer was made with a vocabulary.
        """
        if self._fixed:
            raise ValueError(f"{self.name}: adapt: expected a layer made without a vocabulary")
        values = self._array(data)
        rows = (
            values.reshape(1, -1)
            if values.ndim < 2
            else values.reshape(len(values), math.prod(values.shape[1:]))
        )
        tokens, counts = np.unique(rows, return_counts=True)
        self._counts.update(dict(zip(tokens.tolist(), counts.tolist(), strict=True)))
        if self.output_mode == "tf_idf":
            for row in rows:
                self._documents.update(np.unique(row).tolist())
            self._document_count += len(rows)

    def finalize_state(self) -> None:
        """Makes the vocabulary of what `update_state` counted."""
        if self._fixed or not self._counts:
            return
        counted = [(n, t) for t, n in self._counts.items() if t not in (self.mask_token, self.oov_token)]
        tokens = [token for _, token in sorted(counted, reverse=True)]
        if self.max_tokens is not None:
            tokens = tokens[: max(self.max_tokens - len(self._special()), 0)]
        self._tokens, self._awaited = tokens, False
        if self.output_mode == "tf_idf":
            seen = np.array([self._documents[token] for token in tokens], np.float64)
            self._set_idf(np.log(1 + self._document_count / (1 + seen)).astype(np.float32), False)
        self._tables()
        self.reset_state()

    # ---- calls

    def _token(self, value: Any) -> Any:
        raise NotImplementedError

    def _array(self, values: Any) -> np.ndarray:
        raise NotImplementedError

    def _hashed(self, values: np.ndarray) -> np.ndarray:
        """Buckets of values, by a hash of their text: FarmHash, or SipHash with a salt, as Keras has them."""
        distinct, places = np.unique(values, return_inverse=True)
        texts = [str(value).encode() for value in distinct.tolist()]
        hashes = map(farm_hash, texts) if self.salt is None else (sip_hash(t, self.salt) for t in texts)
        buckets = [value % self.num_oov_indices for value in hashes]
        return np.array(buckets, np.int64)[places].reshape(values.shape)

    def _missing(self, unknown: np.ndarray) -> None:
        if unknown.size:
            raise ValueError(
                f"{self.name}: inputs: expected values of the vocabulary with num_oov_indices=0, received "
                f"{np.unique(unknown)[:5].tolist()}; num_oov_indices=1 gives them an index"
            )

    def _lookup_on_host(self, values: np.ndarray) -> np.ndarray:
        self._known()
        places = np.minimum(np.searchsorted(self._sorted, values), max(len(self._sorted) - 1, 0))
        found = self._sorted[places] == values if len(self._sorted) else np.zeros(values.shape, bool)
        indices = self._indices[places] if len(self._sorted) else np.zeros(values.shape, np.int64)
        start = len(self._special()) - self.num_oov_indices
        is_mask = values == self.mask_token if self.mask_token is not None else np.zeros(values.shape, bool)
        if self.num_oov_indices == 0:
            self._missing(values[~found & ~is_mask])
        elif self.num_oov_indices == 1:
            indices = np.where(found, indices, start)
        else:
            indices = np.where(found, indices, self._buckets(values) + start)
        # A mask is 0 among indices, and no one in vectors.
        return np.where(is_mask, 0 if self.output_mode == "int" else -1, indices).astype(np.int64)

    def _buckets(self, values: np.ndarray) -> np.ndarray:
        return self._hashed(values)

    def _encoded(self, indices: Any) -> Any:
        depth = self.max_tokens if self.pad_to_max_tokens else self.vocabulary_size()
        assert depth is not None
        if self.output_mode != "tf_idf":
            return encode(indices, self.output_mode, depth, "int64")
        assert self._idf is not None
        weights = np.pad(self._idf, (0, depth - len(self._idf)))
        counts = encode(indices, "count", depth, config.floatx())
        return counts * ops.cast(ops.convert_to_tensor(weights), config.floatx())

    def get_config(self) -> dict[str, Any]:
        names = (
            "invert max_tokens num_oov_indices oov_token mask_token output_mode sparse pad_to_max_tokens salt"
        )
        own = {name: getattr(self, name) for name in names.split()}
        # With the mask's token and those of unknown values, so that adapting to nothing else is kept, too.
        adapted = self._tokens is not None and not self._awaited
        own["vocabulary"] = self.get_vocabulary() or None if adapted else None
        own["idf_weights"] = self._idf.tolist() if self._idf is not None and len(self._idf) else None
        if self._awaited:
            own["vocabulary_size"] = self.vocabulary_size()
        return {**super().get_config(), **own, "has_input_vocabulary": self._fixed}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A layer of a configuration; those of Keras tell the size of the vocabulary, which has it itself."""
        if isinstance(config.get("vocabulary"), (str, os.PathLike)):
            # A saved model must not choose which files are read.
            raise ValueError(
                f"{cls.__name__}.from_config: vocabulary: expected a list of tokens, received the path "
                f"{config['vocabulary']!r}"
            )
        layer = super().from_config({k: v for k, v in config.items() if k != "vocabulary_size"})
        if config.get("vocabulary") is None and config.get("vocabulary_size") is not None:
            layer._await(integer(config["vocabulary_size"], layer.name, "vocabulary_size", least=0))
        return layer


def is_recorded(value: Any) -> bool:
    """Whether values are not there yet: of symbolic tensors, and of tensors while a trace records."""
    is_tensor = hasattr(value, "shape") and not isinstance(value, np.ndarray)
    return symbolic.any_symbolic((value,), {}) or (is_tensor and context.is_tracing())

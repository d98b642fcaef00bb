"""Texts as indices of a vocabulary of their words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from cnnrs.base.arguments import integer
from cnnrs.layers.preprocessing.string_lookup import StringLookup
from cnnrs.serialization import deserialize_keras_object, serialize_keras_object

__all__ = ["TextVectorization"]

_STANDARDIZE = ("lower_and_strip_punctuation", "lower", "strip_punctuation")
_SPLIT = ("whitespace", "character")
_PUNCTUATION = re.compile(r"[!\"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~']")
# Arguments of a lookup that this layer chooses itself.
_CHOSEN = ("invert", "num_oov_indices", "oov_token", "mask_token", "salt")
_ROWS = 4096


class TextVectorization(StringLookup):
    """Texts as indices of a vocabulary of their words, or as vectors that count these.

    A text is standardised, split into words, which may be joined to n-grams again, and each is looked up: 0
    stands for no word behind the end, and 1 for unknown ones. Tensors hold no strings: the layer takes arrays
    of numpy, lists and `StringTensor`s, and works before a model, as in `data.map(layer)`, not in one.

    Args:
        max_tokens: How many indices there are at most, with those of no word and of unknown ones; None for no
            bound.
        standardize: "lower_and_strip_punctuation", "lower", "strip_punctuation", None, or a function of an
            array of strings. Letters of ASCII become small ones, as in Keras.
        split: "whitespace", "character", None for texts that are words, or a function of an array of strings
            that returns a list of words for each.
        ngrams: Up to how many words that follow each other are joined, or a tuple of such numbers; None for
            single words.
        output_mode: "int" for indices; "one_hot" for a vector of each; "multi_hot" and "count" for one of
            each text; "tf_idf" for counts times weights.
        output_sequence_length: With "int", how many indices each text has: longer ones are cut.
        pad_to_max_tokens: Whether vectors have `max_tokens` entries, however many words there are.
        vocabulary: Words, or the path of a file with one in each line; None to call `adapt`.
        idf_weights: A weight of each of them, for "tf_idf".
        sparse: False; there are no sparse tensors.
        ragged: False; tensors have one extent an axis.
        encoding: What bytes are read with.
        name: The layer's name.

    Returns:
        A tensor of int64 when called, (texts, words) or (texts, vocabulary); of floats for "tf_idf".

    Raises:
        TypeError: Called on a symbolic tensor, or within a traced function.
        ValueError: An argument is none of these, or texts come in more than one column.

    >>> from cnnrs import layers
    >>> layer = layers.TextVectorization(output_sequence_length=4)
    >>> layer.adapt(["The cat sat.", "The dog sat, the cat did not!"])
    >>> layer.get_vocabulary()
    ['', '[UNK]', 'the', 'sat', 'cat', 'not', 'dog', 'did']
    >>> layer(["a cat sat", "The dog"]).tolist()
    [[1, 4, 3, 0], [2, 6, 0, 0]]
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        standardize: Any = "lower_and_strip_punctuation",
        split: Any = "whitespace",
        ngrams: Any = None,
        output_mode: str = "int",
        output_sequence_length: int | None = None,
        pad_to_max_tokens: bool = False,
        vocabulary: Any = None,
        idf_weights: Any = None,
        sparse: bool = False,
        ragged: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        **kwargs: Any,
    ):
        owner = name or type(self).__name__
        for argument, value, words in (("standardize", standardize, _STANDARDIZE), ("split", split, _SPLIT)):
            if value is not None and not callable(value) and value not in words:
                expected = ", ".join(map(repr, words))
                raise ValueError(
                    f"{owner}: {argument}: expected one of {expected}, None or a function, received {value!r}"
                )
        if ragged:
            raise ValueError(f"{owner}: ragged: expected False; tensors have one extent an axis")
        if output_sequence_length is not None:
            if output_mode != "int":
                raise ValueError(
                    f"{owner}: output_sequence_length: expected None with output_mode {output_mode!r}, "
                    f"received {output_sequence_length!r}"
                )
            integer(output_sequence_length, owner, "output_sequence_length", least=1)
        self.standardize, self.split, self.ngrams = standardize, split, ngrams
        self._widths = _ngram_widths(ngrams, owner)
        self.output_sequence_length = output_sequence_length
        self.ragged = False
        super().__init__(
            max_tokens, 1, "", "[UNK]", vocabulary, idf_weights, False, output_mode, pad_to_max_tokens,
            sparse, encoding, name, **kwargs,
        )  # fmt: skip

    def _standardized(self, texts: np.ndarray) -> np.ndarray:
        if callable(self.standardize):
            return self._array(self.standardize(texts))
        if self.standardize is None:
            return texts
        made = texts.ravel().tolist()
        if "lower" in self.standardize:
            # Bytes change letters of ASCII alone.
            made = [text.encode().lower().decode() for text in made]
        if "strip" in self.standardize:
            made = [_PUNCTUATION.sub("", text) for text in made]
        return np.array(made, np.str_).reshape(texts.shape)

    def _words(self, texts: np.ndarray) -> Any:
        """The words of each text."""
        if self.split == "character":
            return [list(text) for text in texts.tolist()]
        if self.split == "whitespace":
            # White space of ASCII alone, as of bytes.
            return [[word.decode() for word in text.encode().split()] for text in texts.tolist()]
        found = self.split(texts)
        rows = found.tolist() if hasattr(found, "tolist") else list(found)
        return [[self._token(word) for word in row] for row in rows]

    def _tokenised(self, inputs: Any) -> np.ndarray:
        """The words of texts, with "" behind the last ones."""
        texts = self._standardized(self._array(inputs))
        if self.split is None:
            rows = texts[..., None] if texts.ndim == 1 and self._widths else texts
            if not self._widths:
                return rows
            words = rows.reshape(-1, rows.shape[-1]).tolist()
        else:
            if texts.ndim > 1:
                if texts.shape[-1] != 1:
                    raise ValueError(
                        f"{self.name}: inputs: expected texts along one axis, or with a last extent of 1, "
                        f"received shape {texts.shape}"
                    )
                texts = texts[..., 0]
            words = self._words(texts.reshape(-1))
        if self._widths:
            words = [list(_joined(row, self._widths)) for row in words]
        most = max(map(len, words), default=0)
        padded = np.array([row + [""] * (most - len(row)) for row in words], np.str_)
        lead = texts.shape if self.split is not None else texts.shape[:-1] or (len(words),)
        return padded.reshape((*lead, most))

    # As in Keras, the arguments are those of texts, and not those of `Lookup.adapt`.
    def adapt(  # type: ignore[override]
        self, data: Any, batch_size: int | None = None, steps: int | None = None
    ) -> None:
        """Makes the vocabulary of the words of texts, the most frequent first.

        Args:
            data: Texts: an array or a list; or batches of them, such as a `data.Dataset`.
            batch_size: How many texts of an array are split at once; None for 4096.
            steps: How many batches count; None for all of them.

        Raises:
            ValueError: The layer was made with a vocabulary.

        >>> from cnnrs import layers
        >>> layer = layers.TextVectorization(ngrams=2, output_mode="count")
        >>> layer.adapt(["a b", "a b c"])
        >>> layer.get_vocabulary(), layer(["a b a"]).tolist()
        (['[UNK]', 'b', 'a b', 'a', 'c', 'b c'], [[1, 1, 1, 2, 0, 0]])
        """
        size = _ROWS if batch_size is None else integer(batch_size, self.name, "batch_size", least=1)
        if isinstance(data, (list, tuple)) or hasattr(data, "shape"):
            texts = self._array(data)
            texts = texts[:, None] if texts.ndim == 1 else texts
            data = (texts[first : first + size] for first in range(0, len(texts), size))
        super().adapt(data, steps)

    def update_state(self, data: Any) -> None:
        """Counts the words of a batch of texts.

        Args:
            data: An array of texts, each of which is a document.

        Raises:
            ValueError: The layer was made with a vocabulary.
        """
        super().update_state(self._tokenised(data))

    def __call__(self, inputs: Any, **kwargs: Any) -> Any:
        """Texts of any form; see the class.

        Args:
            inputs: Texts: an array, a list, or a `StringTensor`.
            **kwargs: Further arguments of `call`, of layers that are made from this one.
        """
        self._refuse_recorded(inputs)
        words = self._tokenised(inputs)
        length = self.output_sequence_length
        if length is not None:
            words = words[..., :length]
            gap = [(0, 0)] * (words.ndim - 1) + [(0, length - words.shape[-1])]
            words = np.pad(words, gap, constant_values="")
        return super().__call__(words, **kwargs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the result; None for what is unknown.

        Args:
            input_shape: The shape of the texts.
        """
        shape = tuple(input_shape)
        if self.output_mode == "int":
            return (shape[0], self.output_sequence_length)
        words = (
            (*shape, 1) if self.split is None and len(shape) <= 1 else shape if self.split is None else None
        )
        return super().compute_output_shape((shape[0], None) if words is None else words)

    def get_config(self) -> dict[str, Any]:
        config = {k: v for k, v in super().get_config().items() if k not in _CHOSEN}
        return {
            **config,
            "standardize": _kept(self.standardize),
            "split": _kept(self.split),
            "ngrams": self.ngrams,
            "output_sequence_length": self.output_sequence_length,
            "ragged": self.ragged,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A layer of a configuration, also of Keras's.

        Args:
            config: What `get_config` gave.
        """
        made = dict(config)
        for name in ("standardize", "split"):
            if isinstance(made.get(name), dict):
                made[name] = deserialize_keras_object(made[name])
        if isinstance(made.get("ngrams"), list):
            made["ngrams"] = tuple(made["ngrams"])
        return super().from_config(made)


def _kept(value: Any) -> Any:
    return serialize_keras_object(value) if callable(value) else value


def _ngram_widths(ngrams: Any, owner: str) -> tuple[int, ...]:
    """The numbers of words that are joined; none for single words as they are."""
    if ngrams is None:
        return ()
    if isinstance(ngrams, (tuple, list)):
        return tuple(integer(width, owner, "ngrams", least=1) for width in ngrams)
    return tuple(range(1, integer(ngrams, owner, "ngrams", least=1) + 1))


def _joined(words: list[str], widths: tuple[int, ...]) -> Iterator[str]:
    for width in widths:
        for first in range(len(words) - width + 1):
            yield " ".join(words[first : first + width])

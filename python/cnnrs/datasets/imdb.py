"""IMDB: 50,000 reviews of films, half of them good (A. L. Maas et al., 2011), as ranks of words."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs.base.arguments import named
from cnnrs.datasets import sequences
from cnnrs.datasets.packed import load_npz
from cnnrs.datasets.sources import BUCKET, Split, fetch, shuffled

__all__ = ["get_word_index", "load_data"]

_SHA256 = "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f"
_INDEX_MD5 = "bfafd718b763782e994055a2d397834f"


@named
def load_data(
    path: Any = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> tuple[Split, Split]:
    """Loads the reviews, which are fetched once (17 MB). A word is its rank by frequency, plus `index_from`.

    Args:
        path: Name of the file in the folder of data sets, or a path with a folder, where it is kept then.
        num_words: Numbers from here on become `oov_char`; None keeps all.
        skip_top: Numbers below become `oov_char`.
        maxlen: Only reviews of less numbers are kept; None keeps all.
        seed: Of the order of the reviews, which is Keras's.
        start_char: The first number of each review; None for none.
        oov_char: What stands for words that are left out; None for nothing.
        index_from: What is added to each rank.

    Returns:
        `((x_train, y_train), (x_test, y_test))`: arrays of 25,000 lists of integers each, and int64 labels of
        shape `(25000,)`, 1 for good.

    Raises:
        OSError: The file is not there and cannot be fetched; the message says where it can be put by hand.
        ValueError: An argument is no such number, `maxlen` leaves nothing, or the file is damaged.

    Example:
        >>> from cnnrs.datasets import imdb
        >>> (x_train, y_train), (x_test, y_test) = imdb.load_data(num_words=10000)  # doctest: +SKIP
    """
    sequences.check(
        "load_data", num_words=num_words, skip_top=skip_top, maxlen=maxlen, seed=seed,
        start_char=start_char, oov_char=oov_char, index_from=index_from,
    )  # fmt: skip
    file = fetch(path, "load_data", f"{BUCKET}imdb.npz", _SHA256)
    x_train, y_train, x_test, y_test = load_npz(file, ("x_train", "y_train", "x_test", "y_test"))
    rng = np.random.RandomState(seed)
    parts = []
    for x, y in ((x_train, y_train), (x_test, y_test)):
        x, y = shuffled(rng, x, y)
        parts.append(sequences.shorter(sequences.numbered(x, start_char, index_from), y, maxlen))
    (train, y_train), (test, y_test) = parts
    if not train or not test:
        raise ValueError(f"load_data: maxlen: expected one that keeps reviews, received {maxlen}")
    chosen = sequences.selected(train + test, num_words, skip_top, oov_char)
    x_train, x_test = sequences.ragged(chosen[: len(train)]), sequences.ragged(chosen[len(train) :])
    return (x_train, y_train), (x_test, y_test)


@named
def get_word_index(path: Any = "imdb_word_index.json") -> dict[str, int]:
    """The ranks of words by frequency, from 1. The file is fetched once (1.6 MB).

    Args:
        path: Name of the file in the folder of data sets, or a path with a folder, where it is kept then.

    Returns:
        Ranks by words. The numbers of `load_data` are higher by its `index_from`.

    Raises:
        OSError: The file is not there and cannot be fetched; the message says where it can be put by hand.
        ValueError: The file is damaged.

    Example:
        >>> from cnnrs.datasets import imdb
        >>> words = {rank + 3: word for word, rank in imdb.get_word_index().items()}  # doctest: +SKIP
    """
    origin = f"{BUCKET}imdb_word_index.json"
    return sequences.word_index(fetch(path, "get_word_index", origin, _INDEX_MD5))

"""Reuters: 11,228 reports of a news agency in 46 topics (of Reuters-21578), as ranks of words."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs.base.arguments import integer, named, number
from cnnrs.datasets import sequences
from cnnrs.datasets.packed import load_npz
from cnnrs.datasets.sources import BUCKET, Split, fetch, shuffled

__all__ = ["get_label_names", "get_word_index", "load_data"]

_SHA256 = "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916"
_INDEX_MD5 = "4d44cc38712099c9e383dc6e5f11a921"
_TOPICS = """
cocoa grain veg-oil earn acq wheat copper housing money-supply coffee sugar trade reserves ship
cotton carcass crude nat-gas cpi money-fx interest gnp meal-feed alum oilseed gold tin
strategic-metal livestock retail ipi iron-steel rubber heat jobs lei bop zinc orange pet-chem dlr
gas silver wpi hog lead
"""


@named
def load_data(
    path: Any = "reuters.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> tuple[Split, Split]:
    """Loads the reports, which are fetched once (2 MB). A word is its rank by frequency, plus `index_from`.

    Args:
        path: Name of the file in the folder of data sets, or a path with a folder, where it is kept then.
        num_words: Numbers from here on become `oov_char`; None keeps all.
        skip_top: Numbers below become `oov_char`.
        maxlen: Only reports of less numbers are kept; None keeps all.
        test_split: The part that becomes the test set, from 0 to 1.
        seed: Of the order of the reports, which is Keras's.
        start_char: The first number of each report; None for none.
        oov_char: What stands for words that are left out; None for nothing.
        index_from: What is added to each rank.

    Returns:
        `((x_train, y_train), (x_test, y_test))`: arrays of lists of integers, and int64 labels 0 to 45.

    Raises:
        OSError: The file is not there and cannot be fetched; the message says where it can be put by hand.
        ValueError: An argument is no such number, `maxlen` leaves nothing, or the file is damaged.

    Example:
        >>> from cnnrs.datasets import reuters
        >>> (x_train, y_train), (x_test, y_test) = reuters.load_data(num_words=10000)  # doctest: +SKIP
    """
    sequences.check(
        "load_data", num_words=num_words, skip_top=skip_top, maxlen=maxlen,
        start_char=start_char, oov_char=oov_char, index_from=index_from,
    )  # fmt: skip
    part = number(test_split, "load_data", "test_split", least=0, most=1)
    rng = np.random.RandomState(integer(seed, "load_data", "seed", least=0))
    file = fetch(path, "load_data", f"{BUCKET}reuters.npz", _SHA256)
    x, y = shuffled(rng, *load_npz(file, ("x", "y")))
    kept, y = sequences.shorter(sequences.numbered(x, start_char, index_from), y, maxlen)
    if not kept:
        raise ValueError(f"load_data: maxlen: expected one that keeps reports, received {maxlen}")
    x = sequences.ragged(sequences.selected(kept, num_words, skip_top, oov_char))
    cut = int(len(x) * (1 - part))
    return (x[:cut], y[:cut]), (x[cut:], y[cut:])


@named
def get_word_index(path: Any = "reuters_word_index.json") -> dict[str, int]:
    """The ranks of words by frequency, from 1. The file is fetched once (0.6 MB).

    Args:
        path: Name of the file in the folder of data sets, or a path with a folder, where it is kept then.

    Returns:
        Ranks by words. The numbers of `load_data` are higher by its `index_from`.

    Raises:
        OSError: The file is not there and cannot be fetched; the message says where it can be put by hand.
        ValueError: The file is damaged.

    Example:
        >>> from cnnrs.datasets import reuters
        >>> words = {rank + 3: word for word, rank in reuters.get_word_index().items()}  # doctest: +SKIP
    """
    origin = f"{BUCKET}reuters_word_index.json"
    return sequences.word_index(fetch(path, "get_word_index", origin, _INDEX_MD5))


def get_label_names() -> tuple[str, ...]:
    """The names of the topics in the order of the labels.

    >>> from cnnrs.datasets import reuters
    >>> reuters.get_label_names()[:3]
    ('cocoa', 'grain', 'veg-oil')
    """
    return tuple(_TOPICS.split())

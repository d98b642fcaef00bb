"""Texts as lists of the ranks of their words: what `imdb` and `reuters` have in common."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from cnnrs.base.arguments import integer

__all__ = ["numbered", "ragged", "selected", "word_index"]


def numbered(sequences: Any, start_char: int | None, index_from: int) -> list[list[int]]:
    """Sequences whose words are moved up by `index_from`, behind a first number."""
    start = [] if start_char is None else [start_char]
    return [[*start, *(word + index_from for word in sequence)] for sequence in sequences]


def shorter(
    sequences: list[list[int]], labels: np.ndarray, maxlen: int | None
) -> tuple[list[list[int]], np.ndarray]:
    """The sequences of less than `maxlen` numbers, with their labels."""
    if not maxlen:
        return sequences, labels
    kept = [i for i, sequence in enumerate(sequences) if len(sequence) < maxlen]
    return [sequences[i] for i in kept], labels[kept]


def selected(
    sequences: list[list[int]], num_words: int | None, skip_top: int, oov_char: int | None
) -> list[list[int]]:
    """Sequences with the numbers from `skip_top` to `num_words`; others are `oov_char`, or left out."""
    end = num_words or max(map(max, sequences))
    if oov_char is None:
        return [[word for word in sequence if skip_top <= word < end] for sequence in sequences]
    return [[word if skip_top <= word < end else oov_char for word in sequence] for sequence in sequences]


def ragged(sequences: list[list[int]]) -> np.ndarray:
    """An array of lists."""
    array = np.empty(len(sequences), object)
    array[:] = sequences
    return array


def check(function: str, **given: Any) -> None:
    """Raises a ValueError for an argument that is no integer of at least 0, or None."""
    for argument, value in given.items():
        if value is not None:
            integer(value, function, argument, least=0)


def word_index(path: str) -> dict[str, int]:
    """Ranks by words."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not a JSON file of words, or damaged: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path}: expected ranks by words, received {type(found).__name__}")
    return found

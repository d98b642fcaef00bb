"""Sequences of different lengths as one array, and windows of a long one."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs.base.arguments import integer
from cnnrs.utils.data_set import Dataset, check_format

__all__ = ["pad_sequences", "timeseries_dataset_from_array"]


def pad_sequences(
    sequences: Any,
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Brings sequences to one length.

    Args:
        sequences: A list of sequences, whose entries have one shape.
        maxlen: The length; None takes that of the longest.
        dtype: Element type of the result.
        padding: Where shorter sequences are filled: "pre" or "post".
        truncating: Where longer sequences are cut: "pre" or "post".
        value: What fills.

    Returns:
        Array of shape (sequences, maxlen, ...).

    Raises:
        ValueError: An entry is no sequence, entries have different shapes, or an argument is none of the
            values above.

    Example:
        >>> from cnnrs import utils
        >>> utils.pad_sequences([[1], [2, 3], [4, 5, 6]], maxlen=2).tolist()
        [[0, 1], [2, 3], [5, 6]]
    """
    for argument, word in (("padding", padding), ("truncating", truncating)):
        if word not in ("pre", "post"):
            raise ValueError(f"pad_sequences: {argument}: expected 'pre' or 'post', received {word!r}")
    if not hasattr(sequences, "__len__"):
        raise ValueError(f"pad_sequences: sequences: expected a list, received {type(sequences).__name__}")
    odd = [entry for entry in sequences if not hasattr(entry, "__len__")]
    if odd:
        raise ValueError(f"pad_sequences: sequences: expected a list of sequences, received {odd[0]!r} in it")
    text = np.issubdtype(dtype, np.str_) or np.issubdtype(dtype, np.bytes_)
    if isinstance(value, str) and dtype is not object and not text:
        raise ValueError(
            f"pad_sequences: dtype: expected object for a value that is text, received {dtype!r}"
        )
    maximum = None if maxlen is None else integer(maxlen, "pad_sequences", "maxlen", least=0)
    full = [entry for entry in sequences if len(entry)]
    shape = np.asarray(full[0]).shape[1:] if full else ()
    length = max(map(len, sequences), default=0) if maximum is None else maximum
    result = np.full((len(sequences), length, *shape), value, dtype=dtype)
    for row, entry in zip(result, sequences, strict=True):
        kept = np.asarray(entry[-length:] if truncating == "pre" else entry[:length], dtype=dtype)
        if not len(kept) or not length:
            continue
        if kept.shape[1:] != shape:
            raise ValueError(
                f"pad_sequences: sequences: expected entries of shape {shape}, received {kept.shape[1:]}"
            )
        if padding == "pre":
            row[-len(kept) :] = kept
        else:
            row[: len(kept)] = kept
    return result


def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
    format: str = "tf",
) -> Dataset:
    """Cuts windows out of a long sequence.

    Args:
        data: Array whose first axis is time.
        targets: The target of the window that begins at each time; None for none.
        sequence_length: How many steps a window has.
        sequence_stride: Distance of the beginnings of neighbouring windows.
        sampling_rate: Distance of the steps within a window.
        batch_size: Windows of a batch; None for single windows.
        shuffle: Whether windows come in random order, another one each time.
        seed: Of this order; None draws one.
        start_index: The first time that is used; None for 0.
        end_index: The time behind the last one that is used; None for all.
        format: "tf" or "grain"; with "grain" the random order is the same each time.

    Returns:
        A `Dataset` of windows, or of pairs of windows and targets.

    Raises:
        ValueError: A number does not fit the data.

    Example:
        >>> import numpy as np
        >>> from cnnrs import utils
        >>> windows = utils.timeseries_dataset_from_array(np.arange(5), None, 3)
        >>> next(iter(windows)).tolist()
        [[0, 1, 2], [1, 2, 3], [2, 3, 4]]
    """
    name, length = "timeseries_dataset_from_array", len(data)
    check_format(name, format)
    sequence_length = integer(sequence_length, name, "sequence_length", least=1)
    for argument, number, least in (("start_index", start_index, 0), ("end_index", end_index, 1)):
        if number and not least <= number < length:
            raise ValueError(f"{name}: {argument}: expected {least} to {length - 1}, received {number}")
    if start_index and end_index and end_index <= start_index:
        raise ValueError(
            f"{name}: end_index: expected more than start_index {start_index}, received {end_index}"
        )
    for argument, step in (("sampling_rate", sampling_rate), ("sequence_stride", sequence_stride)):
        integer(step, name, argument)
        if not 0 < step < length:
            raise ValueError(f"{name}: {argument}: expected 1 to {length - 1}, received {step}")
    start, end = start_index or 0, end_index or length
    count = end - start - (sequence_length - 1) * sampling_rate
    if targets is not None:
        count = min(count, len(targets))
    begins = np.arange(0, max(count, 0), sequence_stride)
    steps = np.arange(sequence_length) * sampling_rate
    used = np.asarray(data)[start:end]
    goals = None if targets is None else np.asarray(targets)[start:end]

    def window(index: int) -> Any:
        entry = used[begins[index] + steps]
        return entry if goals is None else (entry, goals[begins[index]])

    windows = Dataset.of_function(window, len(begins))
    if shuffle:
        windows = windows.shuffle(len(begins), seed, reshuffle_each_iteration=format == "tf")
    return windows if batch_size is None else windows.batch(batch_size)

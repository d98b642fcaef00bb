"""`split_dataset`: samples of arrays or of a data set as two data sets."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs.data import Dataset
from cnnrs.random import draw_seed

__all__ = ["Dataset", "check_format", "split_dataset"]


def check_format(function: str, format: str) -> None:
    """Raises a ValueError unless `format` is one of Keras's."""
    if format not in ("tf", "grain"):
        raise ValueError(f"{function}: format: expected 'tf' or 'grain', received {format!r}")


def _samples(dataset: Any) -> list[Any]:
    """The samples of arrays or of a data set."""
    if isinstance(dataset, Dataset):
        return list(dataset.as_numpy_iterator())
    if isinstance(dataset, np.ndarray) or hasattr(dataset, "numpy"):
        return list(dataset.numpy() if hasattr(dataset, "numpy") else dataset)
    if isinstance(dataset, (list, tuple)) and dataset:
        arrays = [part.numpy() if hasattr(part, "numpy") else np.asarray(part) for part in dataset]
        if any(array.ndim == 0 for array in arrays):
            raise TypeError(f"split_dataset: dataset: expected arrays in a sequence, received {dataset!r}")
        if len({len(array) for array in arrays}) > 1:
            raise ValueError(
                "split_dataset: dataset: expected arrays of one length, "
                f"received {[len(array) for array in arrays]}"
            )
        return list(zip(*arrays, strict=True))
    if hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__") and not isinstance(dataset, dict):
        return [dataset[i] for i in range(len(dataset))]
    raise TypeError(
        f"split_dataset: dataset: expected arrays or a data set, received {type(dataset).__name__}"
    )


def split_dataset(
    dataset: Any,
    left_size: float | None = None,
    right_size: float | None = None,
    shuffle: bool = False,
    seed: int | None = None,
    preferred_backend: str | None = None,
) -> tuple[Dataset, Dataset]:
    """Splits samples into two data sets.

    Args:
        dataset: An array, a list or tuple of arrays whose entries belong together, or a data set: a
            `Dataset`, or what has an index and a length.
        left_size: How many samples the first one gets, or which part of them; None for the rest.
        right_size: The same of the second one.
        shuffle: Whether the samples are brought to a random order first.
        seed: Of this order; None draws one.
        preferred_backend: None; there is one kind of data set.

    Returns:
        Two `Dataset`s of single samples.

    Raises:
        TypeError: `dataset` is none of these, or a size is no number.
        ValueError: The sizes do not fit the number of samples.

    Example:
        >>> import numpy as np
        >>> from cnnrs import utils
        >>> left, right = utils.split_dataset(np.arange(10), right_size=0.3)
        >>> len(left), [int(x) for x in right]
        (7, [7, 8, 9])
    """
    if preferred_backend is not None:
        raise ValueError(f"split_dataset: preferred_backend: expected None, received {preferred_backend!r}")
    samples = _samples(dataset)
    total = len(samples)
    sizes = [
        _size(total, name, size) for name, size in (("left_size", left_size), ("right_size", right_size))
    ]
    if sizes == [None, None]:
        raise ValueError("split_dataset: left_size, right_size: expected at least one of them")
    left = total - (sizes[1] or 0) if sizes[0] is None else sizes[0]
    right = total - left if sizes[1] is None else sizes[1]
    if left + right > total or left <= 0 or right <= 0:
        raise ValueError(
            f"split_dataset: left_size, right_size: expected two parts of {total} samples, "
            f"received {left_size} and {right_size}"
        )
    if shuffle:
        order = np.random.default_rng(draw_seed() if seed is None else seed).permutation(total)
        samples = [samples[i] for i in order]
    parts = samples[:left], samples[total - right :]
    first, second = (Dataset.of_function(part.__getitem__, len(part)) for part in parts)
    return first, second


def _size(total: int, name: str, size: Any) -> int | None:
    if size is None:
        return None
    if isinstance(size, bool) or not isinstance(size, (int, float)):
        raise TypeError(
            f"split_dataset: {name}: expected an integer or a number from 0 to 1, received {size!r}"
        )
    if not 0 < size <= total or (isinstance(size, float) and size >= 1):
        raise ValueError(
            f"split_dataset: {name}: expected 1 to {total} samples, or a part between 0 and 1, "
            f"received {size!r}"
        )
    return round(size * total) if isinstance(size, float) else size

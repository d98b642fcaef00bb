"""California housing: 20,640 districts of the census of 1990 with 8 numbers each, and the price of a home."""

from __future__ import annotations

from typing import Any

from cnnrs.base.arguments import named
from cnnrs.datasets.packed import load_npz
from cnnrs.datasets.sources import BUCKET, Split, fetch, splitter

__all__ = ["load_data"]

_SHA256 = "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f"
_ROWS = {"large": None, "small": 600}


@named
def load_data(
    version: str = "large",
    path: Any = "california_housing.npz",
    test_split: float = 0.2,
    seed: int = 113,
) -> tuple[Split, Split]:
    """Loads the districts, which are fetched once (0.7 MB).

    Args:
        version: "large" for all 20,640 districts, "small" for the first 600, which are in the region of San
            Francisco.
        path: Name of the file in the folder of data sets, or a path with a folder, where it is kept then.
        test_split: The part that becomes the test set, from 0 to below 1.
        seed: Of the order of the districts, which is Keras's.

    Returns:
        `((x_train, y_train), (x_test, y_test))`: arrays of shape `(n, 8)` with longitude, latitude, median
        age of homes, rooms, bedrooms, inhabitants, households and median income, and prices of shape `(n,)`
        in dollars.

    Raises:
        OSError: The file is not there and cannot be fetched; the message says where it can be put by hand.
        ValueError: An argument is none of these, or the file is damaged.

    Example:
        >>> from cnnrs.datasets import california_housing
        >>> (x_train, y_train), (x_test, y_test) = california_housing.load_data("small")  # doctest: +SKIP
    """
    if not isinstance(version, str) or version not in _ROWS:
        raise ValueError(f"load_data: version: expected 'large' or 'small', received {version!r}")
    split = splitter("load_data", test_split, seed)
    x, y = load_npz(fetch(path, "load_data", f"{BUCKET}california_housing.npz", _SHA256), ("x", "y"))
    return split(x[: _ROWS[version]], y[: _ROWS[version]])

"""Boston housing: 506 districts of the 1970s with 13 numbers each, and the median price of a home.

One of the numbers was made to express the share of black inhabitants, assuming that it lowers prices. The set
is here because scripts use it; `california_housing` takes its place.
"""

from __future__ import annotations

from typing import Any

from cnnrs.base.arguments import named
from cnnrs.datasets.packed import load_npz
from cnnrs.datasets.sources import BUCKET, Split, fetch, splitter

__all__ = ["load_data"]

_SHA256 = "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5"


@named
def load_data(
    path: Any = "boston_housing.npz", test_split: float = 0.2, seed: int = 113
) -> tuple[Split, Split]:
    """Loads the districts, which are fetched once (57 kB).

    Args:
        path: Name of the file in the folder of data sets, or a path with a folder, where it is kept then.
        test_split: The part that becomes the test set, from 0 to below 1.
        seed: Of the order of the districts, which is Keras's.

    Returns:
        `((x_train, y_train), (x_test, y_test))`: float64 arrays of shape `(n, 13)`, and prices of shape
        `(n,)` in thousands of dollars.

    Raises:
        OSError: The file is not there and cannot be fetched; the message says where it can be put by hand.
        ValueError: An argument is no such number, or the file is damaged.

    Example:
        >>> from cnnrs.datasets import boston_housing
        >>> (x_train, y_train), (x_test, y_test) = boston_housing.load_data()  # doctest: +SKIP
    """
    split = splitter("load_data", test_split, seed)
    x, y = load_npz(fetch(path, "load_data", f"{BUCKET}boston_housing.npz", _SHA256), ("x", "y"))
    return split(x, y)

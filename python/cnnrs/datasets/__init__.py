"""Data sets, as numpy arrays: `mnist` ships with the package, `shapes` is drawn, others are fetched.

They go to `$CNNRS_HOME/datasets`, or `~/.cnnrs/datasets`, and are checked; files of Keras are used where they
are the same. docs/datasets.md lists sizes, addresses and licences.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnnrs.datasets import boston_housing as boston_housing
    from cnnrs.datasets import california_housing as california_housing
    from cnnrs.datasets import cifar10 as cifar10
    from cnnrs.datasets import cifar100 as cifar100
    from cnnrs.datasets import fashion_mnist as fashion_mnist
    from cnnrs.datasets import imdb as imdb
    from cnnrs.datasets import mnist as mnist
    from cnnrs.datasets import reuters as reuters
    from cnnrs.datasets import shapes as shapes

__all__ = [
    "boston_housing",
    "california_housing",
    "cifar10",
    "cifar100",
    "fashion_mnist",
    "imdb",
    "mnist",
    "reuters",
    "shapes",
]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    from cnnrs.base.suggest import without

    return without("cnnrs.datasets", {}, __all__)(name)


def __dir__() -> list[str]:
    return sorted(__all__)

"""Data sets, as numpy arrays: `mnist` ships with the package."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnnrs.datasets import mnist as mnist

__all__ = ["mnist"]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    from cnnrs.base.absent import OF_DATASETS
    from cnnrs.base.suggest import without

    return without("cnnrs.datasets", OF_DATASETS, __all__)(name)


def __dir__() -> list[str]:
    return sorted(__all__)

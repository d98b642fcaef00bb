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
    from cnnrs.base.suggest import did_you_mean, no_attribute

    raise no_attribute("cnnrs.datasets", name, did_you_mean(name, __all__))


def __dir__() -> list[str]:
    return sorted(__all__)

"""Names of a package whose modules are loaded when one of them is first used."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["late", "names_of"]


def names_of(modules: Mapping[str, str]) -> list[str]:
    """All names of a table: modules, and for each the names that it has, with spaces between.

    >>> names_of({"attention.channel": "ChannelAttention ECA", "blocks": "ASPP"})
    ['ChannelAttention', 'ECA', 'ASPP']
    """
    return [name for names in modules.values() for name in names.split()]


def late(
    package: str, modules: Mapping[str, str], otherwise: Callable[[str], Any]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """A package's `__getattr__`, which loads the module that has a name and keeps the name in the package.

    And its `__dir__`: shells complete names that nobody has used yet, too.

    The folders and modules of the table are attributes, too: `layers.blocks` is `cnnrs.layers.blocks`.

    Args:
        package: Name of the package.
        modules: Modules below it, and for each the names that it has, with spaces between.
        otherwise: What is called with a name that no module has: it raises `AttributeError`.
    """
    homes = {name: module for module, names in modules.items() for name in names.split()}
    folders = {module.split(".")[0] for module in modules}

    def __getattr__(name: str) -> Any:
        if name in homes:
            value = getattr(importlib.import_module(f"{package}.{homes[name]}"), name)
        elif name in folders:
            return importlib.import_module(f"{package}.{name}")
        else:
            return otherwise(name)
        setattr(sys.modules[package], name, value)
        return value

    def __dir__() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes, *folders})

    return __getattr__, __dir__

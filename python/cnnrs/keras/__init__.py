"""Keras's namespace, and what gives it to scripts as `keras` and `tensorflow`.

`from cnnrs import keras` is the package under the name that scripts use. `python -m cnnrs.keras script.py`
runs a script as it is: its imports of `keras`, `tensorflow`, `tensorflow.keras` and `tf_keras` give cnnrs. In
notebooks `%load_ext cnnrs.keras` does so for the cells that follow.

>>> from cnnrs import keras, layers
>>> keras.layers is layers
True
"""

from __future__ import annotations

from typing import Any

import cnnrs
from cnnrs.keras.paths import KERAS_VERSION

__all__ = [*(name for name in cnnrs.__all__ if name != "__version__"), "__version__"]

# Of the Keras whose names these are.
__version__ = KERAS_VERSION


def version() -> str:
    """The release of Keras whose names and rules cnnrs follows.

    >>> from cnnrs import keras
    >>> keras.version() == keras.__version__
    True
    """
    return KERAS_VERSION


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext cnnrs.keras`: imports in later cells give cnnrs.

    Args:
        shell: IPython's shell.

    Raises:
        ImportError: Keras or TensorFlow is loaded already.
    """
    from cnnrs.keras import aliases

    aliases.install()
    aliases.announce("this notebook")


def unload_ipython_extension(shell: Any) -> None:
    """`%unload_ext cnnrs.keras`: imports give again what is installed."""
    from cnnrs.keras import aliases

    aliases.uninstall()


# Its own modules, which imports look for here before they look for files.
_OWN = frozenset(["aliases", "paths", "running"])


def __getattr__(name: str) -> Any:
    if name in _OWN:
        raise AttributeError(name)
    return getattr(cnnrs, name)


def __dir__() -> list[str]:
    return sorted({*__all__, *dir(cnnrs)})

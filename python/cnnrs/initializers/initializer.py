"""The base class of initializers."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs.base.arguments import NamedArguments

__all__ = ["Initializer"]


class Initializer(NamedArguments):
    """Base class: subclasses define `__call__(shape, dtype=None)` and `get_config()`.

    >>> import numpy as np
    >>> from cnnrs import initializers
    >>> class Half(initializers.Initializer):
    ...     def __call__(self, shape, dtype=None):
    ...         return np.full(shape, 0.5, dtype or "float32")
    >>> Half()((2,)).tolist()
    [0.5, 0.5]
    """

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        raise NotImplementedError(f"{type(self).__name__} must define __call__(shape, dtype=None)")

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Initializer:
        """The initializer of a config."""
        return cls(**config)

    def clone(self) -> Initializer:
        """An initializer of the same config."""
        return type(self).from_config(self.get_config())

    def __repr__(self) -> str:
        arguments = ", ".join(f"{k}={v!r}" for k, v in self.get_config().items())
        return f"{type(self).__name__}({arguments})"

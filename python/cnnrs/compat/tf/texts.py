"""Functions that move elements move texts too: they move numbers of texts, whose places these then take."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from cnnrs import _core, ops, tree
from cnnrs.data.strings import StringTensor

__all__ = ["moves"]

F = TypeVar("F", bound=Callable[..., Any])


def moves(function: F) -> F:
    """Makes a function of tensors that moves elements, and computes nothing of them, one of texts too.

    >>> moves(ops.flip)(StringTensor(["a", "b"])).tolist()
    [b'b', b'a']
    """

    @functools.wraps(function)
    def moved(*args: Any, **kwargs: Any) -> Any:
        if not any(isinstance(leaf, StringTensor) for leaf in tree.flatten((args, kwargs))):
            return function(*args, **kwargs)
        pool: list[bytes] = []

        def numbered(leaf: Any) -> Any:
            if not isinstance(leaf, StringTensor):
                return leaf
            first = len(pool)
            pool.extend(leaf.array.ravel().tolist())
            return ops.array(np.arange(first, len(pool), dtype=np.int32).reshape(leaf.shape))

        result = function(*tree.map_structure(numbered, args), **tree.map_structure(numbered, kwargs))
        texts = np.empty(len(pool), object)
        texts[:] = pool
        return tree.map_structure(
            lambda leaf: StringTensor(texts[leaf.numpy()]) if isinstance(leaf, _core.Tensor) else leaf, result
        )

    return moved  # type: ignore[return-value]  # it has the signature of what it wraps

"""`tf.print`: values as TensorFlow writes them.

>>> import sys
>>> import cnnrs.compat.tf as tf
>>> tf.print("loss:", tf.constant([1.0, 0.5]), output_stream=sys.stdout)
loss: [1 0.5]
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import numpy as np

from cnnrs import _core, tree
from cnnrs.base.arguments import integer
from cnnrs.data.strings import StringTensor

__all__ = ["print_values", "shown"]


def _number(value: Any) -> str:
    """A number in the fewest of six or nine digits that give it back."""
    if isinstance(value, (np.floating, float)):
        text = f"{value:.6g}"
        return text if type(value)(text) == value or value != value else f"{value:.9g}"
    if isinstance(value, bytes):
        return '"' + value.decode("utf-8", "replace") + '"'
    return str(int(value)) if isinstance(value, (np.bool_, bool)) else str(value)


def _rows(array: np.ndarray, edge: int) -> str:
    if array.ndim == 0:
        return _number(array[()])
    many = len(array)
    parts = [_rows(np.asarray(part), edge) if array.ndim > 1 else _number(part) for part in array]
    if 0 <= edge and many > 2 * edge:
        parts = [*parts[:edge], "...", *parts[many - edge :]]
    return "[" + (" " if array.ndim == 1 else "\n ").join(parts) + "]"


def shown(value: Any, summarize: int = 3) -> str:
    """A value as TensorFlow writes it: of each axis the first and last `summarize` elements; all for -1."""
    if isinstance(value, (str, bytes)):
        return value if isinstance(value, str) else value.decode("utf-8", "replace")
    if isinstance(value, StringTensor):
        return shown(value.item()) if value.ndim == 0 else _rows(value.array, summarize)
    if isinstance(value, (_core.Tensor, _core.Variable, np.ndarray, np.generic)):
        return _rows(np.asarray(value), summarize)
    if isinstance(value, (list, tuple, dict)):
        return str(tree.map_structure(lambda x: _Verbatim(shown(x, summarize)), value))
    return str(value)


class _Verbatim(str):
    """A text that stands without quotes in a list."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def print_values(
    *inputs: Any,
    output_stream: Any = None,
    summarize: int = 3,
    sep: str = " ",
    end: str = "\n",
    name: str | None = None,
) -> None:
    """Writes values, tensors with the first and last elements of each axis.

    Args:
        *inputs: Tensors, texts, numbers and structures of them.
        output_stream: `sys.stderr` if None, another stream, a function of `logging`, or "file://path".
        summarize: How many elements at both ends of an axis; -1 for all.
        sep: Between values.
        end: Behind them.
        name: What begins the message of an error.
    """
    many = integer(summarize, name or "tf.print", "summarize", least=-1)
    text = sep.join(shown(x, many) for x in inputs) + end
    if isinstance(output_stream, str) and output_stream.startswith("file://"):
        with open(output_stream.removeprefix("file://"), "a", encoding="utf-8") as file:
            file.write(text)
    elif callable(output_stream) and getattr(output_stream, "__module__", "") == logging.__name__:
        output_stream(text.removesuffix("\n"))
    else:
        stream = sys.stderr if output_stream is None else output_stream
        if not hasattr(stream, "write"):
            raise ValueError(
                f"tf.print: output_stream: expected a stream or file://path, received {output_stream!r}"
            )
        stream.write(text)
        stream.flush()

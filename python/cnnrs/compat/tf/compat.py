"""`tf.compat`: texts as bytes and back; TensorFlow 1 is not there.

>>> import cnnrs.compat.tf as tf
>>> tf.compat.as_bytes("é"), tf.compat.as_str(b"cat")
(b'\\xc3\\xa9', 'cat')
"""

from __future__ import annotations

import os
from typing import Any

from cnnrs.compat.tf.namespaces import unknown

__all__ = ["as_bytes", "as_str", "as_str_any", "as_text", "path_to_str"]


def as_bytes(bytes_or_text: Any, encoding: str = "utf-8") -> bytes:
    """A text as bytes.

    Raises:
        TypeError: It is neither.
    """
    if isinstance(bytes_or_text, str):
        return bytes_or_text.encode(encoding)
    if isinstance(bytes_or_text, (bytes, bytearray)):
        return bytes(bytes_or_text)
    raise TypeError(f"as_bytes: expected text or bytes, received {bytes_or_text!r}")


def as_text(bytes_or_text: Any, encoding: str = "utf-8") -> str:
    """Bytes as a text.

    Raises:
        TypeError: It is neither.
    """
    if isinstance(bytes_or_text, str):
        return bytes_or_text
    if isinstance(bytes_or_text, bytes):
        return bytes_or_text.decode(encoding)
    raise TypeError(f"as_text: expected text or bytes, received {bytes_or_text!r}")


as_str = as_text


def as_str_any(value: Any, encoding: str = "utf-8") -> str:
    """Bytes as a text, and anything else as `str` gives it."""
    return as_text(value, encoding) if isinstance(value, bytes) else str(value)


def path_to_str(path: Any) -> Any:
    """A path as a text."""
    return os.fspath(path) if hasattr(path, "__fspath__") else path


__getattr__ = unknown(
    "tf.compat",
    {
        "v1": "TensorFlow 1 is gone: its graphs and sessions have no place here; use the names of tf",
        "v2": "use tf",
    },
    __all__,
)

"""TOML files: tables of plain values, read by the standard library and written here, which it does not do."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["dumps", "load", "loads"]

if sys.version_info >= (3, 11):
    import tomllib
else:
    # The same parser; a dependency of the package on Python 3.10 alone.
    import tomli as tomllib

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def load(path: Any) -> dict[str, Any]:
    """The tables of a file.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no TOML; the message names the file and the line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected a TOML file in UTF-8: {error.reason}") from error
    return loads(text, str(path))


def loads(text: str, name: str = "TOML") -> dict[str, Any]:
    """The tables of a text.

    Args:
        text: The text.
        name: What errors call it.

    Raises:
        ValueError: It is no TOML.

    >>> loads("[training]\\nepochs = 3")
    {'training': {'epochs': 3}}
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{name}: expected TOML: {error}") from error


def dumps(tables: Mapping[str, Any]) -> str:
    """The text of tables of numbers, texts, booleans, lists and further tables. What is None is left out.

    >>> print(dumps({"data": {"image_size": [32, 32], "name": 'the "best"'}}), end="")
    [data]
    image_size = [32, 32]
    name = "the \\"best\\""
    """
    return "\n".join(_table(tables, ()))


def _table(values: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    plain = [(k, v) for k, v in values.items() if v is not None and not isinstance(v, Mapping)]
    lines = [f"{_key(key)} = {_value(value)}\n" for key, value in plain]
    parts = (
        ["".join([f"[{'.'.join(map(_key, path))}]\n", *lines])] if path and (lines or not values) else lines
    )
    for key, value in values.items():
        if isinstance(value, Mapping):
            parts += _table(value, (*path, key))
    return parts


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _text(text: str) -> str:
    # Of JSON's escapes TOML knows all but those of the solidus and of surrogates, which do not come up here.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if math.isfinite(value):
            return repr(value)
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items() if v is not None) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_value, value)) + "]"
    raise TypeError(f"TOML: expected a number, a text, a boolean, a list or a table, received {value!r}")

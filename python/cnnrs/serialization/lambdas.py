"""Functions of Python as data: code, which is read with consent only, for it may do anything."""

from __future__ import annotations

import base64
import marshal
import types
from typing import Any

from cnnrs.base.consent import CodeRefusedError, code_allowed

__all__ = ["dump", "load"]


def dump(function: Any) -> dict[str, Any]:
    """A function as data, in Keras's form.

    Args:
        function: A function of Python.
    """
    code = base64.encodebytes(marshal.dumps(function.__code__)).decode("ascii")
    closure = [cell.cell_contents for cell in function.__closure__ or ()] or None
    defaults = function.__defaults__
    return {
        "class_name": "__lambda__",
        "config": {"value": {"code": code, "defaults": defaults, "closure": closure}},
    }


def load(config: Any) -> Any:
    """The function that `dump`, or Keras, made data of.

    Raises:
        CodeRefusedError: Nobody consented to code.
        ValueError: It is damaged, or of another version of Python.
    """
    if not code_allowed():
        raise CodeRefusedError(
            "the file holds a lambda, that is code of Python, which may do anything: it is not read. If you "
            "trust the file, pass safe_mode=False or call cnnrs.config.enable_unsafe_deserialization()"
        )
    value = config.get("value", config) if isinstance(config, dict) else config
    if isinstance(value, (list, tuple)) and len(value) == 3:
        value = dict(zip(("code", "defaults", "closure"), value, strict=True))
    try:
        code = marshal.loads(base64.decodebytes(value["code"].encode("ascii")))
        defaults, closure = value.get("defaults"), value.get("closure")
        cells = tuple(types.CellType(cell) for cell in closure) if closure else None
        names = {"__builtins__": __builtins__}
        return types.FunctionType(code, names, code.co_name, tuple(defaults) if defaults else None, cells)
    except (ValueError, TypeError, KeyError, EOFError, AttributeError) as error:
        raise ValueError(
            "the code of a lambda is damaged, or of another version of Python: "
            f"{type(error).__name__}: {error}"
        ) from error

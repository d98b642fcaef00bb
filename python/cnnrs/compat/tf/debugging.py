"""`tf.debugging`: checks of values. While a function is recorded there are none, and an error says so.

>>> import cnnrs.compat.tf as tf
>>> tf.debugging.assert_equal(tf.constant([1, 2]), [1, 2])
>>> try:
...     tf.debugging.assert_positive([1.0, -1.0], message="loss")
... except tf.errors.InvalidArgumentError as error:
...     print(error)
loss: expected numbers > 0, received [1.0, -1.0]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnnrs import config
from cnnrs.compat.tf.arguments import tensor
from cnnrs.compat.tf.dtypes import as_dtype
from cnnrs.compat.tf.namespaces import unknown
from cnnrs.compat.tf.tensors import Assert, is_tensor

__all__ = [
    "Assert",
    "assert_all_finite",
    "assert_equal",
    "assert_greater",
    "assert_greater_equal",
    "assert_integer",
    "assert_less",
    "assert_less_equal",
    "assert_near",
    "assert_negative",
    "assert_non_negative",
    "assert_non_positive",
    "assert_none_equal",
    "assert_positive",
    "assert_rank",
    "assert_rank_at_least",
    "assert_rank_in",
    "assert_scalar",
    "assert_shapes",
    "assert_type",
    "check_numerics",
    "disable_check_numerics",
    "disable_traceback_filtering",
    "enable_check_numerics",
    "is_numeric_tensor",
]


def _shown(x: Any, summarize: int | None) -> str:
    flat = np.asarray(x).reshape(-1)
    many = 3 if summarize is None else summarize
    return str(flat[: many if many >= 0 else None].tolist())


def _fail(message: str | None, name: str | None, text: str) -> None:
    lead = ": ".join(part for part in (name, message) if part)
    raise ValueError(f"{lead}: {text}" if lead else text)


def _of_two(word: str, holds: Callable[[Any, Any], Any]) -> Any:
    def check(
        x: Any, y: Any, message: str | None = None, summarize: int | None = None, name: str | None = None
    ) -> None:
        a, b = np.asarray(x), np.asarray(y)
        try:
            fine = bool(np.all(holds(a, b)))
        except ValueError:
            fine = False
        if not fine:
            _fail(
                message,
                name,
                f"expected x {word} y, received {_shown(a, summarize)} and {_shown(b, summarize)}",
            )

    check.__doc__ = f"""Raises ValueError unless x {word} y for all elements.

    Args:
        x: A tensor.
        y: A tensor that broadcasts with it.
        message: What begins the error.
        summarize: How many elements the error shows; 3 if None, all for -1.
        name: What stands before the message.
    """
    return check


assert_equal = _of_two("==", lambda a, b: a == b)


def assert_none_equal(
    x: Any, y: Any, summarize: int | None = None, message: str | None = None, name: str | None = None
) -> None:
    """Raises ValueError unless x != y for all elements; arguments are those of `assert_equal`."""
    _NONE_EQUAL(x, y, message, summarize, name)


_NONE_EQUAL = _of_two("!=", lambda a, b: a != b)
assert_less = _of_two("<", lambda a, b: a < b)
assert_less_equal = _of_two("<=", lambda a, b: a <= b)
assert_greater = _of_two(">", lambda a, b: a > b)
assert_greater_equal = _of_two(">=", lambda a, b: a >= b)


def _of_one(word: str, holds: Callable[[Any], Any]) -> Any:
    def check(
        x: Any, message: str | None = None, summarize: int | None = None, name: str | None = None
    ) -> None:
        if not bool(np.all(holds(np.asarray(x)))):
            _fail(message, name, f"expected numbers {word} 0, received {_shown(x, summarize)}")

    check.__doc__ = f"""Raises ValueError unless all elements are {word} 0.

    Args:
        x: A tensor.
        message: What begins the error.
        summarize: How many elements the error shows; 3 if None, all for -1.
        name: What stands before the message.
    """
    return check


assert_positive = _of_one(">", lambda x: x > 0)
assert_non_negative = _of_one(">=", lambda x: x >= 0)
assert_negative = _of_one("<", lambda x: x < 0)
assert_non_positive = _of_one("<=", lambda x: x <= 0)


def assert_near(
    x: Any,
    y: Any,
    rtol: Any = None,
    atol: Any = None,
    message: str | None = None,
    summarize: int | None = None,
    name: str | None = None,
) -> None:
    """Raises ValueError unless |x - y| ≤ atol + rtol · |y|; both tolerances are ten epsilons if None."""
    a, b = np.asarray(x), np.asarray(y)
    eps = 10 * float(np.finfo(a.dtype if a.dtype.kind == "f" else "float32").eps)
    if not np.allclose(a, b, eps if rtol is None else float(rtol), eps if atol is None else float(atol)):
        _fail(message, name, f"expected x near y, received {_shown(a, summarize)} and {_shown(b, summarize)}")


def assert_all_finite(x: Any, message: str, name: str | None = None) -> Any:
    """The tensor itself; raises ValueError if an element is infinite or NaN."""
    if not np.isfinite(np.asarray(x)).all():
        _fail(message, name, "expected finite numbers")
    return tensor(x)


def check_numerics(tensor: Any, message: str, name: str | None = None) -> Any:
    """The tensor itself; raises ValueError if an element is infinite or NaN."""
    return assert_all_finite(tensor, message, name)


def assert_rank(x: Any, rank: Any, message: str | None = None, name: str | None = None) -> None:
    """Raises ValueError unless a tensor has so many axes."""
    if tensor(x).ndim != int(rank):
        _fail(
            message, name, f"expected a tensor of {int(rank)} axes, received shape {tuple(tensor(x).shape)}"
        )


def assert_rank_at_least(x: Any, rank: Any, message: str | None = None, name: str | None = None) -> None:
    """Raises ValueError unless a tensor has at least so many axes."""
    if tensor(x).ndim < int(rank):
        _fail(message, name, f"expected at least {int(rank)} axes, received shape {tuple(tensor(x).shape)}")


def assert_rank_in(x: Any, ranks: Any, message: str | None = None, name: str | None = None) -> None:
    """Raises ValueError unless the number of axes is one of those given."""
    if tensor(x).ndim not in [int(r) for r in ranks]:
        _fail(message, name, f"expected one of {list(ranks)} axes, received shape {tuple(tensor(x).shape)}")


def assert_scalar(tensor: Any, message: str | None = None, name: str | None = None) -> None:
    """Raises ValueError unless it is a single number."""
    if np.ndim(tensor):
        _fail(message, name, f"expected a scalar, received shape {np.shape(tensor)}")


def assert_integer(x: Any, message: str | None = None, name: str | None = None) -> None:
    """Raises TypeError unless it is a tensor of integers."""
    if not as_dtype(tensor(x).dtype).is_integer:
        raise TypeError(f"{name or 'assert_integer'}: {message or 'expected integers'}: {tensor(x).dtype}")


def assert_type(tensor: Any, tf_type: Any, message: str | None = None, name: str | None = None) -> None:
    """Raises TypeError unless a tensor has a dtype."""
    if as_dtype(tensor.dtype) != as_dtype(tf_type):
        text = f"expected {as_dtype(tf_type).name}, received {as_dtype(tensor.dtype).name}"
        raise TypeError(": ".join(part for part in (name, message, text) if part))


def assert_shapes(
    shapes: Any,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> None:
    """Raises ValueError unless tensors have shapes in which equal letters stand for equal extents.

    Args:
        shapes: Pairs of a tensor and its shape, such as `("N", 28, 28)`.
        data: Tensors whose elements an error shows.
        summarize: How many of these; 3 if None.
        message: What begins the error.
        name: What stands before the message.
    """
    sizes: dict[str, int] = {}
    for x, shape in shapes.items() if isinstance(shapes, dict) else shapes:
        found = tuple(tensor(x).shape)
        wanted = [*shape] if isinstance(shape, (list, tuple, str)) else [shape]
        fits = len(found) == len(wanted)
        for extent, letter in zip(found, wanted, strict=False):
            if isinstance(letter, str) and not letter.isdigit():
                fits = fits and sizes.setdefault(letter, extent) == extent
            elif letter is not None:
                fits = fits and int(letter) == extent
        if not fits:
            extra = "" if data is None else f"; {[_shown(d, summarize) for d in data]}"
            _fail(message, name, f"expected shape {tuple(wanted)} with {sizes}, received {found}{extra}")


def is_numeric_tensor(tensor: Any) -> bool:
    """Whether it is a tensor of numbers, and not of bools."""
    return is_tensor(tensor) and not as_dtype(tensor.dtype).is_bool


def enable_check_numerics(stack_height_limit: int = 30, path_length_limit: int = 50) -> None:
    """Computes each operation by itself, and names the first layer that makes a NaN; slow.

    Args:
        stack_height_limit: At least 1; an error names the layer and the line.
        path_length_limit: At least 1.
    """
    if stack_height_limit < 1 or path_length_limit < 1:
        raise ValueError("enable_check_numerics: expected limits of at least 1")
    config.set_debug(True)


def disable_check_numerics() -> None:
    """Undoes `enable_check_numerics`."""
    config.set_debug(False)


def disable_traceback_filtering() -> None:
    """Does nothing: tracebacks are whole."""
    config.disable_traceback_filtering()


__getattr__ = unknown(
    "tf.debugging",
    {
        "set_log_device_placement get_log_device_placement": "tensor.device says where a tensor is",
        "experimental": "use cnnrs.utils.profile and cnnrs.config.set_debug",
        "assert_proper_iterable assert_same_float_dtype is_non_decreasing is_strictly_increasing "
        "enable_traceback_filtering is_traceback_filtering_enabled": "use tf.math, or Python's isinstance",
    },
    __all__,
)

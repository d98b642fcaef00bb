"""Arguments: errors about their names, for classes and functions alike, and checks of their values."""

from __future__ import annotations

import functools
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np

from cnnrs.base import former_arguments, suggest

__all__ = [
    "NamedArguments",
    "choice",
    "explain",
    "file_path",
    "flag",
    "integer",
    "integers",
    "known_arguments",
    "named",
    "number",
    "reject",
    "shown",
    "takes_any",
]

F = TypeVar("F", bound=Callable[..., Any])

_UNEXPECTED = re.compile(r"got an unexpected keyword argument '(\w+)'")
# What errors show of a value at most.
_SHOWN_NUMBERS, _SHOWN_LETTERS = 16, 400
_TWICE = re.compile(r"got multiple values for keyword argument '(\w+)'")


def known_arguments(target: Any) -> list[str]:
    """Names of the arguments of a function, or of a class: also those that its `__init__` hands on.

    >>> from cnnrs import layers
    >>> known_arguments(layers.Dropout)[:3]
    ['rate', 'noise_shape', 'seed']
    """
    import inspect

    functions = [target]
    if isinstance(target, type):
        functions = [vars(cls)["__init__"] for cls in target.__mro__ if "__init__" in vars(cls)]
    names: dict[str, None] = {}
    for function in functions:
        try:
            parameters = inspect.signature(function).parameters.values()
        except ValueError:
            break
        names.update((p.name, None) for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD))
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    names.update(dict.fromkeys(getattr(target, "further_arguments", ())))
    return [name for name in names if name != "self"]


def takes_any(target: Any) -> bool:
    """Whether a function or class takes arguments of any name, for something that is not known yet.

    >>> takes_any(dict.update), takes_any(lambda x: x)
    (True, False)
    """
    import inspect

    functions = [target]
    if isinstance(target, type):
        functions = [
            vars(cls)["__init__"] for cls in target.__mro__ if "__init__" in vars(cls) and cls is not object
        ]
    for function in functions:
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            return True
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            return False
    # Base classes that take the rest refuse by themselves what they do not know.
    return not isinstance(target, type) or not functions


def reject(target: Any, kwargs: Iterable[str] | Mapping[str, Any], also: tuple[str, ...] = ()) -> None:
    """Raises TypeError for the first of the arguments left over, if there are any.

    Args:
        target: The class or function that was called.
        kwargs: Names of arguments that it does not have.
        also: Arguments that it has beside those of its signature.

    >>> from cnnrs import layers
    >>> reject(layers.Dense, {"unit": 3})
    Traceback (most recent call last):
    TypeError: Dense: unexpected argument 'unit'; did you mean 'units'?
    """
    if not kwargs:
        return
    known = [*known_arguments(target), *also]
    unknown = [name for name in kwargs if name not in known]
    if not unknown:
        raise TypeError(f"{target.__name__}: unexpected argument {next(iter(kwargs))!r}")
    hint = former_arguments.hint_of(unknown[0], known) or suggest.did_you_mean(unknown[0], known)
    raise TypeError(f"{target.__name__}: unexpected argument {unknown[0]!r}{hint}")


def explain(error: TypeError, target: Any, kwargs: dict[str, Any]) -> None:
    """Raises an error about a call that Python refused in terms of what the user called.

    Args:
        error: What Python raised; an error from inside of the call is left alone.
        target: The class or function that was called.
        kwargs: The arguments by name.
    """
    twice = _TWICE.search(str(error))
    if twice and isinstance(target, type) and twice[1] in kwargs:
        # A class hands what it was given to its base, beside what it chooses itself.
        raise TypeError(f"{target.__name__}: unexpected argument {twice[1]!r}, which it sets by itself")
    # Only Python itself raises before the called function has a frame.
    if error.__traceback__ is None or error.__traceback__.tb_next is not None:
        return
    # A misspelt name among others may go to `**kwargs`, and Python then misses the one that was meant.
    known = known_arguments(target)
    unexpected = _UNEXPECTED.search(str(error))
    reject(target, [unexpected[1]] if unexpected else [name for name in kwargs if name not in known])
    _, parentheses, text = str(error).partition("() ")
    if parentheses:
        raise TypeError(f"{target.__name__}: {text}")


def named(function: F) -> F:
    """Makes errors about the arguments of a function name it, and the argument that was meant.

    >>> @named
    ... def scale(x, factor=2.0):
    ...     return x * factor
    >>> scale(3.0, facter=4.0)
    Traceback (most recent call last):
    TypeError: scale: unexpected argument 'facter'; did you mean 'factor'?
    """

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            explain(error, function, kwargs)
            raise

    return checked  # type: ignore[return-value]


class NamedArguments:
    """Base of classes whose errors about arguments name the class, and the argument that was meant.

    >>> class Scale(NamedArguments):
    ...     def __init__(self, factor=2.0):
    ...         self.factor = factor
    >>> Scale(facter=4.0)
    Traceback (most recent call last):
    TypeError: Scale: unexpected argument 'facter'; did you mean 'factor'?
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            cls.__init__ = _named_init(vars(cls)["__init__"])  # type: ignore[method-assign]


def _named_init(init: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(init)
    def checked(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            init(self, *args, **kwargs)
        except TypeError as error:
            explain(error, type(self), kwargs)
            raise

    return checked


def _owner(owner: Any) -> str:
    return owner if isinstance(owner, str) else type(owner).__name__


def shown(value: Any) -> str:
    """A value as errors show it: large arrays by their type, shape and dtype, long text by its beginning.

    >>> shown(np.zeros((8, 224, 224, 3), np.float32)), shown([1, 2.5])
    ('ndarray of shape (8, 224, 224, 3) and dtype float32', '[1, 2.5]')
    """
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and math.prod(n or 1 for n in shape) > _SHOWN_NUMBERS:
        return f"{type(value).__name__} of shape {shape} and dtype {getattr(value, 'dtype', 'unknown')}"
    text = repr(value)
    return text if len(text) <= _SHOWN_LETTERS else f"{text[:_SHOWN_LETTERS]}…"


def _bounds(
    value: float, least: float | None, most: float | None, above: float | None, below: float | None
) -> tuple[bool, str]:
    """Whether a value is within bounds, and the bounds in words."""
    words = [
        f"{sign} {bound:g}"
        for sign, bound in ((">=", least), (">", above), ("<=", most), ("<", below))
        if bound is not None
    ]
    fits = (
        (least is None or value >= least)
        and (most is None or value <= most)
        and (above is None or value > above)
        and (below is None or value < below)
    )
    return fits, " and ".join(words)


def number(
    value: Any,
    owner: Any,
    argument: str,
    *,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> float:
    """`value` as a finite number within bounds.

    Args:
        value: What was given.
        owner: The object whose argument it is, or its name.
        argument: Name of the argument.
        least: Lower bound, included.
        most: Upper bound, included.
        above: Lower bound, excluded.
        below: Upper bound, excluded.

    Raises:
        ValueError: It is no such number.

    >>> number(-1, "Adam", "learning_rate", least=0)
    Traceback (most recent call last):
    ValueError: Adam: learning_rate: expected a finite number >= 0, received -1
    """
    converted = math.nan
    if not isinstance(value, (str, bytes, bool, np.bool_)) and hasattr(value, "__float__"):
        try:
            converted = float(value)
        except (TypeError, ValueError, OverflowError):
            converted = math.nan
    fits, words = _bounds(converted, least, most, above, below)
    if not fits or not math.isfinite(converted):
        expected = " ".join(filter(None, ["a finite number", words]))
        raise ValueError(f"{_owner(owner)}: {argument}: expected {expected}, received {shown(value)}")
    return converted


def _index(value: Any) -> int | None:
    """`value` as a Python integer; None if it is no integer."""
    if type(value) is int:
        return value
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        return None
    try:
        return value.__index__()
    except TypeError:  # arrays and tensors of several elements, or of others than integers
        return None


def integer(
    value: Any, owner: Any, argument: str, *, least: int | None = None, most: int | None = None
) -> int:
    """`value` as an integer from `least` to `most`. numpy's integers are integers, 2.0 and True are not.

    Raises:
        ValueError: It is none; the message names the owner and the argument.

    >>> integer(2.5, "fit", "epochs", least=1)
    Traceback (most recent call last):
    ValueError: fit: epochs: expected an integer >= 1, received 2.5
    """
    index = _index(value)
    if index is None or (least is not None and index < least) or (most is not None and index > most):
        _, words = _bounds(math.nan, least, most, None, None)
        expected = " ".join(filter(None, ["an integer", words]))
        raise ValueError(f"{_owner(owner)}: {argument}: expected {expected}, received {shown(value)}")
    return index


def integers(value: Any, owner: Any, argument: str, *, least: int | None = None) -> list[int]:
    """An integer or a sequence of integers of at least `least`, as a list.

    Raises:
        ValueError: It is neither; the message names the owner and the argument.

    >>> integers((2, 3), "reshape", "newshape"), integers(6, "reshape", "newshape")
    ([2, 3], [6])
    >>> integers((2.5, 3), "reshape", "newshape", least=-1)
    Traceback (most recent call last):
    ValueError: reshape: newshape: expected an integer or a sequence of integers >= -1, received (2.5, 3)
    """
    if type(value) is tuple or type(value) is list:
        for entry in value:
            if type(entry) is not int or (least is not None and entry < least):
                break
        else:
            return list(value)
    single = _index(value)
    found: list[int | None] = [single]
    if single is None:
        # Text is a sequence, too, but of no integers.
        sequence = hasattr(value, "__iter__") and getattr(value, "ndim", 1) > 0
        found = [_index(entry) for entry in value] if sequence else [None]
    indices = [index for index in found if index is not None and (least is None or index >= least)]
    if len(indices) != len(found):
        bound = "" if least is None else f" >= {least}"
        raise ValueError(
            f"{_owner(owner)}: {argument}: expected an integer or a sequence of integers{bound}, "
            f"received {shown(value)}"
        )
    return indices


def flag(value: Any, owner: Any, argument: str) -> bool:
    """`value` as a bool: True, False, 1 or 0.

    Raises:
        ValueError: It is none of them; the message names the owner and the argument.

    >>> flag("no", "gelu", "approximate")
    Traceback (most recent call last):
    ValueError: gelu: approximate: expected True or False, received 'no'
    """
    if value is True or value is False:
        return value
    if isinstance(value, (int, np.bool_)) and value in (0, 1):
        return bool(value)
    raise ValueError(f"{_owner(owner)}: {argument}: expected True or False, received {shown(value)}")


def choice(value: Any, owner: Any, argument: str, known: tuple[str, ...]) -> str:
    """`value`, which must be one of the words `known`.

    Raises:
        ValueError: It is none of them.

    >>> choice("manhattan", "Triplet", "distance", ("euclidean", "cosine"))
    Traceback (most recent call last):
    ValueError: Triplet: distance: expected one of 'euclidean', 'cosine', received 'manhattan'
    """
    if isinstance(value, str) and value in known:
        return value
    hint = suggest.did_you_mean(value, known) if isinstance(value, str) else ""
    raise ValueError(
        f"{_owner(owner)}: {argument}: expected one of {', '.join(map(repr, known))}, "
        f"received {shown(value)}{hint if 'did' in hint else ''}"
    )


def file_path(value: Any, owner: Any) -> str:
    """A path as text, from text, bytes or an object with `__fspath__`, as `open` takes them.

    Args:
        value: What was given.
        owner: The object whose argument it is, or its name.

    Raises:
        TypeError: It is no path.
        ValueError: It has a NUL character or half of a surrogate pair, which no path has.

    >>> file_path(b"m.safetensors", "save_model")
    'm.safetensors'
    """
    try:
        path = os.fsdecode(value)
    except TypeError:
        raise TypeError(
            f"{_owner(owner)}: expected a path as str, bytes or os.PathLike, received {type(value).__name__}"
        ) from None
    if "\0" in path:
        raise ValueError(f"{_owner(owner)}: expected a path without NUL characters, received {path!r}")
    try:
        os.fsencode(path)
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{_owner(owner)}: expected a path that the system can encode, received {path!r}"
        ) from error
    return path

"""What the modules of the bridge share: how a function becomes one of TensorFlow's, and unknown names."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cnnrs import ops
from cnnrs.base.suggest import did_you_mean, no_attribute
from cnnrs.ops.dispatch import op

__all__ = ["operation", "unknown"]


def operation(function: Callable[..., Any]) -> Callable[..., Any]:
    """Makes a function of tensors one of TensorFlow's: symbolic tensors are taken, and an argument `name`.

    The name, which TensorFlow gives to a node of its graph, begins the message of an error here. It may be
    the last argument, too.

    >>> @operation
    ... def double(x):
    ...     return ops.add(x, x)
    >>> double(3, name="twice").tolist()
    6
    """
    recorded = op(function)
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())
    several = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    most = len(parameters)

    @functools.wraps(function)
    def named(*args: Any, name: str | None = None, **kwargs: Any) -> Any:
        if len(args) == most + 1 and not several:
            *given, name = args
            args = tuple(given)
        if name is None:
            return recorded(*args, **kwargs)
        if not isinstance(name, str):
            raise TypeError(f"{function.__name__}: name: expected text or None, received {name!r}")
        try:
            return recorded(*args, **kwargs)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name}: {error}") from error

    # `name` stands before `**kwargs`, if there are any.
    place = len(parameters) - sum(p.kind is p.VAR_KEYWORD for p in parameters)
    parameters.insert(place, inspect.Parameter("name", inspect.Parameter.KEYWORD_ONLY, default=None))
    # Type checkers know no attributes of functions.
    named.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    named.is_cnnrs_op = True  # type: ignore[attr-defined]
    return named


def unknown(module: str, absent: Mapping[str, str], known: Iterable[str]) -> Callable[[str], Any]:
    """A module's `__getattr__`: TensorFlow's names that are not there, each with what to write instead.

    Args:
        module: What the module is called in scripts, such as "tf.image".
        absent: Reasons by names; several names are separated by spaces.
        known: What the module has, for suggestions.
    """
    reasons = {name: reason for names, reason in absent.items() for name in names.split()}

    def __getattr__(name: str) -> Any:
        if name in reasons:
            raise no_attribute(module, name, f": {reasons[name]}")
        if name.startswith("__"):
            raise no_attribute(module, name, "")
        for place, namespace in (("ops", ops), ("ops.nn", ops.nn), ("ops.image", ops.image)):
            if name in vars(namespace) and not name.startswith("_"):
                raise no_attribute(module, name, f"; cnnrs has it as cnnrs.{place}.{name}")
        raise no_attribute(module, name, did_you_mean(name, known))

    __getattr__.reasons = reasons  # type: ignore[attr-defined]  # for the page of names
    return __getattr__

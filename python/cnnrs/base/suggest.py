"""Errors about names that are not there: the closest known name, or what to use instead."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

__all__ = ["did_you_mean", "no_attribute", "without"]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint to append to an error: the closest of the known names, or all of them if they are few.

    >>> did_you_mean("kernal_size", ["filters", "kernel_size"])
    "; did you mean 'kernel_size'?"
    """
    import difflib  # which takes longer than the rest of this module, and no error is the common case

    known = list(known)
    initials = [entry for entry in known if "_" in entry and name == "".join(p[:1] for p in entry.split("_"))]
    close = difflib.get_close_matches(str(name), known, n=1) or initials
    if close:
        return f"; did you mean {close[0]!r}?"
    if 0 < len(known) <= 12:
        return f"; expected one of {', '.join(sorted(known))}"
    return ""


def no_attribute(module: str, name: str, hint: str) -> AttributeError:
    """The error of a name that a module lacks. Python appends no hint of its own to it.

    >>> raise no_attribute("cnnrs.layers", "Conv2d", "; did you mean 'Conv2D'?")
    Traceback (most recent call last):
    AttributeError: cnnrs.layers has no 'Conv2d'; did you mean 'Conv2D'?
    """
    # Python looks for similar names in `obj`, and fills in the module where it is not given.
    return AttributeError(f"{module} has no {name!r}{hint}", name=name, obj=None)


def without(
    module: str, absent: Mapping[str, str], known: Iterable[str], also: Mapping[str, str] | None = None
) -> Callable[[str], Any]:
    """A module's `__getattr__`: names that Keras has and this module lacks, each with what to do instead.

    Args:
        module: Name of the module.
        absent: Reasons by names; several names are separated by spaces.
        known: What the module has, for suggestions.
        also: What to use instead of names that neither has, by names separated by spaces.
    """
    reasons = {name: reason for names, reason in absent.items() for name in names.split()}
    instead = {name: use for names, use in (also or {}).items() for name in names.split()}

    def __getattr__(name: str) -> Any:
        if name in reasons:
            raise no_attribute(module, name, f", which Keras has: {reasons[name]}")
        if name in instead:
            raise no_attribute(module, name, f"; use {instead[name]}")
        hint = "" if name.startswith("_") else did_you_mean(name, known)
        raise no_attribute(module, name, hint)

    return __getattr__

"""What becomes of each name that a program uses: it works, it is refused, or it is unknown."""

from __future__ import annotations

import functools
import inspect
import re
from typing import Any, NamedTuple

from cnnrs.base.arguments import known_arguments, takes_any
from cnnrs.base.suggest import did_you_mean
from cnnrs.checking.sources import Source, read
from cnnrs.checking.uses import Call, Use, uses
from cnnrs.keras import aliases

__all__ = ["Checked", "Finding", "Status", "check", "status"]


class Status(NamedTuple):
    """What becomes of a name.

    Attributes:
        kind: "works"; "refused", where cnnrs knows the name and says why it has it not; or "unknown".
        text: What there is to say.
    """

    kind: str
    text: str = ""


class Finding(NamedTuple):
    """A name of a program, or an argument of it.

    Attributes:
        name: The name as a path: `tensorflow.keras.layers.Dense`; of an argument, `keras.layers.Dense(unit)`.
        status: What becomes of it.
        places: Where it is used, as lines of the file.
        is_optional: Whether the program goes on without it.
    """

    name: str
    status: Status
    places: tuple[str, ...]
    is_optional: bool = False

    @property
    def is_missing(self) -> bool:
        """Whether the program fails for it."""
        return self.status.kind != "works" and not self.is_optional


class Checked(NamedTuple):
    """What was found in a file.

    Attributes:
        path: The file.
        findings: The names, in the order of first use.
        problems: What of the file could not be read.
    """

    path: str
    findings: list[Finding]
    problems: list[str]

    @property
    def is_fine(self) -> bool:
        """Whether each name is there."""
        return not self.problems and not any(finding.is_missing for finding in self.findings)


def check(path: str) -> Checked:
    """Checks a script or a notebook, of which nothing is executed.

    Args:
        path: The file.

    Raises:
        Unreadable: It is no Python; the message says what it is.

    Returns:
        A `Checked`.
    """
    source = read(path)
    places: dict[tuple[str, Status, bool], list[str]] = {}
    for use in uses(source.tree):
        for name, found in _statuses(use):
            name = name.replace("().", ".")
            where = places.setdefault((name, found, use.is_optional and found.kind != "works"), [])
            if source.place(use.line) not in where:
                where.append(source.place(use.line))
    findings = [
        Finding(name, found, tuple(where), optional) for (name, found, optional), where in places.items()
    ]
    return Checked(path, findings, _problems(source))


def _problems(source: Source) -> list[str]:
    return list(source.problems)


def _statuses(use: Use) -> list[tuple[str, Status]]:
    """The status of the name of a use, and those of its arguments that are not there."""
    found = [(path, status(path, use.is_module)) for path in use.paths]
    # Of branches one is enough.
    path, best = next((entry for entry in found if entry[1].kind == "works"), found[0])
    if use.is_star and best.kind == "unknown":
        return []  # a name of Python, for all that can be seen, or of another such import
    if "()" in path and (best.kind == "unknown" or status(path.split("()")[0]).kind != "works"):
        # An attribute that the program sets, for all that can be seen, or of a class that is listed already.
        return []
    entries = [] if "()" in path and best.kind == "works" else [(path, best)]
    if best.kind == "works" and use.call is not None and not use.is_import:
        entries += _arguments(path, use.call)
    return entries


@functools.cache
def status(path: str, is_module: bool = False) -> Status:
    """What becomes of a name.

    Args:
        path: As a program writes it: "tensorflow.keras.layers.Dense"; "keras.Sequential().fit" is a method of
            what the call gives.
        is_module: Whether it is imported as a module.

    Returns:
        A `Status`.

    >>> status("keras.layers.Dense").kind, status("keras.layers.Dens")
    ('works', Status(kind='unknown', text="did you mean 'Dense'?"))
    """
    try:
        if is_module:
            aliases.find_module(path)
            return Status("works")
        found = _find(path)
    except (AttributeError, ImportError) as error:
        return _why(str(error))
    # A method that only says what to use instead.
    summary = " ".join((inspect.getdoc(found) or "").split("\n\n")[0].split())
    if callable(found) and summary.startswith("Raises NotImplementedError: "):
        return Status("refused", summary.removeprefix("Raises NotImplementedError: "))
    return Status("works")


def _find(path: str) -> Any:
    head, _, method = path.partition("().")
    found = aliases.find(head)
    if not method:
        return found
    name = method.split(".")[0]
    if "." in method or "(" in method or not inspect.isclass(found):
        raise AttributeError(f"{head} gives an object of which nothing is known")
    former = getattr(found, "_former_names", {}).get(name)
    if former is not None:
        raise AttributeError(f"{head} has no {name!r}, which Keras 2 had: {former}")
    return inspect.getattr_static(found, name)


def _why(message: str) -> Status:
    """What the error about a name says, without the name itself."""
    reason = re.search(r", which (?:Keras|Keras 2|TensorFlow) (?:has|had): (.*)", message, re.DOTALL)
    if reason:
        return Status("refused", reason[1])
    former = re.search(r"Keras 3 has no module [\w.]+: (.*)|(\S+ is not public; .*)", message, re.DOTALL)
    if former:
        return Status("refused", former[1] or former[2])
    hint = re.search(r"; ((?:did you mean|expected one of|cnnrs|write) .*)", message, re.DOTALL)
    return Status("unknown", hint[1] if hint else "")


def _arguments(path: str, call: Call) -> list[tuple[str, Status]]:
    """The arguments of a call that are not there."""
    try:
        target = _find(path)
        target = getattr(target, "__func__", target)
        if not callable(target) or takes_any(target):
            return []
        known = known_arguments(target)
    except (AttributeError, ImportError, TypeError, ValueError):
        return []
    if not known:
        return []  # of a class that is not written in Python
    entries = []
    for keyword in call.keywords:
        if keyword not in known:
            hint = did_you_mean(keyword, known).removeprefix("; ")
            entries.append((f"{path}({keyword})", Status("unknown", hint)))
    most = _positional(target, is_method="()" in path)
    if most is not None and call.positional > most:
        text = f"takes {most} arguments by position, is given {call.positional}"
        entries.append((f"{path}(...)", Status("unknown", text)))
    return entries


def _positional(target: Any, is_method: bool) -> int | None:
    """How many arguments a function or class takes by position; None for any number."""
    try:
        parameters = list(inspect.signature(target).parameters.values())
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    count = sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)
    return count - 1 if is_method else count

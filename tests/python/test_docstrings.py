"""Every public name has a docstring with an example, and every name that is lacking says why.

The functions of `cnnrs.ops` are held to more: their docstrings have the sections that `faults` asks for.
"""

from __future__ import annotations

import builtins
import importlib
import inspect
import re
from typing import Any

import pytest

MODULES = """variables random data initializers regularizers constraints losses metrics optimizers
optimizers.schedules callbacks utils saving""".split()


def public(module: Any) -> list[tuple[str, Any]]:
    names = [n for n in getattr(module, "__all__", dir(module)) if not n.startswith("_")]
    found = [(name, getattr(module, name)) for name in names]
    return [
        (name, value)
        for name, value in found
        if (inspect.isclass(value) or inspect.isfunction(value)) and value.__module__.startswith("cnnrs.")
    ]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(f"cnnrs.{name}")
    # draw_seed is what initializers and generators share; users seed with utils.set_random_seed.
    lacking = {
        n
        for n, value in public(module)
        if n != "draw_seed" and ">>>" not in (vars(value).get("__doc__") or value.__doc__ or "")
    }
    assert not lacking


@pytest.mark.parametrize("name", MODULES)
def test_public_methods_are_described(name):
    for owner, value in public(importlib.import_module(f"cnnrs.{name}")):
        for method, function in vars(value).items() if inspect.isclass(value) else []:
            if not method.startswith("_") and inspect.isfunction(function):
                assert inspect.getdoc(getattr(value, method)), f"{owner}.{method}"


@pytest.mark.parametrize(
    ("module", "name", "message"),
    [
        ("dtype_policies", "QuantizedDTypePolicy", "quantized yet"),
        ("callbacks", "OrbaxCheckpoint", "BackupAndRestore"),
        ("losses", "MeanSquareError", "did you mean 'MeanSquaredError'"),
        ("optimizers", "Adan", "did you mean 'Adam'"),
    ],
)
def test_what_is_lacking_says_why(module, name, message):
    with pytest.raises(AttributeError, match=message):
        getattr(importlib.import_module(f"cnnrs.{module}"), name)


SECTIONS = ["Args", "Returns", "Raises", "Example"]

# Functions for which no argument is wrong, and why.
RAISES_NOTHING = {"is_tensor": "It answers for any object."}


def sections(doc: str) -> dict[str, str]:
    """The sections of a docstring by name, in order; what stands before the first is under ""."""
    parts = re.split(rf"^({'|'.join(SECTIONS)}):$", doc, flags=re.MULTILINE)
    return dict(zip(["", *parts[1::2]], parts[0::2], strict=True))


def entries(section: str) -> dict[str, str]:
    """The `name: text` entries of a section."""
    parts = re.split(r"^    (\w+): ", section, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def faults(function: Any) -> list[str]:
    """What the docstring of a function lacks or says wrongly."""
    parts = sections(inspect.getdoc(function) or "")
    summary, *_ = parts[""].split("\n")
    parameters = list(inspect.signature(function).parameters)
    raised = entries(parts.get("Raises", ""))
    exceptions = {n for n, v in vars(builtins).items() if isinstance(v, type) and issubclass(v, Exception)}
    unknown = [name for name in raised if name not in exceptions]
    silent = function.__name__ in RAISES_NOTHING
    expected = [
        s for s in SECTIONS if not (s == "Raises" and silent) and not (s == "Args" and not parameters)
    ]
    checks = {
        "summary: expected a sentence of several words": len(summary.split()) >= 3 and summary.endswith("."),
        f"expected the sections {expected}, found {[*parts][1:]}": [*parts][1:] == expected,
        f"Args: expected {parameters}, found {[*entries(parts.get('Args', ''))]}": parameters
        == [*entries(parts.get("Args", ""))],
        "Returns: expected a text": len(parts.get("Returns", "").split()) >= 2 or "Returns" not in parts,
        f"Raises: expected exceptions, found {unknown}": not unknown and bool(raised) == ("Raises" in parts),
        "Example: expected >>> and a result": re.search(
            r"^    >>> .*\n    (?!>>>|\.\.\.)\S", parts.get("Example", ""), flags=re.MULTILINE
        ),
    }
    return [fault for fault, fine in checks.items() if not fine]


OPS = {
    name: function
    for module in ("ops", "ops.nn", "ops.image")
    for name, function in public(importlib.import_module(f"cnnrs.{module}"))
}


def test_ops_are_documented():
    assert not {name: found for name, function in OPS.items() if (found := faults(function))}


def test_all_ops_are_found():
    assert len(OPS) >= 198
    assert {"add", "conv", "resize", "where"} <= OPS.keys()
    assert RAISES_NOTHING.keys() <= OPS.keys()


def undocumented_errors(function: Any, wrong: Any) -> list[str]:
    """What a function raises for a wrong argument although its docstring does not say so."""
    raised = entries(sections(inspect.getdoc(function) or "").get("Raises", ""))
    parameters = inspect.signature(function).parameters.values()
    required = [p.name for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    found = []
    # Each required argument is wrong in turn.
    for place, argument in enumerate(required):
        arguments = [wrong if i == place else [[1.0, 2.0], [3.0, 4.0]] for i in range(len(required))]
        try:
            function(*arguments)
        except Exception as error:
            if raised.keys().isdisjoint(cls.__name__ for cls in type(error).__mro__):
                found.append(f"{argument}: {error!r}")
    return found


@pytest.mark.parametrize("wrong", [None, "text", object(), -1, 2.5], ids=lambda value: type(value).__name__)
def test_ops_raise_what_their_docstrings_say(wrong):
    assert not {n: found for n, function in OPS.items() if (found := undocumented_errors(function, wrong))}


def documented(x: Any, axis: int = 0) -> Any:
    """Does nothing that matters.

    Args:
        x: Tensor of any shape.
        axis: The axis, the first
            by default.

    Returns:
        Tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> documented(1)
        1
    """
    return x


def test_a_complete_docstring_has_no_faults():
    assert not faults(documented)


def test_an_error_that_is_not_documented_is_found():
    def refuses(x: Any) -> Any:
        """Raises: Nothing, it says."""
        raise ValueError(x)

    assert undocumented_errors(refuses, None) == ["x: ValueError(None)"]
    refuses.__doc__ = "Refuses.\n\nRaises:\n    ValueError: Always."
    assert not undocumented_errors(refuses, None)


@pytest.mark.parametrize(
    ("present", "instead", "fault"),
    [
        ("Does nothing that matters.", "Nothing.", "summary"),
        ("Does nothing that matters.", "Does nothing that matters", "summary"),
        ("    Args:\n", "", "sections"),
        ("        x: Tensor of any shape.\n", "", "Args"),
        ("        x: Tensor of any shape.", "        y: Tensor of any shape.", "Args"),
        ("        x: Tensor", "        y: Tensor.\n        x: Tensor", "Args"),
        ("    Returns:\n        Tensor of the shape of `x`.\n", "", "sections"),
        ("        Tensor of the shape of `x`.\n", "", "Returns"),
        ("    Raises:\n        TypeError: `x` is not numeric.\n", "", "sections"),
        ("        TypeError: `x` is not numeric.\n", "", "Raises"),
        ("TypeError", "TypoError", "Raises"),
        ("TypeError", "list", "Raises"),
        ("    Example:\n        >>> documented(1)\n        1\n", "", "sections"),
        (">>> documented(1)\n", "documented(1)\n", "Example"),
        ("        1\n", "", "Example"),
    ],
)
def test_an_incomplete_docstring_has_faults(present, instead, fault):
    def incomplete(x: Any, axis: int = 0) -> Any:
        return x

    assert documented.__doc__.count(present) == 1
    incomplete.__doc__ = documented.__doc__.replace(present, instead)
    assert any(fault in found for found in faults(incomplete))

"""The table of Keras's names: works here, or why not.

    python tests/keras_names.py            # says whether docs/keras-names.md is current
    python tests/keras_names.py --write    # writes it: `make names`

What is asked is the package itself. An absent name has the text of its AttributeError; a method or function
whose docstring begins with "Raises NotImplementedError" is refused; arguments that Keras has and the package
has not are named. The names are those of `tests/fixtures/keras_public_names.json` and
`tests/fixtures/keras_signatures.json`, which Keras itself gave.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import cnnrs

__all__ = ["Status", "page", "resolve", "status"]

ROOT = Path(__file__).parents[1]
FIXTURES = Path(__file__).parent / "fixtures"
PAGE = ROOT / "docs" / "keras-names.md"
SIGNATURES: dict[str, str] = json.loads((FIXTURES / "keras_signatures.json").read_text())
PUBLIC: dict[str, str] = json.loads((FIXTURES / "keras_public_names.json").read_text())

# Homes of classes whose methods the signatures list without them.
HOMES = {
    "Callback": "callbacks",
    "Layer": "layers",
    "Loss": "losses",
    "Metric": "metrics",
    "Optimizer": "optimizers",
    "SeedGenerator": "random",
    "schedules": "optimizers",
}


class Status(NamedTuple):
    """What becomes of a name.

    Attributes:
        works: Whether it does.
        text: What there is to say: why it does not, or what it lacks.
    """

    works: bool
    text: str


def full(name: str) -> str:
    """The path of a name of the signatures below the package."""
    home = HOMES.get(name.split(".")[0])
    return f"{home}.{name}" if home else name


def resolve(name: str) -> Any:
    """The object that `name` means in cnnrs.

    Raises:
        AttributeError: There is none; the message is what a user sees.
    """
    current: Any = cnnrs
    for part in full(name).split("."):
        try:
            static = inspect.isclass(current)
            current = inspect.getattr_static(current, part) if static else getattr(current, part)
        except AttributeError as error:
            if inspect.ismodule(current):
                try:
                    current = importlib.import_module(f"{current.__name__}.{part}")
                    continue
                except ImportError:
                    raise error from None
            raise AttributeError(f"{current.__name__} has no {part!r}") from None
    return current


def _arguments(signature: inspect.Signature) -> set[str]:
    return {name for name in signature.parameters if name not in ("self", "cls", "args", "kwargs")}


def _left_out(name: str, found: Any) -> list[str]:
    """Arguments of Keras that the package has not."""
    text = SIGNATURES.get(name, "property")
    if text == "property" or "/, *args" in text or not callable(found):
        return []
    made: dict[str, Any] = {}
    exec(f"def function{re.sub(': [a-zA-Z]+ =', '=', text)}: ...", made)
    function = found.__init__ if inspect.isclass(found) else found
    parameters = inspect.signature(function).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()) and len(parameters) <= 3:
        return []
    return sorted(_arguments(inspect.signature(made["function"])) - _arguments(inspect.signature(function)))


def status(name: str) -> Status:
    """What becomes of a name of Keras."""
    try:
        found = resolve(name)
    except AttributeError as error:
        return Status(False, re.sub(r"^.*, which Keras has: ", "", str(error).split("; did you mean")[0]))
    target = getattr(found, "__func__", found)
    summary = (inspect.getdoc(target) or "").split("\n\n")[0].replace("\n", " ")
    if summary.startswith("Raises NotImplementedError: "):
        return Status(False, summary.removeprefix("Raises NotImplementedError: "))
    missing = _left_out(name, target)
    return Status(True, f"without {', '.join(f'`{m}`' for m in missing)}" if missing else "")


def _section(name: str) -> str:
    """The heading under which a name stands: its module, or its class."""
    parts = full(name).split(".")
    return ".".join(parts[:-1]) or "keras"


def names() -> list[str]:
    """All names, each once, without modules."""
    found = {full(name): name for name in SIGNATURES}
    for name, kind in PUBLIC.items():
        if kind != "module":
            found.setdefault(name, name)
    return sorted(found.values(), key=lambda n: (_section(n).lower(), full(n)))


def page() -> str:
    """The page as text."""
    sections: dict[str, list[tuple[str, Status]]] = defaultdict(list)
    for name in names():
        sections[_section(name)].append((full(name).rsplit(".", 1)[-1], status(name)))
    everything = [entry for entries in sections.values() for _, entry in entries]
    works = sum(entry.works for entry in everything)
    whole = sum(entry.works and not entry.text for entry in everything)
    lines = [
        "# Keras's names: works, or why not",
        "",
        f"Of {len(everything)} public names of Keras 3.15 (functions, classes, and the methods of base "
        f"classes) {works} work, {whole} of them with all arguments. [keras.md](keras.md) says where what "
        "works differs. `make names` writes this page from the package; do not edit it.",
        "",
    ]
    for section in sorted(sections, key=str.lower):
        entries = sections[section]
        whole_names = [f"`{name}`" for name, entry in entries if entry.works and not entry.text]
        others = [(name, entry) for name, entry in entries if not entry.works or entry.text]
        lines += [f"## {section}", ""]
        if whole_names:
            lines += [f"Works: {', '.join(whole_names)}.", ""]
        if others:
            lines += ["| name | |", "|---|---|"]
            by_text: dict[str, list[str]] = defaultdict(list)
            for name, entry in others:
                text = entry.text.replace("|", "\\|")
                by_text[f"works {text}" if entry.works else text].append(f"`{name}`")
            lines += [f"| {', '.join(found)} | {text} |" for text, found in by_text.items()]
            lines.append("")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the page")
    given = parser.parse_args(arguments)
    text = page()
    if given.write:
        PAGE.write_text(text)
    elif not PAGE.exists() or PAGE.read_text() != text:
        print(f"{PAGE} is not what the package says: run `make names`")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Kinds of arguments, and how commands are described."""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import math
from collections.abc import Callable, Iterator
from typing import Any

__all__ = [
    "add_command",
    "add_device",
    "add_json",
    "class_names",
    "completed_by",
    "device",
    "on_device",
    "port",
    "positive",
    "rate",
    "seed",
    "version",
]


def positive(text: str) -> int:
    """A positive integer."""
    if not text.strip().isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a positive integer, received {text!r}")
    return int(text)


def port(text: str) -> int:
    """A port of TCP; 0 for any that is free."""
    if not text.strip().isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected an integer from 0 to 65535, received {text!r}")
    return int(text)


def rate(text: str) -> float:
    """A positive number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a positive number, received {text!r}")
    return value


def seed(text: str) -> int:
    """An integer of 32 bits."""
    if not text.strip().isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"expected an integer from 0 to 2**32 - 1, received {text!r}")
    return int(text)


def device(text: str) -> str:
    """A device of this machine: "cpu", "gpu", "gpu:1"."""
    from cnnrs.base import devices

    try:
        with devices.device(text):
            return text
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("device: ")) from error


def class_names(text: str) -> list[str]:
    """Names with commas between them, each once."""
    names = [part.strip() for part in text.split(",")]
    if not all(names) or len(set(names)) != len(names):
        raise argparse.ArgumentTypeError(f"expected different names with commas between, received {text!r}")
    return names


def version(distribution: str) -> str:
    """The version of an installed distribution."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def add_command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], help: str, description: str = "",
    examples: str = "",
) -> argparse.ArgumentParser:  # fmt: skip
    """A command.

    Args:
        commands: What `add_subparsers` gave.
        name: Its name.
        run: Runs it; gives the exit status.
        help: A line about it, in the list of commands.
        description: What it does; by default the line.
        examples: Calls of it, a line each.
    """
    shown = "\n".join(f"  {line}" for line in examples.strip().splitlines())
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help,
        description=description or help[:1].upper() + help[1:] + ".",
        epilog=f"examples:\n{shown}" if examples else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, parser=parser)
    return parser


def add_device(parser: argparse.ArgumentParser) -> None:
    """The flag for the device that a command computes on, which `on_device` reads."""
    action = parser.add_argument(
        "--device", type=device, metavar="NAME", help='"cpu", "gpu", "gpu:1" ("cpu")'
    )
    completed_by(action, ("cpu", "gpu"))


@contextlib.contextmanager
def on_device(options: argparse.Namespace) -> Iterator[None]:
    """Computes on the device that was given, in all threads, and puts back the one before."""
    from cnnrs import config

    before = config.get_device()
    if options.device is not None:
        config.set_device(options.device)
    try:
        yield
    finally:
        if options.device is not None:
            config.set_device(before)


def add_json(parser: argparse.ArgumentParser, what: str) -> None:
    """The flag for an answer as JSON.

    Args:
        parser: Of the command.
        what: What is written.
    """
    parser.add_argument("--json", action="store_true", help=f"write {what} as JSON on standard output")


def completed_by(action: argparse.Action, words: Any) -> None:
    """Notes the words that shells complete an argument by.

    Args:
        action: The argument.
        words: The words, or a function that gives them: it is called by `cnnrs completion` alone.
    """
    # An attribute of `argparse` would be `choices`, which refuses all else.
    action.words = words  # type: ignore[attr-defined]

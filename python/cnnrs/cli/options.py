"""Kinds of arguments, and how commands are described."""

from __future__ import annotations

import argparse
import importlib.metadata
import math
from collections.abc import Callable
from typing import Any

__all__ = ["add_command", "port", "positive", "rate", "seed", "version"]


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

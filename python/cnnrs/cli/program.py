"""The program `cnnrs`: its commands, and what its exit statuses mean."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from cnnrs.base.suggest import did_you_mean
from cnnrs.cli import (
    bench,
    check,
    completion,
    convert,
    doctor,
    evaluate,
    explain,
    lr_find,
    predict,
    profile,
    report,
    resume,
    search,
    serve,
    summary,
    train,
)
from cnnrs.cli.options import version
from cnnrs.cli.signals import CLOSED_PIPE, INTERRUPTED, TERMINATED, USAGE, Terminated

__all__ = ["main", "make_parser"]

_MODULES = (
    train, resume, evaluate, predict, report, serve, search, summary, explain, profile, bench, lr_find,
    convert, check, doctor, completion,
)  # fmt: skip
_EPILOG = """from a folder of pictures to answers:
  cnnrs train photos/ --model resnet18 --epochs 20 --out run/
  cnnrs evaluate run/
  cnnrs predict run/ picture.jpg

`cnnrs COMMAND --help` explains a command, with examples.

exit status: 0 done, 1 failed, 2 wrong arguments or settings, 130 interrupted (Ctrl-C),
141 nobody reads the output any more, 143 terminated (SIGTERM)
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        arguments: What follows the program's name; `None` takes it from `sys.argv`.

    Returns:
        The exit status: 0, 1 if the command failed, 2 if settings are wrong, 130 if it was interrupted, 141
        if nobody reads its output any more, 143 if SIGTERM ended it. A wrong argument exits with status 2 and
        a message, as `argparse` does.
    """
    try:
        try:
            options = make_parser().parse_args(arguments)
            with _warnings_as_lines():
                return options.run(options)
        finally:
            # Here, where what it raises is caught.
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has seen enough, as in `cnnrs doctor | head -1`. What is left in the buffer
        # goes nowhere, also when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
    except KeyboardInterrupt as error:
        ended = isinstance(error, Terminated) or getattr(error, "number", None) == signal.SIGTERM
        print(f"cnnrs: {'terminated' if ended else 'interrupted'}", file=sys.stderr)
        return TERMINATED if ended else INTERRUPTED
    except (OSError, ValueError, TypeError, MemoryError, ImportError) as error:
        if isinstance(error, TypeError) and not _is_ours(error):
            raise
        print(f"cnnrs: error: {error}", file=sys.stderr)
        return USAGE if type(error).__name__ == "SettingsError" else 1


@contextlib.contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Warnings come as lines of the program, without the lines of its source."""

    def show(message: Any, *_: Any, **__: Any) -> None:
        if sys.stderr is not None:
            print(f"cnnrs: warning: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def _is_ours(error: BaseException) -> bool:
    """Whether an error names an argument that was received: others are mistakes of the program."""
    return "expected" in str(error) and "received" in str(error)


class _Program(argparse.ArgumentParser):
    """Names the command that a wrong one may have meant."""

    def error(self, message: str) -> NoReturn:
        found = re.match(r"argument command: invalid choice: '(.*?)'", message)
        if found:
            known = [module.__name__.rpartition(".")[2].replace("_", "-") for module in _MODULES]
            message = f"no command {found[1]!r}{did_you_mean(found[1], known)}; `cnnrs --help` lists them"
        super().error(message)


class _Command(argparse.ArgumentParser):
    """Says what is wrong and where help is, without the lines of all flags."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: error: {message}\n`{self.prog} --help` explains all arguments\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As its base, but what is not known is an error here, where the command's own flags can be named."""
        found, rest = super().parse_known_args(args, namespace)
        if rest:
            word = rest[0].partition("=")[0]
            what = "flag" if word.startswith("-") else "argument"
            self.error(f"no {what} {word!r} is known{self._similar(word)}")
        return found, rest

    def _similar(self, word: str) -> str:
        """A hint at the flag that was meant: a similar one, or that of these initials."""
        flags = {flag[2:].replace("-", "_"): flag for flag in self._option_string_actions if flag[:2] == "--"}
        hint = did_you_mean(word.lstrip("-").replace("-", "_"), flags) if word.startswith("-") else ""
        meant = re.search(r"did you mean '(\w+)'", hint)
        return f"; did you mean {flags[meant[1]]!r}?" if meant else ""


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = _Program(
        prog="cnnrs",
        description="Trains, explains and serves convolutional networks.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"cnnrs {version('cnnrs')}")
    commands = parser.add_subparsers(
        required=True, metavar="command", dest="command", title="commands",
        parser_class=_Command,
    )  # fmt: skip
    for module in _MODULES:
        module.add(commands)
    parser.set_defaults(program=parser)
    return parser

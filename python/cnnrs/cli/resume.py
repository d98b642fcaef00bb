"""`cnnrs resume`: goes on with a run that was interrupted."""

from __future__ import annotations

import argparse
from typing import Any

from cnnrs.cli.options import add_command, add_json, port, positive
from cnnrs.cli.signals import terminable

__all__ = ["add"]


def add(commands: Any) -> None:
    """Describes the command."""
    resume = add_command(
        commands, "resume", _resume, "go on with a run that was interrupted",
        "Go on with a run that Ctrl-C, a signal or a loss of power ended. Its settings are those of its\n"
        "run.toml, and the result has the bits of a run that was not interrupted. With --epochs it trains\n"
        "to more epochs than run.toml said, also a run that has come to its end.",
        "cnnrs resume run/\ncnnrs resume run/ --epochs 50",
    )  # fmt: skip
    resume.add_argument("out", metavar="RUN", help="the folder of the run")
    resume.add_argument(
        "--epochs", type=positive, metavar="N", help="epochs in all (those of run.toml, which then says N)"
    )
    add_json(resume, "the result")
    resume.add_argument("--quiet", action="store_true", help="show no progress")
    resume.add_argument("--no-report", action="store_true", help="write no report.html")
    resume.add_argument(
        "--live", type=port, nargs="?", const=0, metavar="PORT",
        help="serve the report on this machine while training, at a free port or at this one",
    )  # fmt: skip


def _resume(options: argparse.Namespace) -> int:
    from cnnrs import runs
    from cnnrs.cli.results import as_json, stopped, told

    with terminable():
        try:
            result = runs.resume(
                options.out, progress=not options.quiet, report=not options.no_report, live=options.live,
                epochs=options.epochs,
            )  # fmt: skip
        except BaseException as error:
            stopped(options.out, error)
            raise
    print(as_json(result) if options.json else told(result))
    return 0

"""`cnnrs lr-find`: the learning rate to begin with."""

from __future__ import annotations

import argparse
import json
import shlex
import warnings
from pathlib import Path
from typing import Any

from cnnrs.base.extras import library
from cnnrs.cli.options import add_command, add_json, completed_by, positive, rate
from cnnrs.cli.train import add_settings, named_data, settings_of

__all__ = ["add"]


def add(commands: Any) -> None:
    """Describes the command."""
    find = add_command(
        commands, "lr-find", _find, "find the learning rate to train with",
        "Train for some steps at rising learning rates (Smith 2017, arXiv:1506.01186), and say which one to\n"
        "take. Takes the settings of `cnnrs train`; nothing is kept.",
        "cnnrs lr-find photos/ --model resnet18 --optimizer sgd\ncnnrs lr-find run.toml --plot rates.png",
    )  # fmt: skip
    source = find.add_argument("source", metavar="FOLDER|FILE.toml|mnist", help="as of `cnnrs train`")
    completed_by(source, named_data)
    find.add_argument("--steps", type=positive, default=100, help="batches of the test (100)")
    find.add_argument("--start", type=rate, default=1e-6, help="the first rate (1e-6)")
    find.add_argument("--end", type=rate, default=10.0, help="the last rate (10)")
    find.add_argument("--plot", type=Path, metavar="FILE", help="draw losses over rates (extra plot)")
    add_json(find, "rates, losses and suggestion")
    add_settings(find)


def _find(options: argparse.Namespace) -> int:
    from cnnrs import runs
    from cnnrs.optimizers import SAM
    from cnnrs.runs.preparing import prepare, surroundings

    if options.start >= options.end:
        options.parser.error(
            f"--start: expected less than --end, {options.end:g}, received {options.start:g}"
        )
    if options.plot is not None:
        # Before the test, which takes its time.
        library("matplotlib", "plot", "lr-find --plot")
    settings: runs.Settings = settings_of(options)
    # The test sets the rates: a schedule would be in its way.
    settings = settings.changed(schedule="constant", warmup_epochs=0.0, eta_min=0.0)
    with surroundings(settings):
        prepared = prepare(settings)
        if isinstance(prepared.model.optimizer, SAM):
            options.parser.error("--sam-rho: expected 0: the test looks for the rate of one optimizer")
        prepared.training.begin(0)
        with warnings.catch_warnings():
            # What it warns of is printed below.
            warnings.filterwarnings("ignore", "lr_find: ")
            found = prepared.model.lr_find(
                prepared.training, start_learning_rate=options.start, end_learning_rate=options.end,
                steps=options.steps,
            )  # fmt: skip
    if options.plot is not None:
        found.plot().figure.savefig(options.plot)
    if options.json:
        facts = {"suggestion": found.suggestion, "steepest": found.steepest, "problem": found.problem}
        rows = {"learning_rates": found.learning_rates, "losses": found.losses, "smoothed": found.smoothed}
        print(json.dumps({**facts, **rows}))
        return 0
    if found.steepest is None or found.minimum_over_ten is None:
        print(f"the test found no rate: {found.problem}")
        print("more --steps, a larger --batch-size, or other --start and --end may show more")
        return 0
    # The rates have 32 bits.
    if not 1.0001 * options.start < found.steepest < options.end / 1.0001:
        print(
            f"the test found no rate: the loss falls fastest at an end of the tested rates, "
            f"{options.start:g} to {options.end:g}; try more --steps, or other --start and --end"
        )
        return 0
    print(
        f"learning rate {found.suggestion:.2g}: the loss falls fastest at {found.steepest:.2g}, and is least"
    )
    print(f"at {10 * found.minimum_over_ten:.2g}, after {len(found.losses)} batches of rising rates")
    print(f"next: cnnrs train {_flags(options)} --learning-rate {found.suggestion:.2g}")
    return 0


def _flags(options: argparse.Namespace) -> str:
    """The source and the settings that were given, as flags of `cnnrs train`."""
    from cnnrs.cli.train import given_settings

    words = [options.source]
    for name, value in given_settings(options).items():
        if name != "learning_rate":
            joined = (
                ("x" if name == "image_size" else ",").join(map(str, value))
                if isinstance(value, list)
                else value
            )
            words += [f"--{name.replace('_', '-')}", str(joined)]
    return shlex.join(words)

"""`cnnrs train`: a network, from a folder of pictures or a TOML file to the folder of a run."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnrs.cli import mnist
from cnnrs.cli.options import add_command, add_json, completed_by, port, positive, rate, seed
from cnnrs.cli.signals import terminable

if TYPE_CHECKING:
    from cnnrs.runs import Settings

__all__ = ["add", "add_settings", "given_settings", "named_data", "settings_of"]

_DESCRIPTION = """Train a network on a folder with a sub-folder of images for each class:

  photos/cat/1.jpg   photos/cat/2.jpg   photos/dog/1.jpg   …

A fifth of each class is kept for validation. The folder of the run then has model.keras (the best epoch),
last.keras, history.csv, evaluation.json, predictions.npz, environment.json, and run.toml, which repeats the
run bit for bit. Ctrl-C saves and says how to resume. All settings may stand in a TOML file instead; flags go
before what it says."""

_EXAMPLES = """
cnnrs train photos/ --model resnet18 --epochs 20 --out run/
cnnrs train photos/ --model mobilenet_v2 --weights imagenet --recipe fine-tune --out run/
cnnrs train photos/ --validation other/ --image-size 160 --augment standard --device gpu --out run/
cnnrs train run/run.toml --out again/
cnnrs train photos/ --check
cnnrs train mnist
"""

# What `cnnrs train mnist` without a folder for the run understands.
_OF_MNIST = ("epochs", "batch_size", "learning_rate", "seed", "device", "model")


def add(commands: Any) -> None:
    """Describes the command."""
    train = add_command(commands, "train", _train, "train a network on pictures", _DESCRIPTION, _EXAMPLES)
    source = train.add_argument(
        "source", nargs="?", metavar="FOLDER|FILE.toml|mnist",
        help="the folder of images, a TOML file of settings, or the name of a data set",
    )  # fmt: skip
    completed_by(source, named_data)
    train.add_argument("--out", metavar="FOLDER", help="the folder of the run (run, or run-2, run-3 …)")
    train.add_argument("--overwrite", action="store_true", help="replace the run that is there")
    train.add_argument("--check", action="store_true", help="look at data and model, and stop")
    train.add_argument(
        "--no-check", action="store_true", help="train without looking for mistakes in the data first"
    )
    train.add_argument(
        "--overfit-one-batch", action="store_true",
        help="train on one batch until it is known by heart: what cannot do that has a mistake",
    )  # fmt: skip
    add_json(train, "the result")
    train.add_argument("--quiet", action="store_true", help="show no progress")
    train.add_argument("--no-report", action="store_true", help="write no report.html")
    train.add_argument(
        "--live", type=port, nargs="?", const=0, metavar="PORT",
        help="serve the report on this machine while training, at a free port or at this one",
    )  # fmt: skip
    train.add_argument("--list-models", action="store_true", help="list the networks that --model knows")
    train.add_argument(
        "--output", type=Path, default=None, metavar="FILE",
        help="of `train mnist` without --out: the file that the model is saved to (mnist.safetensors)",
    )  # fmt: skip
    add_settings(train)


def named_data() -> tuple[str, ...]:
    """Names of data sets that need no folder."""
    from cnnrs.runs.data import NAMED

    return NAMED


class _Checked(argparse.Action):
    """A setting, checked where it is given, so that the error names the flag."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Any = None) -> None:
        from cnnrs.runs import settings

        setting = settings.SETTINGS[self.dest]
        try:
            setattr(namespace, self.dest, setting.convert(values, setting.name))
        except (TypeError, ValueError) as error:
            text = str(error).removeprefix(f"settings: {setting.name}: ").removeprefix("settings: ")
            raise argparse.ArgumentError(self, text) from error


# Flags whose values are checked as those of other commands.
_KINDS: dict[str, Any] = {
    "epochs": positive, "batch_size": positive, "learning_rate": rate, "seed": seed,
}  # fmt: skip


def add_settings(parser: argparse.ArgumentParser) -> None:
    """The flags of all settings but the data, by the tables of the file."""
    from cnnrs.runs import networks, settings

    groups = {name: parser.add_argument_group(title) for name, title in (
        ("data", "data: table [data] of the file"),
        ("model", "network: table [model]"),
        ("training", "training: table [training]"),
    )}  # fmt: skip
    for setting in settings.SETTINGS.values():
        if setting.name in ("data", "data_hash"):
            continue
        kind: dict[str, Any] = (
            {"type": _KINDS[setting.name]} if setting.name in _KINDS else {"action": _Checked}
        )
        action = groups[setting.table].add_argument(
            f"--{setting.name.replace('_', '-')}", dest=setting.name, metavar=setting.metavar,
            help=setting.help.replace("%", "%%"), **kind,
        )  # fmt: skip
        # Networks stand above settings, which therefore cannot name them.
        completed_by(action, networks.names if setting.name == "model" else setting.words)


def given_settings(options: argparse.Namespace) -> dict[str, Any]:
    """The settings that flags give."""
    from cnnrs.runs import settings

    names = (name for name in settings.SETTINGS if name not in ("data", "data_hash"))
    values = {name: getattr(options, name, None) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def settings_of(options: argparse.Namespace) -> Settings:
    """The settings of a command: those of its file, with flags before them."""
    from cnnrs.runs import Settings

    source = options.source
    if source is None:
        options.parser.error("expected a folder of images, a TOML file or the name of a data set")
    given = given_settings(options)
    if source.endswith(".toml"):
        if not os.path.isfile(source):
            options.parser.error(f"{source!r}: no such file")
        settings = Settings.load(source)
        if "validation" in given:
            settings = dataclasses.replace(settings, validation_split=None)
        if {"class_names", "validation"} & set(given):
            settings = dataclasses.replace(settings, data_hash=None)
        return settings.changed(**given)
    from cnnrs.runs.data import NAMED

    if source not in NAMED and not os.path.exists(source):
        options.parser.error(
            f"{source!r}: no such folder; expected a folder of images, a TOML file, or one of "
            f"{', '.join(NAMED)}"
        )
    return Settings(data=source, **given)


def _free_folder() -> str:
    """run, or run-2, run-3 and so on, whichever is not there."""

    def names() -> Iterator[str]:
        yield "run"
        number = 2
        while True:
            yield f"run-{number}"
            number += 1

    return next(name for name in names() if not os.path.exists(name))


def _train(options: argparse.Namespace) -> int:
    if options.list_models:
        from cnnrs.runs import networks

        names = networks.names()
        print(json.dumps(names) if options.json else "\n".join(names))
        return 0
    legacy = options.source == "mnist" and options.out is None
    if legacy and not (options.check or options.json or options.overfit_one_batch):
        others = sorted(set(given_settings(options)) - set(_OF_MNIST))
        if others or options.model not in (None, *mnist.MODELS):
            options.parser.error("mnist: with these settings, expected --out for the folder of the run")
        defaults = {"model": "lenet5", "epochs": 10, "batch_size": 64, "learning_rate": 0.002}
        for name, value in defaults.items():
            setattr(options, name, getattr(options, name) or value)
        options.output = options.output or Path("mnist.safetensors")
        return mnist.train(options)
    if options.output is not None:
        options.parser.error("--output: expected --out, the folder of the run, with this data")
    return _train_run(options)


def _train_run(options: argparse.Namespace) -> int:
    from cnnrs import runs
    from cnnrs.cli.results import as_json, stopped, told

    settings = settings_of(options)
    if options.check or options.overfit_one_batch:
        return _look(options, settings)
    out = options.out or _free_folder()
    with terminable():
        try:
            result = runs.train(
                settings, out, overwrite=options.overwrite, progress=not options.quiet,
                check=not options.no_check, report=not options.no_report, live=options.live,
            )  # fmt: skip
        except BaseException as error:
            stopped(out, error)
            raise
    print(as_json(result) if options.json else told(result))
    return 0


def _look(options: argparse.Namespace, settings: Settings) -> int:
    """What `--check` and `--overfit-one-batch` find; status 1 where nothing sensible can come of training."""
    from cnnrs import sanity
    from cnnrs.runs.inspecting import inspect
    from cnnrs.runs.preparing import prepare, surroundings

    said: dict[str, Any] = {}
    lines: list[str] = []
    failed = False
    with surroundings(settings):
        prepared = prepare(settings)
        if options.check:
            findings = inspect(prepared)
            failed = bool(findings.errors)
            said = {"facts": findings.facts, "findings": [finding.as_dict() for finding in findings]}
            counts = findings.facts["classes"]
            listed = ", ".join(f"{name} {count:,}" for name, count in list(counts.items())[:20])
            lines = [
                f"{findings.facts['samples']:,} images to train on, {findings.facts['validation']:,} to "
                f"validate on, {len(counts)} classes: {listed}{' …' if len(counts) > 20 else ''}",
                str(findings),
            ]
        if options.overfit_one_batch:
            prepared.training.begin(0)
            learnt = sanity.overfit_one_batch(prepared.model, prepared.training)
            failed = failed or not learnt.passed
            last = {"passed": learnt.passed, "losses": learnt.losses, "accuracy": learnt.accuracy}
            said["overfit_one_batch"] = last
            lines.append(str(learnt))
    print(json.dumps(said, ensure_ascii=False) if options.json else "\n".join(lines))
    return 1 if failed else 0

"""`cnnrs search`: the best settings of a declared space."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import sys
from typing import Any

from cnnrs.cli.options import add_command, add_json, positive, rate
from cnnrs.cli.signals import terminable
from cnnrs.cli.train import add_settings, settings_of

__all__ = ["add"]

_DESCRIPTION = """Look for good settings: train runs of different ones, from a space that the file declares:

  [data]
  data = "photos"
  [training]
  epochs = 10
  [search]
  trials = 20
  [search.space]
  learning_rate = {low = 1e-4, high = 1e-2, log = true}
  optimizer = ["adamw", "sgd"]

Trials that are worse than the median of the others end early. A search that was interrupted goes on when the
command is given again. The folder is then the run of the best trial; search.json has all of them.
Needs Optuna: pip install "cnnrs[search]"."""


def add(commands: Any) -> None:
    """Describes the command."""
    search = add_command(
        commands, "search", _search, "look for the best settings of a space", _DESCRIPTION,
        "cnnrs search run.toml --out search/\ncnnrs search run.toml --trials 50 --timeout 3600 --json\n"
        "cnnrs train search/run.toml --epochs 100 --out best/",
    )  # fmt: skip
    search.add_argument("source", metavar="FILE.toml", help="settings, with the table [search.space]")
    search.add_argument("--out", default="search", metavar="FOLDER", help="the folder of the search (search)")
    search.add_argument(
        "--trials", type=positive, metavar="N", help="how many trials, in place of the file's"
    )
    search.add_argument(
        "--timeout",
        type=rate,
        metavar="SECONDS",
        help="time after which no trial begins (the file's)",
    )
    add_json(search, "all trials")
    search.add_argument("--quiet", action="store_true", help="show no trials while they end")
    add_settings(search)


def _search(options: argparse.Namespace) -> int:
    from cnnrs.runs import toml
    from cnnrs.runs.searching import Space, search

    if not options.source.endswith(".toml"):
        options.parser.error(f"{options.source!r}: expected a TOML file with the table [search.space]")
    settings = settings_of(options)
    space = Space.of_table(toml.load(options.source).get("search", {}))
    if options.trials is not None:
        space = dataclasses.replace(space, trials=options.trials)
    if options.timeout is not None:
        space = dataclasses.replace(space, timeout=options.timeout)

    def say(line: str) -> None:
        if not options.quiet:
            print(line, file=sys.stderr, flush=True)

    with terminable():
        try:
            found = search(settings, space, options.out, say)
        except KeyboardInterrupt:
            print(f"saved; go on with the same command:\n  {_again(options)}", file=sys.stderr)
            raise
    if options.json:
        print(json.dumps(found, ensure_ascii=False))
        return 0
    best = next(trial for trial in found["trials"] if trial["number"] == found["best"])
    print(f"best: trial {best['number']} of {len(found['trials'])}, {found['metric']} {best['value']:.4f}")
    for name, value in best["settings"].items():
        print(f"  {name} = {value}")
    print(f"saved {options.out}; next: cnnrs train {shlex.quote(options.out)}/run.toml --out another")
    return 0


def _again(options: argparse.Namespace) -> str:
    return shlex.join(["cnnrs", *sys.argv[1:]] if len(sys.argv) > 2 else ["cnnrs", "search", options.source])

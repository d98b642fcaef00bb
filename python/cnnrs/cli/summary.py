"""`cnnrs summary`: what a file of a model or of weights holds, or what a network is made of."""

from __future__ import annotations

import argparse
import os
from typing import Any

from cnnrs.cli.models import is_model_file, made
from cnnrs.cli.options import add_command

__all__ = ["add"]


def add(commands: Any) -> None:
    """Describes the command."""
    summary = add_command(
        commands, "summary", _summary, "show what a model is made of, or what a file holds",
        "Show the layers of a run's model or of a network, with what each costs on request; or the layers\n"
        "and arrays of a file of a model or of weights, without making the model.",
        "cnnrs summary run/\ncnnrs summary weights.safetensors\ncnnrs summary resnet50 --costs",
    )  # fmt: skip
    summary.add_argument(
        "path", help="a .keras, .h5, .weights.h5, .weights.json or .safetensors file, a run, or a network"
    )
    summary.add_argument(
        "--costs", action="store_true", help="make the model and list FLOPs, memory and receptive fields"
    )


def _summary(options: argparse.Namespace) -> int:
    """The layers of a run or a network. The model of a file is not made, and its classes are not needed."""
    from cnnrs.saving.contents import contents_of, describe

    path = options.path
    is_file = not os.path.isdir(path) and (
        is_model_file(path) or os.path.exists(path) or "." in path or os.sep in path
    )
    if options.costs or not is_file:
        shown = {"flops": True, "receptive_field": True, "memory": True} if options.costs else {}
        made(path).summary(**shown)
        return 0
    print(describe(contents_of(path)))
    return 0

"""`cnnrs explain`: what becomes of each layer, by which kernel, and why."""

from __future__ import annotations

import argparse
from typing import Any

from cnnrs.cli.models import images_of, made
from cnnrs.cli.options import add_command, positive

__all__ = ["add"]


def add(commands: Any) -> None:
    """Describes the command."""
    explain = add_command(
        commands, "explain", _explain, "show what becomes of each layer, by which kernel and why",
        "", "cnnrs explain resnet18\ncnnrs explain run/ --batch 8 --device gpu",
    )  # fmt: skip
    explain.add_argument("model", help="a network by its name, the folder of a run, or the file of a model")
    explain.add_argument("--batch", type=positive, default=1, help="images of a batch (1)")
    explain.add_argument("--device", help='"cpu" or "gpu"')


def _explain(options: argparse.Namespace) -> int:
    from cnnrs import config, utils

    if options.device is not None:
        config.set_device(options.device)
    model = made(options.model)
    print(utils.explain(model, images_of(model, options.batch)))
    return 0

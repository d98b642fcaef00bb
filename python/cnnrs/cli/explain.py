"""`cnnrs explain`: what becomes of each layer, by which kernel, and why."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import Any

from cnnrs.cli.models import add_model, images_of, made
from cnnrs.cli.options import add_command, add_device, add_json, on_device, positive

__all__ = ["add"]


def add(commands: Any) -> None:
    """Describes the command."""
    explain = add_command(
        commands, "explain", _explain, "show what becomes of each layer, by which kernel and why",
        "Show what becomes of each layer, by which kernel and why. Nothing is run.",
        "cnnrs explain resnet18\ncnnrs explain run/ --batch 8 --device gpu\ncnnrs explain resnet18 --json",
    )  # fmt: skip
    add_model(explain)
    explain.add_argument("--batch", type=positive, default=1, help="images of a batch (1)")
    add_device(explain)
    add_json(explain, "layers, steps and sums")


def _explain(options: argparse.Namespace) -> int:
    from cnnrs import utils

    with on_device(options):
        model = made(options.model)
        found = utils.explain(model, images_of(model, options.batch))
    if not options.json:
        print(found)
        return 0
    said = {
        "model": options.model,
        "title": found.title,
        "layers": [dataclasses.asdict(layer) for layer in found.layers],
        "others": [dataclasses.asdict(layer) for layer in found.others],
        "num_steps": found.num_steps,
        "arena_bytes": found.arena_bytes,
        "once_bytes": found.once_bytes,
        **found.data,
    }
    print(json.dumps(said, ensure_ascii=False))
    return 0

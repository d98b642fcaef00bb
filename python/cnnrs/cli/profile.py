"""`cnnrs profile`: where the time of a network goes, kernel by kernel."""

from __future__ import annotations

import argparse
import json
from typing import Any

from cnnrs.cli.models import add_model, images_of, made
from cnnrs.cli.options import add_command, add_device, add_json, on_device, positive

__all__ = ["add"]


def add(commands: Any) -> None:
    """Describes the command."""
    profile = add_command(
        commands, "profile", _profile, "show where the time goes",
        "Show the time of every kernel of a step, the slowest first, for random images.",
        "cnnrs profile resnet18 --batch 8\ncnnrs profile run/ --training",
    )  # fmt: skip
    add_model(profile)
    profile.add_argument("--batch", type=positive, default=1, help="images of a batch (1)")
    profile.add_argument("--training", action="store_true", help="a step of training instead of inference")
    profile.add_argument("--repeats", type=positive, default=10, help="runs; the fastest times are shown")
    add_device(profile)
    add_json(profile, "the times")


def _profile(options: argparse.Namespace) -> int:
    """The table of `utils.profile` for random images; training is SGD with momentum, LeNet-5's with Adam."""
    import numpy as np

    from cnnrs import losses, optimizers, utils

    with on_device(options):
        model = made(options.model, logits=True)
        x = images_of(model, options.batch)
        y = None
        if options.training:
            y = np.random.default_rng(0).integers(0, model.output_shape[-1], options.batch)
            optimizer = optimizers.Adam() if model.name == "lenet5" else optimizers.SGD(0.01, momentum=0.9)
            loss = losses.SparseCategoricalCrossentropy(from_logits=True)
            model.compile(optimizer, loss, metrics=["accuracy"])
        found = utils.profile(model, x, y, options.repeats)
    if options.json:
        asked = {"model": options.model, "batch": options.batch, "training": options.training}
        print(json.dumps({**asked, **found.data}, ensure_ascii=False))
    else:
        print(found, end="")
    return 0

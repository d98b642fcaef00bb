"""`cnnrs evaluate`: how good a model is on a folder of pictures."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

from cnnrs.cli.options import add_command, positive

__all__ = ["add"]


def add(commands: Any) -> None:
    """Describes the command."""
    evaluate = add_command(
        commands, "evaluate", _evaluate, "measure a trained model on pictures",
        "Measure a trained model: on a folder with a sub-folder for each of its classes, or, without one,\n"
        "on the validation of its run.",
        "cnnrs evaluate run/\ncnnrs evaluate run/ other-photos/ --json",
    )  # fmt: skip
    evaluate.add_argument("model", metavar="RUN|MODEL", help="the folder of a run, or the file of a model")
    evaluate.add_argument("data", nargs="?", metavar="FOLDER", help="a folder of images by class")
    evaluate.add_argument("--batch-size", type=positive, default=32, help="images at once (32)")
    evaluate.add_argument("--device", help='"cpu" or "gpu"')
    evaluate.add_argument("--json", action="store_true", help="write the figures as JSON")


def _evaluate(options: argparse.Namespace) -> int:
    from cnnrs import config
    from cnnrs.evaluation import evaluate_model
    from cnnrs.runs import RunFolder, Settings, preparing
    from cnnrs.runs.inference import Classifier

    if options.device is not None:
        config.set_device(options.device)
    if options.data is None:
        if not os.path.isdir(options.model):
            options.parser.error("FOLDER: expected a folder of images by class beside the file of a model")
        folder = RunFolder(options.model).require()
        batches = preparing.measured_by(Settings.load(folder.settings))
        classifier = Classifier(folder.path)
    else:
        classifier = Classifier(options.model)
        batches = classifier.batches(options.data, options.batch_size)
    found = evaluate_model(classifier.model, batches)
    print(json.dumps(found.as_dict(), ensure_ascii=False) if options.json else found)
    return 0

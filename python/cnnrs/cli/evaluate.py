"""`cnnrs evaluate`: how good a model is on a folder of pictures."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

from cnnrs.cli.options import add_command, add_device, add_json, class_names, on_device, positive

__all__ = ["add"]

_DESCRIPTION = """Measure a trained model: on a folder with a sub-folder for each of its classes, or, without
one, on the validation of its run. A class without a folder is a warning: its figures are those of no samples.
Names of classes are those of the model's file; a file that has none takes the folders in the order of their
names, or those of --class-names, in the order of the model's outputs."""


def add(commands: Any) -> None:
    """Describes the command."""
    evaluate = add_command(
        commands, "evaluate", _evaluate, "measure a trained model on pictures", _DESCRIPTION,
        "cnnrs evaluate run/\ncnnrs evaluate run/ other-photos/ --json\n"
        "cnnrs evaluate model.keras photos/ --class-names cat,dog --broken skip",
    )  # fmt: skip
    evaluate.add_argument("model", metavar="RUN|MODEL", help="the folder of a run, or the file of a model")
    evaluate.add_argument("data", nargs="?", metavar="FOLDER", help="a folder of images by class")
    evaluate.add_argument(
        "--broken", choices=("error", "skip"), metavar="HOW",
        help="files of FOLDER that are no images: error, or skip with a warning (error)",
    )  # fmt: skip
    evaluate.add_argument(
        "--class-names", type=class_names, metavar="A,B",
        help="the sub-folders of FOLDER in the order of the model's outputs (those of its file)",
    )  # fmt: skip
    evaluate.add_argument("--batch-size", type=positive, default=32, metavar="N", help="images at once (32)")
    add_device(evaluate)
    evaluate.add_argument("--quiet", action="store_true", help="show no progress")
    add_json(evaluate, "the figures")


def _evaluate(options: argparse.Namespace) -> int:
    from cnnrs.evaluation import evaluate_model
    from cnnrs.runs import RunFolder, Settings, preparing
    from cnnrs.runs.inference import Classifier
    from cnnrs.runs.progress import Progress

    if options.data is None:
        for name in ("broken", "class_names"):
            if getattr(options, name) is not None:
                flag = f"--{name.replace('_', '-')}"
                options.parser.error(f"{flag}: expected FOLDER with it; the run has settings of its own")
        if not os.path.isdir(options.model):
            options.parser.error("FOLDER: expected a folder of images by class beside the file of a model")
    with on_device(options):
        if options.data is None:
            folder = RunFolder(options.model).require()
            batches = preparing.measured_by(Settings.load(folder.settings), options.batch_size)
            classifier = Classifier(folder.path)
        else:
            classifier = Classifier(options.model, options.class_names)
            batches = classifier.batches(options.data, options.batch_size, options.broken == "skip")
        progress = Progress(len(batches.indices), not options.quiet)
        try:
            found = evaluate_model(classifier.model, batches, on_batch=progress)
        except BaseException as error:
            progress.clear()
            if isinstance(error, ValueError) and "not an image" in str(error) and options.data is not None:
                raise ValueError(f"{error}; --broken skip leaves such files out") from error
            raise
        progress.close(always=True)
    print(json.dumps(found.as_dict(), ensure_ascii=False) if options.json else found)
    return 0

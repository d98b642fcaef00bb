"""`cnnrs predict`: what a trained model sees in pictures."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from cnnrs.cli.options import add_command, add_device, add_json, class_names, on_device, positive

__all__ = ["add"]

_DESCRIPTION = """Say what a trained model sees in pictures: files, folders, patterns, or with - what comes on
standard input, a picture itself or a path a line. A file that is no picture is named on standard error, the
others go on, and the exit status is 1."""


def add(commands: Any) -> None:
    """Describes the command."""
    predict = add_command(
        commands, "predict", _predict, "say what a trained model sees in pictures", _DESCRIPTION,
        """
cnnrs predict run/ picture.jpg
cnnrs predict run/ 'photos/**/*.png' --top 5
cnnrs predict run/model.keras folder/ --json > answers.jsonl
find . -name '*.jpg' | cnnrs predict run/ -
cat picture.jpg | cnnrs predict run/ -
""",
    )  # fmt: skip
    predict.add_argument("model", metavar="RUN|MODEL", help="the folder of a run, or the file of a model")
    predict.add_argument("images", nargs="+", metavar="IMAGE", help="a file, folder or pattern, or -")
    predict.add_argument("--top", type=positive, default=1, metavar="N", help="classes of each picture (1)")
    predict.add_argument("--batch-size", type=positive, default=32, metavar="N", help="images at once (32)")
    predict.add_argument(
        "--class-names", type=class_names, metavar="A,B",
        help="names in the order of the model's outputs (those of its file)",
    )  # fmt: skip
    add_device(predict)
    predict.add_argument("--quiet", action="store_true", help="show no progress")
    add_json(predict, "a line for each picture")


def _predict(options: argparse.Namespace) -> int:
    from cnnrs.runs.inference import Classifier
    from cnnrs.runs.progress import Progress

    failed = 0
    with on_device(options), tempfile.TemporaryDirectory() as kept:
        classifier = Classifier(options.model, options.class_names)
        paths = list(_paths(options.images, kept))
        progress = Progress(len(paths), not options.quiet)
        try:
            for done, found in enumerate(classifier.predict(paths, options.top, options.batch_size), 1):
                if found.error is not None or sys.stdout.isatty():
                    progress.clear()
                failed += _told(found, "-" if os.path.dirname(found.path) == kept else found.path, options)
                progress(done)
        except BaseException:
            progress.clear()
            raise
        progress.close()
    return 1 if failed else 0


def _told(found: Any, path: str, options: argparse.Namespace) -> bool:
    """Writes what was found; gives whether it is an error."""
    if found.error is not None:
        print(f"cnnrs: {found.error.replace(found.path, path)}", file=sys.stderr)
    if options.json:
        row = {**found.as_dict(), "path": path}
        if found.error is not None:
            row["error"] = found.error.replace(found.path, path)
        print(json.dumps(row, ensure_ascii=False))
    elif found.error is None:
        print(f"{path}: {', '.join(f'{name} {score:.4f}' for name, score in found.classes)}")
    return found.error is not None


def _paths(given: list[str], kept: str) -> Iterator[str]:
    """The files: what comes on standard input is kept in a folder, if it is a picture."""
    from cnnrs.runs.inference import image_paths

    for text in given:
        if text != "-":
            yield from image_paths([text])
            continue
        content = sys.stdin.buffer.read()
        if not content:
            raise ValueError("-: expected a picture or paths on standard input, received nothing")
        try:
            lines = content.decode().splitlines()
            is_text = all(line.isprintable() for line in lines)
        except UnicodeDecodeError:
            is_text = False
        if is_text:
            yield from image_paths(line.strip() for line in lines if line.strip())
            continue
        path = os.path.join(kept, "picture")
        with open(path, "wb") as file:
            file.write(content)
        yield path

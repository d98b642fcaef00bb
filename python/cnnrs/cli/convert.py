"""`cnnrs convert`: a model in another format."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

from cnnrs.cli.models import path_of
from cnnrs.cli.options import add_command, add_json

__all__ = ["add"]

_MODELS = (".keras", ".h5", ".hdf5", ".safetensors")
_WEIGHTS = (".weights.h5", ".weights.safetensors")


def add(commands: Any) -> None:
    """Describes the command."""
    convert = add_command(
        commands, "convert", _convert, "write a model, or its weights, in another format",
        "Write a model in the format that the ending of the second path says: .keras and .h5 (which Keras\n"
        "reads), .safetensors; its weights alone as .weights.h5, .weights.safetensors or .npz.",
        "cnnrs convert run/ model.h5\ncnnrs convert model.keras model.safetensors\n"
        "cnnrs convert model.keras weights.npz",
    )  # fmt: skip
    convert.add_argument("model", metavar="RUN|MODEL", help="the folder of a run, or the file of a model")
    convert.add_argument("output", metavar="FILE", help="the file to write")
    convert.add_argument("--overwrite", action="store_true", help="replace a file that is there")
    convert.add_argument("--no-optimizer", action="store_true", help="leave out the state of the optimizer")
    add_json(convert, "the path, its size and what it holds")


def _convert(options: argparse.Namespace) -> int:
    from cnnrs.saving import load_model

    output = options.output
    if not output.endswith((*_MODELS, *_WEIGHTS, ".npz")):
        whose = " ONNX is not written by this version." if output.endswith(".onnx") else ""
        options.parser.error(
            f"{output!r}: expected a path ending in {', '.join((*_MODELS, *_WEIGHTS, '.npz'))}.{whose}"
        )
    if os.path.exists(output) and not options.overwrite:
        raise FileExistsError(f"{output!r} exists; --overwrite replaces it")
    model = load_model(path_of(options.model), compile=not options.no_optimizer)
    has_optimizer = False
    if output.endswith(".npz"):
        _write_arrays(model, output)
    elif output.endswith(_WEIGHTS):
        model.save_weights(output, overwrite=True)
    else:
        has_optimizer = _keeps_optimizer(model, options)
        model.save(output, overwrite=True, include_optimizer=has_optimizer)
    size = os.path.getsize(output)
    if options.json:
        kind = "model" if output.endswith(_MODELS) and not output.endswith(_WEIGHTS) else "weights"
        said = {"path": output, "bytes": size, "holds": kind, "optimizer": has_optimizer}
        print(json.dumps({**said, "parameters": model.count_params()}, ensure_ascii=False))
    else:
        print(f"saved {output} ({size:,} bytes)")
    return 0


def _keeps_optimizer(model: Any, options: argparse.Namespace) -> bool:
    """Whether the optimizer is written: a file of Keras holds none that Keras has not."""
    from cnnrs.base.user_warnings import warn_user
    from cnnrs.saving.keras_config import keras_has_optimizer

    if options.no_optimizer or model.optimizer is None:
        return False
    if options.output.endswith(".safetensors") or keras_has_optimizer(model.optimizer):
        return True
    warn_user(
        f"{type(model.optimizer).__name__} with these settings is not one of Keras, which could not read the "
        "file: the optimizer is left out; .safetensors keeps it"
    )
    return False


def _write_arrays(model: Any, output: str) -> None:
    """Weights by the paths of their variables, in a file of numpy's, whole or not at all."""
    import numpy as np

    part = f"{output}.part.npz"
    arrays = {weight.path: weight.numpy() for weight in model.weights}
    if len(arrays) != len(model.weights):
        raise ValueError("convert: .npz: expected weights of different paths; .safetensors holds any")
    try:
        # By a file, as `savez` takes the keyword `file` for its own.
        with open(part, "wb") as file:
            np.savez(file, **arrays)
        os.replace(part, output)
    finally:
        if os.path.exists(part):
            os.remove(part)

"""`cnnrs summary`: what a file of a model or of weights holds, or what a network is made of."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

from cnnrs.cli.models import is_model_file, made, names
from cnnrs.cli.options import add_command, add_json, completed_by

__all__ = ["add"]


def add(commands: Any) -> None:
    """Describes the command."""
    summary = add_command(
        commands, "summary", _summary, "show what a model is made of, or what a file holds",
        "Show the layers of a run's model or of a network, with what each costs on request; or the layers\n"
        "and arrays of a file of a model or of weights, without making the model.",
        "cnnrs summary run/\ncnnrs summary weights.safetensors\ncnnrs summary resnet50 --costs",
    )  # fmt: skip
    path = summary.add_argument(
        "path", help="a .keras, .h5, .weights.h5, .weights.json or .safetensors file, a run, or a network"
    )
    completed_by(path, names)
    summary.add_argument(
        "--costs", action="store_true", help="make the model and list FLOPs, memory and receptive fields"
    )
    add_json(summary, "layers, or what the file holds,")


def _summary(options: argparse.Namespace) -> int:
    """The layers of a run or a network. The model of a file is not made, and its classes are not needed."""
    from cnnrs.saving.contents import as_dict, contents_of, describe

    path = options.path
    is_file = not os.path.isdir(path) and (
        is_model_file(path) or os.path.exists(path) or "." in path or os.sep in path
    )
    if options.costs or not is_file:
        shown = {"flops": True, "receptive_field": True, "memory": True} if options.costs else {}
        model = made(path)
        if options.json:
            print(json.dumps(_as_dict(model, options.costs), ensure_ascii=False))
        else:
            model.summary(**shown)
        return 0
    contents = contents_of(path)
    print(json.dumps(as_dict(contents), ensure_ascii=False) if options.json else describe(contents))
    return 0


def _as_dict(model: Any, with_costs: bool) -> dict[str, Any]:
    """What the table of a model shows."""
    trainable = sum(weight.size for weight in model.trainable_weights)
    found: dict[str, Any] = {
        "name": model.name,
        "class": type(model).__name__,
        "parameters": model.count_params(),
        "trainable_parameters": trainable,
    }
    if not with_costs:
        found["layers"] = [
            {"name": layer.name, "class": type(layer).__name__, "parameters": layer.count_params()}
            for layer in model.layers
        ]
        return found
    from cnnrs import analysis

    costs, fields = analysis.costs(model), analysis.receptive_field(model)
    seen = {layer.path: layer.size for layer in fields if layer.size is not None}
    found |= {
        "flops": costs.flops,
        "macs": costs.macs,
        "activation_bytes": costs.activation_bytes,
        "inference_bytes": costs.inference_bytes,
    }
    found["layers"] = [
        {
            "name": layer.name, "class": layer.type, "path": layer.path, "parameters": layer.parameters,
            "flops": layer.flops, "macs": layer.macs, "activation_bytes": layer.activation_bytes,
            **({"receptive_field": list(seen[layer.path])} if layer.path in seen else {}),
        }
        for layer in costs
    ]  # fmt: skip
    return found

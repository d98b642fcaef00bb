"""Layers and ops with absurd numbers, in a process of its own: prints what became of each case.

`python absurd_cases.py layers|ops FIRST SECONDS` runs the cases from number FIRST on under a bound on memory.
A line `begin N CASE` stands before each, a line `end N OUTCOME` behind it. A case of more than SECONDS
ends the process.
"""

from __future__ import annotations

import inspect
import resource
import signal
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

import cnnrs
from cnnrs import Input, Model, layers, ops

NUMBERS = [0, -1, 10**4, 10**9, 2**31, 2**61, 2**63]
MEMORY = 2 << 30

# Arguments that a layer needs, and the shape of one sample where it is no image.
REQUIRED: dict[str, dict[str, Any]] = {
    "filters": {"filters": 2},
    "kernel_size": {"kernel_size": 3},
    "classes": {"classes": 3},
    "units": {"units": 3},
    "rate": {"rate": 0.5},
    "n": {"n": 2},
    "target_shape": {"target_shape": (8, 24)},
    "dims": {"dims": (2, 1, 3)},
    "function": {"function": lambda x: x * 2},
    "activation": {"activation": "relu"},
    "scale": {"scale": 2.0},
    "pool_size": {"pool_size": 2},
    "stddev": {"stddev": 0.1},
    "height": {"height": 4},
    "width": {"width": 4},
}
SHAPES = {1: (8, 3), 2: (8, 8, 3), 3: (4, 4, 4, 3)}
MERGING = ("Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract")


def sample_shape(name: str) -> tuple[int, ...]:
    if name.endswith("1D"):
        return SHAPES[1]
    if name.endswith("3D"):
        return SHAPES[3]
    flat = dict.fromkeys(["RepeatVector", "ArcFace", "CenterLoss"], (5,))
    return {**flat, "TimeDistributed": (4, 6)}.get(name, SHAPES[2])


def base_arguments(cls: type) -> dict[str, Any] | None:
    """Small arguments with which the layer works; None if it is none that this can build."""
    arguments: dict[str, Any] = {}
    for parameter in list(inspect.signature(cls.__init__).parameters.values())[1:]:
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        if parameter.default is parameter.empty:
            if parameter.name not in REQUIRED:
                return None
            arguments.update(REQUIRED[parameter.name])
        elif parameter.name == "vocabulary":
            # Without one, lookups wait for `adapt`.
            arguments["vocabulary"] = [1, 2]
    return arguments


def numeric(cls: type, arguments: dict[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    """Arguments that take numbers, with what they are to be set to."""
    pairs = {
        "strides",
        "dilation_rate",
        "pool_size",
        "kernel_size",
        "size",
        "padding",
        "cropping",
        "output_padding",
    }
    for parameter in list(inspect.signature(cls.__init__).parameters.values())[1:]:
        value = arguments.get(parameter.name, parameter.default)
        name = parameter.name
        if isinstance(value, bool) or name in ("name", "dtype"):
            continue
        if (
            isinstance(value, (int, float))
            or name in pairs
            or name in ("max_value", "axis", "groups", "seed")
        ):
            cases: list[Any] = list(NUMBERS)
            if isinstance(value, float):
                cases += [float("nan"), float("inf"), -1.5, 1e30]
            if name in pairs:
                rank = len(sample_shape(cls.__name__)) - 1
                cases += [(1,) * (rank - 1) + (number,) for number in NUMBERS]
                if name in ("padding", "cropping"):
                    cases += [((0, 0),) * (rank - 1) + ((number, 1),) for number in NUMBERS]
            yield name, cases
        elif isinstance(value, tuple):
            yield name, [(*value[:-1], number) for number in NUMBERS]


def layer_cases() -> Iterator[tuple[str, Any]]:
    for name in layers.__all__:
        cls = getattr(layers, name)
        # An alias is its layer.
        if getattr(cls, "__name__", name) != name:
            continue
        if not (inspect.isclass(cls) and issubclass(cls, layers.Layer)) or name in ("Layer", "InputLayer"):
            continue
        arguments = base_arguments(cls)
        if arguments is None:
            continue
        shape = sample_shape(name)
        yield f"{name}({arguments})", (cls, arguments, shape)
        for argument, values in numeric(cls, arguments):
            for value in values:
                changed = {**arguments, argument: value}
                yield f"{name}({changed})", (cls, changed, shape)
                if argument == "strides" and "padding" in inspect.signature(cls.__init__).parameters:
                    yield f"{name}({changed}, same)", (cls, {**changed, "padding": "same"}, shape)


def run_layer(case: Any) -> None:
    cls, arguments, shape = case
    layer = cls(**arguments)
    x = np.ones((2, *shape), np.float32)
    inputs = Input(shape)
    first = layers.Dense(shape[-1])(inputs)
    y = layer([first, first] if cls.__name__ in MERGING else first)
    model = Model(inputs, y)
    model.compile("sgd", loss=lambda y_true, y_pred: ops.mean(ops.square(ops.cast(y_pred, "float32"))))
    model.predict(x, verbose=0)
    model.fit(x, np.zeros((2, 1), np.float32), verbose=0)


IMAGE = np.arange(96, dtype=np.float32).reshape(1, 4, 8, 3)


def op_cases() -> Iterator[tuple[str, Any]]:
    """Ops whose parameters are numbers, each at absurd ones."""
    small: dict[str, Any] = {
        "x": IMAGE, "x1": IMAGE, "x2": IMAGE, "inputs": IMAGE, "images": IMAGE, "logits": IMAGE, "a": IMAGE,
        "kernel": np.ones((3, 3, 3, 2), np.float32), "xs": [IMAGE, IMAGE], "arrays": [IMAGE, IMAGE],
        "indices": np.array([0, 1], np.int32), "updates": IMAGE, "values": IMAGE, "v": IMAGE, "y": IMAGE,
        "axis": 0, "repeats": 2, "num_classes": 3, "shape": (2, 3), "N": 3, "num": 4, "start": 0, "stop": 4,
        "pool_size": 2, "k": 1, "size": (4, 4), "pad_width": ((0, 0), (1, 1), (1, 1), (0, 0)),
        "newshape": (8, 12),
        "shift": 1, "n": 2, "depth": 3, "fill_value": 1.0, "num_segments": 3,
        "segment_ids": np.array([0], np.int32),
        "indices_or_sections": 2, "axes": (0, 2, 1, 3), "source": 0, "destination": 1, "axis1": 0, "axis2": 1,
        "start_indices": [0, 0, 0, 0], "dtype": "float32", "target": np.array([[0]], np.int32),
    }  # fmt: skip
    for name in sorted(vars(ops)):
        op = getattr(ops, name)
        if name.startswith("_") or not callable(op) or inspect.isclass(op) or inspect.ismodule(op):
            continue
        try:
            parameters = list(inspect.signature(op).parameters.values())
        except (TypeError, ValueError):
            continue
        given: dict[str, Any] = {}
        for parameter in parameters:
            if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
                if parameter.name not in small:
                    break
                given[parameter.name] = small[parameter.name]
        else:
            for parameter in parameters:
                value = given.get(parameter.name, parameter.default)
                numbers = parameter.name in small and not isinstance(small[parameter.name], np.ndarray)
                wanted = (
                    isinstance(value, (int, float))
                    or (value is None and numbers)
                    or parameter.name == "strides"
                )
                if isinstance(value, bool) or not wanted:
                    if isinstance(value, tuple) and value and all(isinstance(v, int) for v in value):
                        for number in NUMBERS:
                            changed = {**given, parameter.name: (*value[:-1], number)}
                            yield f"{name}({parameter.name}={changed[parameter.name]})", (op, changed)
                    continue
                for number in NUMBERS:
                    yield f"{name}({parameter.name}={number})", (op, {**given, parameter.name: number})


def run_op(case: Any) -> None:
    op, arguments = case
    for leaf in cnnrs.tree.flatten(op(**arguments)):
        np.asarray(leaf)


def main() -> None:
    kind, first, patience = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("ignore")
    cases, run = {"layers": (layer_cases, run_layer), "ops": (op_cases, run_op)}[kind]
    for number, (label, case) in enumerate(cases()):
        if number < first:
            continue
        print("begin", number, label, flush=True)
        signal.alarm(patience)
        try:
            run(case)
            outcome = "fine"
        except BaseException as error:
            outcome = f"{type(error).__name__}: {error}"
        print("end", number, outcome.replace("\n", " ")[:300], flush=True)
    print("done", flush=True)


if __name__ == "__main__":
    main()

"""Runs every case in one of the two libraries and keeps what came out: `worker.py cnnrs|keras OUT AREA…`."""

from __future__ import annotations

import importlib
import os
import pathlib
import pickle
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

from keras_compare import objects
from keras_compare.cases import Array, op_cases

# Of configurations, for things that are deliberately absent or deprecated.
ABSENT_KEYS = {"quantization_config", "lora_rank", "rms_scaling"}
# And those of which cnnrs keeps what Keras forgets.
FURTHER_KEYS = {"seed"}


class Library:
    """Keras, or cnnrs under its name."""

    def __init__(self, name: str):
        self.name = name
        self.keras: Any = importlib.import_module(name)
        if name == "keras":
            import tensorflow

            self.tape: Any = tensorflow.GradientTape
        else:
            self.tape = self.keras.GradientTape

    def resolve(self, path: str) -> Any:
        found = self.keras
        for part in path.split("."):
            found = getattr(found, part)
        return found

    def tensor(self, value: Array) -> Any:
        ops = self.keras.ops
        # From what numpy has for the dtype, if it has it.
        if value.dtype in ("bfloat16", "float16"):
            return ops.cast(ops.convert_to_tensor(value.values), value.dtype)
        return ops.convert_to_tensor(value.values, dtype=value.dtype)

    def plain(self, value: Any) -> Any:
        """A result as numpy: (dtype, values in float64 or integers)."""
        if isinstance(value, (list, tuple)):
            return [self.plain(part) for part in value]
        if isinstance(value, dict):
            return {key: self.plain(part) for key, part in value.items()}
        if value is None or isinstance(value, (str, bool, int, float)):
            return value
        dtype = self.keras.backend.standardize_dtype(value.dtype) if hasattr(value, "dtype") else None
        if dtype in ("bfloat16", "float16"):
            value = self.keras.ops.cast(value, "float32")
        return (dtype, np.asarray(self.keras.ops.convert_to_numpy(value)))


def _leaves(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _leaves(value)
        else:
            yield value


def _given(library: Library, value: Any) -> Any:
    if isinstance(value, Array):
        return library.tensor(value)
    if isinstance(value, (list, tuple)) and any(isinstance(v, Array) for v in value):
        return type(value)(_given(library, v) for v in value)
    return value


def _weighted_sum(library: Library, results: Any) -> Any:
    """A number that depends on every element of float results."""
    ops, total = library.keras.ops, None
    for result in _leaves([results]):
        dtype = library.keras.backend.standardize_dtype(result.dtype) if hasattr(result, "dtype") else ""
        if not dtype.startswith(("float", "bfloat")):
            continue
        size = int(np.prod(tuple(result.shape)))
        factors = np.cos(np.arange(size, dtype="float32")).reshape(tuple(result.shape))
        part = ops.sum(ops.cast(result, "float32") * factors)
        total = part if total is None else total + part
    return total


def run_op(library: Library, case: Any) -> Any:
    function = library.resolve(case.name)
    args = [_given(library, a) for a in case.args]
    kwargs = {key: _given(library, value) for key, value in case.kwargs.items()}
    sources = [
        t
        for a, t in zip(_leaves(case.args), _leaves(args))  # noqa: B905
        if isinstance(a, Array) and a.dtype in ("float32", "float16", "bfloat16")
    ]
    with library.tape() as tape:
        for source in sources:
            tape.watch(source)
        result = function(*args, **kwargs)
        total = _weighted_sum(library, result) if sources else None
    gradients: Any = None
    if total is not None:
        gradients = tape.gradient(total, sources)
        gradients = [
            None if g is None else library.plain(library.keras.ops.convert_to_tensor(g)) for g in gradients
        ]
    return {"value": library.plain(result), "gradients": gradients}


def run_layer(library: Library, name: str, config: dict[str, Any], shapes: Any) -> Any:
    rng = np.random.default_rng(len(name))
    layer = getattr(library.keras.layers, name)(**config)
    inputs = [library.keras.ops.convert_to_tensor(rng.uniform(-1, 1, s).astype("float32")) for s in shapes]
    separate = name in ("MultiHeadAttention", "GroupQueryAttention")

    # Layers of augmentation draw unless they are told not to.
    inert = {"training": False} if name.startswith("Random") else {}

    def call(**mode: Any) -> Any:
        mode = {**inert, **mode}
        return (
            layer(*inputs, **mode) if separate else layer(inputs[0] if len(inputs) == 1 else inputs, **mode)
        )

    call()
    shapes_of_weights = [tuple(w.shape) for w in layer.weights]
    layer.set_weights([rng.uniform(0.1, 0.6, s).astype("float32") for s in shapes_of_weights])
    with library.tape() as tape:
        for x in inputs:
            tape.watch(x)
        result = call()
        total = _weighted_sum(library, result)
    gradients = tape.gradient(total, inputs)
    named = {"weights": shapes_of_weights, "names": [w.name for w in layer.weights]}
    inputs_shape = [(None, *s[1:]) for s in shapes]
    outcome = {
        "value": library.plain(result),
        "gradients": [None if g is None else library.plain(g) for g in gradients],
        **named,
        "config": sorted(set(layer.get_config()) - ABSENT_KEYS - FURTHER_KEYS),
    }
    if len(shapes) == 1:
        outcome["shape"] = [n for n in layer.compute_output_shape(inputs_shape[0])]
    if name == "BatchNormalization":
        outcome["training"] = library.plain(call(training=True))
        outcome["moved"] = [library.plain(library.keras.ops.convert_to_tensor(w)) for w in layer.weights]
    return outcome


def run_loss(library: Library, name: str, config: dict[str, Any]) -> Any:
    rng = np.random.default_rng(len(name))
    targets, outputs = objects.loss_data(name, config, rng)
    weights = rng.uniform(0.5, 2, len(targets)).astype("float32")
    loss = getattr(library.keras.losses, name)(**config)
    ops = library.keras.ops
    x = ops.convert_to_tensor(outputs)
    with library.tape() as tape:
        tape.watch(x)
        value = loss(targets, x)
        total = _weighted_sum(library, value)
    gradient = tape.gradient(total, x)
    outcome = {"value": library.plain(value), "gradient": library.plain(gradient)}
    if name not in ("Dice", "Tversky"):
        outcome["weighted"] = library.plain(loss(targets, outputs, sample_weight=weights))
    return outcome


def run_metric(library: Library, name: str, config: dict[str, Any]) -> Any:
    rng = np.random.default_rng(len(name))
    metric = getattr(library.keras.metrics, name)(**config)
    results = []
    for weighted in (False, True, False):
        targets, outputs = objects.metric_data(name, config, rng)
        extra = {}
        if weighted and name not in ("PearsonCorrelation", "ConcordanceCorrelation"):
            extra = {"sample_weight": rng.uniform(0.5, 2, len(targets)).astype("float32")}
        metric.update_state(targets, outputs, **extra)
        results.append(library.plain(metric.result()))
    metric.reset_state()
    metric.update_state(targets, outputs)
    return {"results": results, "after reset": library.plain(metric.result())}


def run_optimizer(library: Library, name: str, config: dict[str, Any]) -> Any:
    rng = np.random.default_rng(1)
    shapes = [(4, 3), (3,)]
    variables = [library.keras.Variable(rng.uniform(-1, 1, s).astype("float32")) for s in shapes]
    optimizer = getattr(library.keras.optimizers, name)(**config)
    history = []
    for _ in range(10):
        gradients = [rng.uniform(-1, 1, s).astype("float32") for s in shapes]
        optimizer.apply([library.keras.ops.convert_to_tensor(g) for g in gradients], variables)
        history.append([library.plain(library.keras.ops.convert_to_tensor(v)) for v in variables])
    optimizer.finalize_variable_values(variables)
    end = [library.plain(library.keras.ops.convert_to_tensor(v)) for v in variables]
    return {"steps": history, "end": end, "config": sorted(optimizer.get_config())}


def run_distribution(library: Library, name: str, config: dict[str, Any]) -> Any:
    initializer = getattr(library.keras.initializers, name)(**config)
    values = np.asarray(
        library.keras.ops.convert_to_numpy(initializer((200, 200), dtype="float32")), "float64"
    )
    ordered = np.sort(values, None)
    return {
        "moments": [float(values.mean()), float(values.std())],
        "quantiles": ordered[:: len(ordered) // 10].tolist(),
        "width": float(ordered[-1] - ordered[0]),
        "square": float((values @ values.T).trace()),
    }


def jobs(area: str) -> Iterator[tuple[str, str, Callable[[Library], Any]]]:
    """The key of each case, the name that it is about, and what runs it."""
    if area == "ops":
        for number, case in enumerate(op_cases()):
            yield f"{case.name}#{number}", case.name, lambda lib, case=case: run_op(lib, case)
    elif area == "layers":
        for name, (configs, shapes) in objects.LAYERS.items():
            for config in configs:
                key = f"layers.{name}({config})"
                yield key, f"layers.{name}", lambda lib, a=(name, config, shapes): run_layer(lib, *a)
    else:
        table, run = {
            "losses": (objects.LOSSES, run_loss),
            "metrics": (objects.METRICS, run_metric),
            "optimizers": (objects.OPTIMIZERS, run_optimizer),
            "initializers": (objects.DISTRIBUTIONS, run_distribution),
        }[area]
        for name, configs in table.items():
            for config in configs:
                yield f"{area}.{name}({config})", f"{area}.{name}", lambda lib, a=(name, config): run(lib, *a)


def main() -> None:
    library, out, areas = Library(sys.argv[1]), sys.argv[2], sys.argv[3:]
    results: dict[str, Any] = {}
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    for area in areas:
        for key, name, run in jobs(area):
            try:
                results[key] = (name, "gave", run(library))
            except Exception as error:
                absent = isinstance(error, AttributeError) and "has no" in str(error)
                where = traceback.extract_tb(error.__traceback__)[-1]
                text = f"{type(error).__name__}: {str(error).splitlines()[0][:160] if str(error) else ''}"
                results[key] = (
                    name,
                    "absent" if absent else "refused",
                    f"{text} ({pathlib.Path(where.filename).name})",
                )
    with open(out, "wb") as file:
        pickle.dump(results, file)


if __name__ == "__main__":
    main()

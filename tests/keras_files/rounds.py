"""Writes a model of each kind with one library, reads the files with another, and compares."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from keras_files import zoo

__all__ = ["Outcome", "check", "save_all"]

# Sums are added up in another order; results of 16 bits are rounded where each library rounds.
_TOLERANCE = {"mixed": 1e-3, "halves": 3e-2}
_SHARD = 300 / 2**30


class Outcome(NamedTuple):
    """How a model that was read compares to the one that was written.

    Attributes:
        weights: Names of weights that differ in any bit.
        outputs: Largest difference of an output, relative to the largest output.
        losses: Largest relative difference of the losses of three further steps of training.
        tolerance: What is allowed.
    """

    weights: list[str]
    outputs: float
    losses: float
    tolerance: float

    def is_equal(self) -> bool:
        """Whether weights are equal to the bit, and results within the tolerance."""
        return not self.weights and self.outputs <= self.tolerance and self.losses <= self.tolerance


def _array(keras: Any, value: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(value, "float32")))


def _outputs(keras: Any, model: Any, x: Any) -> list[np.ndarray]:
    outputs = model(x, training=False)
    values = outputs.values() if isinstance(outputs, dict) else outputs
    values = values if isinstance(outputs, (dict, list, tuple)) else [outputs]
    return [_array(keras, value) for value in values]


def _steps(model: Any, x: Any, y: Any) -> list[float]:
    return [float(model.train_on_batch(x, y, return_dict=True)["loss"]) for _ in range(3)]


def _without_noise(model: Any) -> None:
    """Dropout and noise differ between libraries."""
    for layer in model.layers:
        for name in ("rate", "stddev"):
            if hasattr(layer, name):
                setattr(layer, name, 0.0)


def save_all(keras: Any, folder: str) -> Iterator[str]:
    """Writes files of all models after three steps of training, and what they compute, to `answers.npz`.

    Args:
        keras: The library.
        folder: Where to.

    Returns:
        Names of the models, each when it is written.
    """
    answers: dict[str, np.ndarray] = {}
    zoo.custom_objects(keras)
    for name, builder in zoo.BUILDERS.items():
        keras.utils.set_random_seed(1)
        model, x, y = builder(keras)
        model(x)
        if y is not None:
            _without_noise(model)
            _steps(model, x, y)
        paths = [f"{name}.keras"]
        paths += [f"{name}.weights.h5"] if name in zoo.WEIGHTS else []
        paths += [f"{name}.h5"] if name in zoo.LEGACY else []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for path in paths:
                save = model.save_weights if "weights" in path else model.save
                save(os.path.join(folder, path))
        answers |= {f"{name}/weight/{i}": _array(keras, w) for i, w in enumerate(model.weights)}
        answers |= {f"{name}/output/{i}": value for i, value in enumerate(_outputs(keras, model, x))}
        if y is not None:
            answers[f"{name}/losses"] = np.array(_steps(model, x, y), "float32")
        yield name
    keras.utils.set_random_seed(1)
    model = zoo.sequential(keras).model
    model.save_weights(os.path.join(folder, "sharded.weights.json"), max_shard_size=_SHARD)
    answers |= {f"sharded/weight/{i}": _array(keras, w) for i, w in enumerate(model.weights)}
    np.savez(os.path.join(folder, "answers.npz"), **answers)


def check(keras: Any, folder: str, file: str) -> Outcome:
    """Reads a file and compares.

    Args:
        keras: The library.
        folder: Where the files are, with `answers.npz`.
        file: Name of the file.
    """
    name, _, kind = file.partition(".")
    zoo.custom_objects(keras)
    path = os.path.join(folder, file)
    case = zoo.BUILDERS.get(name, zoo.sequential)(keras)
    x, y = case.x, case.y
    if "weights" in kind:
        model = case.model
        model(x)
        if name in zoo.BUILDERS:
            model.optimizer.build(model.trainable_variables)
        model.load_weights(path)
    else:
        # Keras does not compile all of its own legacy files: it fails on a loss called "mse".
        compiles = kind == "keras" or keras.__name__ == "cnnrs"
        model = keras.saving.load_model(path, compile=compiles)
    _without_noise(model)
    with np.load(os.path.join(folder, "answers.npz")) as answers:
        different = []
        for i, weight in enumerate(model.weights):
            if not np.array_equal(answers[f"{name}/weight/{i}"], _array(keras, weight)):
                different.append(weight.path)
        outputs = losses = 0.0
        if f"{name}/output/0" in answers:
            for i, value in enumerate(_outputs(keras, model, x)):
                expected = answers[f"{name}/output/{i}"]
                scale = max(float(np.abs(expected).max()), 1e-3)
                outputs = max(outputs, float(np.abs(value - expected).max()) / scale)
        if f"{name}/losses" in answers and model.compiled:
            expected = answers[f"{name}/losses"]
            losses = float(np.abs(np.array(_steps(model, x, y)) - expected).max() / np.abs(expected).max())
    return Outcome(different, outputs, losses, _TOLERANCE.get(name, 2e-5))

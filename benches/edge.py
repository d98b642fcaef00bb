"""What single calls cost: one image, a new size of batch, one op, one step of an own loop, the import.

`make edge` runs it with cnnrs, and with Keras on TensorFlow in the environment of the peers. Each figure is
the least of several repetitions, in milliseconds.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

# What each row asks of cnnrs, in milliseconds; of the own loop, times an epoch of `fit`.
LIMITS = {
    "predict of one LeNet image": 0.15,
    "model(x) of one LeNet image": 0.1,
    "predict of a new size of batch": 5.0,
    "add of two 4 x 4 tensors": 0.01,
    "relu of a 4 x 4 tensor": 0.01,
    "epoch of an own loop over that of fit": 1.5,
    "import": 150.0,
}


# Prints the milliseconds until a model can be made.
_IMPORT = """
import time
start = time.perf_counter()
import {name} as keras
keras.Sequential, keras.layers.Dense, keras.ops.add
print((time.perf_counter() - start) * 1e3)
"""


def least(work: Callable[[], Any], calls: int, repetitions: int = 7) -> float:
    """Milliseconds of a call."""
    work()
    best = float("inf")
    for _ in range(repetitions):
        start = time.perf_counter()
        for _ in range(calls):
            work()
        best = min(best, (time.perf_counter() - start) / calls)
    return best * 1e3


def lenet(keras: Any) -> Any:
    """LeNet-5 as a Sequential."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(6, 5, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(16, 5, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(120, activation="relu"),
            layers.Dense(84, activation="relu"),
            layers.Dense(10),
        ]
    )


def own_loop(keras: Any, name: str) -> float:
    """An epoch of a loop with a tape, over one of `fit`."""
    rng = np.random.default_rng(0)
    x = rng.random((2048, 28, 28, 1)).astype("float32")
    y = rng.integers(0, 10, 2048).astype("int32")
    model = lenet(keras)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    fit = least(lambda: model.fit(x, y, batch_size=64, verbose=0), 1, 3)
    model, optimizer = lenet(keras), keras.optimizers.Adam()
    if name == "keras":
        import tensorflow as tf

        function, tape_of = tf.function, tf.GradientTape
    else:
        function, tape_of = keras.function, keras.GradientTape

    @function
    def step(images: Any, labels: Any) -> Any:
        with tape_of() as tape:
            value = loss(labels, model(images, training=True))
        gradients = tape.gradient(value, model.trainable_weights)
        optimizer.apply_gradients(zip(gradients, model.trainable_weights, strict=True))
        return value

    optimizer.build(model.trainable_weights)

    def epoch() -> None:
        for first in range(0, len(x), 64):
            step(x[first : first + 64], y[first : first + 64])

    return least(epoch, 1, 3) / fit


def measure(name: str) -> dict[str, float]:
    """The rows, for one library."""
    keras = importlib.import_module(name)
    ops, rows = keras.ops, {}
    model = lenet(keras)
    image = np.random.default_rng(0).random((1, 28, 28, 1)).astype("float32")
    tensor = ops.convert_to_tensor(image)
    calls = 20 if name == "keras" else 300
    rows["predict of one LeNet image"] = least(lambda: model.predict(image, verbose=0), calls)
    rows["model(x) of one LeNet image"] = least(lambda: ops.convert_to_numpy(model(tensor)), calls)
    new: list[float] = []
    for batch in range(2, 10 if name == "keras" else 34):
        images = np.repeat(image, batch, 0)
        start = time.perf_counter()
        model.predict(images, batch_size=batch, verbose=0)
        new.append((time.perf_counter() - start) * 1e3)
    rows["predict of a new size of batch"] = float(np.median(new))
    a, b = (ops.convert_to_tensor(np.ones((4, 4), "float32")) for _ in range(2))
    rows["add of two 4 x 4 tensors"] = least(lambda: ops.convert_to_numpy(ops.add(a, b)), 1000)
    rows["relu of a 4 x 4 tensor"] = least(lambda: ops.convert_to_numpy(ops.relu(a)), 1000)
    rows["epoch of an own loop over that of fit"] = own_loop(keras, name)
    return rows


def _other(python: str, name: str) -> dict[str, float]:
    """The rows, measured by a process of their own."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    # The first import compiles.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def last_line(*arguments: str) -> str:
        command = [python, *arguments]
        run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        return run.stdout.splitlines()[-1]

    rows: dict[str, float] = json.loads(last_line(__file__, "--measure", name))
    rows["import"] = min(float(last_line("-c", _IMPORT.format(name=name))) for _ in range(4))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keras", help="the Python of an environment with Keras and TensorFlow")
    parser.add_argument("--measure", help="only measure this library, and print the rows as JSON")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure)))
        return
    ours = _other(sys.executable, "cnnrs")
    theirs = _other(options.keras, "keras") if options.keras else {}
    print(f"{'':40}{'cnnrs':>10}{'to reach':>10}{'Keras/TF':>10}")
    for name, limit in LIMITS.items():
        other = f"{theirs[name]:10.3f}" if name in theirs else ""
        print(f"{name:40}{ours[name]:10.3f}{limit:10.3f}{other}")


if __name__ == "__main__":
    main()

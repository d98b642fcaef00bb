"""How hard `datasets.shapes` is: what LeNet and a small residual network reach on it.

    python benches/data/shapes.py [--epochs 12]

One run of each with seed 0, Adam, batches of 64, a cosine from the first learning rate to 0, no augmentation.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import cnnrs
from cnnrs import layers
from cnnrs.datasets import shapes


def lenet() -> Any:
    """LeNet-5 (LeCun et al. 1998, Proceedings of the IEEE 86) with ReLU and max pooling."""
    return cnnrs.Sequential(
        [
            cnnrs.Input((32, 32, 3)),
            layers.Rescaling(1 / 127.5, -1),
            layers.Conv2D(6, 5, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(16, 5, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(120, activation="relu"),
            layers.Dense(84, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ],
        name="lenet",
    )


def residual() -> Any:
    """Three residual blocks of 16, 32 and 64 filters (He et al. 2015, arXiv:1512.03385, section 4.2)."""

    def convolved(x: Any, filters: int, strides: int = 1, size: int = 3) -> Any:
        x = layers.Conv2D(filters, size, strides, padding="same", use_bias=False)(x)
        return layers.BatchNormalization()(x)

    image = cnnrs.Input((32, 32, 3))
    x = layers.ReLU()(convolved(layers.Rescaling(1 / 127.5, -1)(image), 16))
    for filters, strides in ((16, 1), (32, 2), (64, 2)):
        inner = convolved(layers.ReLU()(convolved(x, filters, strides)), filters)
        x = x if strides == 1 else convolved(x, filters, strides, 1)
        x = layers.ReLU()(layers.Add()([x, inner]))
    x = layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    return cnnrs.Model(image, x, name="residual")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=12)
    epochs = parser.parse_args().epochs
    (x, y), (x_test, y_test) = shapes.load_data()
    x, x_test = x.astype("float32"), x_test.astype("float32")
    print("| network | parameters | training | test | seconds |\n|---|---|---|---|---|")
    for make, rate in ((lenet, 1e-3), (residual, 3e-3)):
        cnnrs.utils.set_random_seed(0)
        model = make()
        steps = -(-len(x) // 64) * epochs
        schedule = cnnrs.optimizers.schedules.CosineDecay(rate, steps)
        model.compile(
            cnnrs.optimizers.Adam(schedule), "sparse_categorical_crossentropy", metrics=["accuracy"]
        )
        begin = time.perf_counter()
        history = model.fit(x, y, batch_size=64, epochs=epochs, verbose=0).history
        seconds = time.perf_counter() - begin
        accuracy = model.evaluate(x_test, y_test, verbose=0)[1]
        trained = history["accuracy"][-1]
        print(
            f"| {model.name} | {model.count_params():,} | {trained:.1%} | {accuracy:.1%} | {seconds:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()

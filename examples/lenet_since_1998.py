"""LeNet-5 from its layout of 1998 to what one builds today, a step at a time, on MNIST.

python examples/lenet_since_1998.py

Each row changes one thing in the row above it. The table shows weights, what an epoch takes, and how many of
10,000 test images are wrong.
"""

import argparse
import math
import time

import numpy as np

import cnnrs
from cnnrs import layers, ops

# Which maps of the second layer each of the 16 maps of the third reads: table I of LeCun et al. 1998.
READS = [
    "012", "123", "234", "345", "045", "015",
    "0123", "1234", "2345", "0345", "0145", "0125", "0134", "1245", "0235",
    "012345",
]  # fmt: skip


def scaled_tanh(x):
    """The squashing function of 1998: 1.7159 tanh(2/3 x), which is 1 at 1 and -1 at -1."""
    return 1.7159 * ops.tanh(x * (2 / 3))


class Subsampling(layers.Layer):
    """Averages of 2 x 2 elements, times a weight and plus a bias of the map."""

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")
        self.offset = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="offset")

    def call(self, x):
        return scaled_tanh(ops.average_pool(x, 2) * self.scale + self.offset)


class SparseConnections(layers.Conv2D):
    """A convolution each map of which reads some of the maps only: the third layer of 1998."""

    def build(self, input_shape):
        super().build(input_shape)
        mask = np.zeros((1, 1, 6, 16), "float32")
        for output, inputs in enumerate(READS):
            mask[0, 0, [int(i) for i in inputs], output] = 1
        self.mask = mask

    def call(self, x):
        return scaled_tanh(ops.conv(x, self.kernel * self.mask) + self.bias)


class Distances(layers.Layer):
    """The squared distance to a code of +1 and -1 for each class; the nearest class wins.

    The codes of 1998 were drawings of the characters in 7 x 12 pixels; these are drawn at random.
    """

    def build(self, input_shape):
        codes = np.random.default_rng(0).choice([-1.0, 1.0], (10, input_shape[-1]))
        self.codes = codes.astype("float32")

    def call(self, x):
        # Logits: the nearer a code, the larger. A tenth of them keeps tanh where it still learns.
        return -0.1 * ops.sum(ops.square(ops.expand_dims(x, 1) - self.codes), -1)


def of_1998():
    inputs = layers.Input((28, 28, 1))
    x = layers.Conv2D(6, 5, padding="same", activation=scaled_tanh)(inputs)
    x = Subsampling()(x)
    x = SparseConnections(16, 5)(x)
    x = Subsampling()(x)
    x = layers.Conv2D(120, 5, activation=scaled_tanh)(x)
    x = layers.Dense(84, activation=scaled_tanh)(layers.Flatten()(x))
    return cnnrs.Model(inputs, Distances()(x))


def lenet(
    activation="tanh", pooling=layers.AveragePooling2D, norm=False, widths=(6, 16, 120, 84), dropout=0.0
):
    model = cnnrs.Sequential([layers.Input((28, 28, 1))])
    for width, padding in zip(widths[:2], ("same", "valid"), strict=True):
        model.add(layers.Conv2D(width, 5, padding=padding, use_bias=not norm))
        if norm:
            model.add(layers.BatchNormalization(momentum=0.9))
        model.add(layers.Activation(activation))
        model.add(pooling(2))
    model.add(layers.Flatten())
    for width in widths[2:]:
        model.add(layers.Dense(width, activation=activation))
    if dropout:
        model.add(layers.Dropout(dropout))
    model.add(layers.Dense(10))
    return model


def augmented(model):
    """The model behind small rotations and shifts, which training alone does."""
    return cnnrs.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.RandomRotation(0.03, fill_mode="constant"),
            layers.RandomTranslation(0.08, 0.08, fill_mode="constant"),
            model,
        ]
    )


MAX = {"activation": "relu", "pooling": layers.MaxPooling2D}
STEPS = [
    ("1998: 60,000 connections, codes of classes", of_1998, "sgd"),
    ("softmax, all maps connected", lenet, "sgd"),
    ("ReLU and max pooling", lambda: lenet(**MAX), "sgd"),
    ("Adam, its rate falling along a cosine", lambda: lenet(**MAX), "adam"),
    ("batch normalisation", lambda: lenet(**MAX, norm=True), "adam"),
    (
        "4 times as wide, dropout",
        lambda: lenet(**MAX, norm=True, widths=(24, 64, 240, 168), dropout=0.4),
        "adam",
    ),
    (
        "images turned and shifted a little",
        lambda: augmented(lenet(**MAX, norm=True, widths=(24, 64, 240, 168), dropout=0.4)),
        "adam",
    ),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--images", type=int, default=60_000, help="how many of the training images")
    parser.add_argument("--batch", type=int, default=64)
    options = parser.parse_args()

    (x, y), (x_test, y_test) = cnnrs.datasets.mnist.load_data()
    x, x_test = (images[..., None].astype("float32") / 255 for images in (x[: options.images], x_test))
    y = y[: options.images]
    steps = options.epochs * math.ceil(len(x) / options.batch)

    print(f"{'':42}{'weights':>9}{'s/epoch':>9}{'test errors':>13}")
    for title, make, optimizer in STEPS:
        cnnrs.utils.set_random_seed(0)
        model = make()
        if optimizer == "adam":
            optimizer = cnnrs.optimizers.Adam(cnnrs.optimizers.schedules.CosineDecay(2e-3, steps))
        else:
            optimizer = cnnrs.optimizers.SGD(0.02, momentum=0.9)
        model.compile(optimizer, cnnrs.losses.SparseCategoricalCrossentropy(from_logits=True))
        start = time.perf_counter()
        model.fit(x, y, batch_size=options.batch, epochs=options.epochs, verbose=0)
        seconds = (time.perf_counter() - start) / options.epochs
        wrong = int((model.predict(x_test, batch_size=256, verbose=0).argmax(-1) != y_test).sum())
        print(f"{title:42}{model.count_params():9,}{seconds:9.1f}{wrong:13}", flush=True)


if __name__ == "__main__":
    main()

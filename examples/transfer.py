"""Transfer: features learnt on the digits 0 to 4 recognise 5 to 9 from a few images of each, on MNIST.

python examples/transfer.py

Three ways to learn the new digits: from nothing, with the features as they are, and with the features trained
further at a small rate once the new classifier has settled.
"""

import argparse

import numpy as np

import cnnrs
from cnnrs import layers


def features() -> cnnrs.Model:
    return cnnrs.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(32, 3, use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
        ],
        name="features",
    )


def classifier(base: cnnrs.Model) -> cnnrs.Model:
    inputs = layers.Input((28, 28, 1))
    # Frozen or not, the base normalises with the statistics of the digits that it was trained on.
    return cnnrs.Model(inputs, layers.Dense(5)(base(inputs, training=False)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=3, help="on the digits 0 to 4")
    parser.add_argument("--images", type=int, default=30_000, help="of the digits 0 to 4, at most")
    parser.add_argument("--few", type=int, default=10, help="images of each new digit")
    options = parser.parse_args()

    (x, y), (x_test, y_test) = cnnrs.datasets.mnist.load_data()
    x, x_test = (images[..., None].astype("float32") / 255 for images in (x, x_test))
    loss = cnnrs.losses.SparseCategoricalCrossentropy(from_logits=True)

    cnnrs.utils.set_random_seed(0)
    base = features()
    old = np.flatnonzero(y < 5)[: options.images]
    first = cnnrs.Sequential([base, layers.Dense(5)])
    first.compile("adam", loss, metrics=["accuracy"])
    first.fit(x[old], y[old], batch_size=64, epochs=options.epochs, verbose=0)
    seen = y_test < 5
    accuracy = first.evaluate(x_test[seen], y_test[seen], verbose=0)[1]
    print(f"digits 0 to 4, {len(old):,} images: {accuracy:.2%}", flush=True)

    few = np.concatenate([np.flatnonzero(y == digit)[: options.few] for digit in range(5, 10)])
    new = y_test >= 5

    def learn(model: cnnrs.Model, rate: float, epochs: int) -> float:
        model.compile(cnnrs.optimizers.Adam(rate), loss, metrics=["accuracy"])
        model.fit(x[few], y[few] - 5, batch_size=25, epochs=epochs, verbose=0)
        return model.evaluate(x_test[new], y_test[new] - 5, batch_size=256, verbose=0)[1]

    print(f"digits 5 to 9, {options.few} images of each:")
    scratch = cnnrs.Sequential([features(), layers.Dense(5)])
    print(f"  from nothing                      {learn(scratch, 1e-3, 60):.2%}", flush=True)
    base.trainable = False
    model = classifier(base)
    print(f"  features as they are              {learn(model, 1e-2, 60):.2%}", flush=True)
    base.trainable = True
    print(f"  features trained further          {learn(model, 1e-4, 60):.2%}")


if __name__ == "__main__":
    main()

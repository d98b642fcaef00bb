"""Embeddings: networks that learn which digits are alike, and tell digits apart that they never saw.

python examples/metric_learning.py

Each network learns the digits 0 to 6 by another loss, and ends in an embedding of 32 numbers of length 1.
Then an image is what most of its 5 nearest neighbours are: for 0 to 6 among 5,000 images of the training; for
7, 8 and 9, of which no network saw one, among 20 images of each.
"""

import argparse

import numpy as np

import cnnrs
from cnnrs import layers, losses, ops

# How many digits the networks see.
SEEN = 7


def embedding() -> cnnrs.Sequential:
    return cnnrs.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(32),
            layers.UnitNormalization(),
        ]
    )


def of_pairs(loss: losses.Loss):
    """Trains the embedding itself, by a loss of the pairs or triplets of a batch."""

    def train(base, x, y, epochs):
        base.compile("adam", loss)
        base.fit(x, y, batch_size=128, epochs=epochs, verbose=0)

    return train


def of_classes(loss: losses.Loss, head):
    """Trains a classifier, whose last layer is thrown away."""

    def train(base, x, y, epochs):
        model = cnnrs.Sequential([base, head()])
        model.compile("adam", loss)
        model.fit(x, y, batch_size=128, epochs=epochs, verbose=0)

    return train


def by_centres(base, x, y, epochs):
    """Trains a classifier and a centre of each class: the labels are an input, too."""
    image, label = layers.Input((28, 28, 1)), layers.Input((), dtype="int32")
    features = layers.CenterLoss(SEEN, weight=0.5)(base(image), label)
    model = cnnrs.Model([image, label], layers.Dense(SEEN)(features))
    model.compile("adam", losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit([x, y], y, batch_size=128, epochs=epochs, verbose=0)


METHODS = {
    "softmax": of_classes(losses.SparseCategoricalCrossentropy(from_logits=True), lambda: layers.Dense(SEEN)),
    "softmax and centres": by_centres,
    "ArcFace": of_classes(losses.ArcFace(scale=16.0, margin=0.3), lambda: layers.CosineDense(SEEN)),
    "CosFace": of_classes(losses.CosFace(scale=16.0, margin=0.2), lambda: layers.CosineDense(SEEN)),
    "contrastive": of_pairs(losses.Contrastive(margin=1.0, pairs="batch")),
    "triplets, semi-hard": of_pairs(losses.TripletSemiHard(margin=0.2)),
    "triplets, hard": of_pairs(losses.TripletHard(margin=0.2)),
    "circle": of_pairs(losses.Circle(gamma=32.0)),
}


def nearest_accuracy(queries, wanted, references, labels, k: int = 5) -> float:
    """The share of queries that most of their k nearest references are right about."""
    _, places = ops.top_k(ops.matmul(queries, ops.transpose(references)), k)
    votes = labels[places.numpy()]
    found = [np.bincount(row).argmax() for row in votes]
    return float(np.mean(found == wanted))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    options = parser.parse_args()

    (x, y), (x_test, y_test) = cnnrs.datasets.mnist.load_data()
    x, x_test = (images[..., None].astype("float32") / 255 for images in (x, x_test))
    y, y_test = y.astype("int32"), y_test.astype("int32")
    unseen = np.flatnonzero(y >= SEEN)
    few = np.concatenate([unseen[y[unseen] == digit][:20] for digit in range(SEEN, 10)])
    known = np.flatnonzero(y < SEEN)
    known = known[known < options.images]
    old, new = y_test < SEEN, y_test >= SEEN

    def report(name: str, embed) -> None:
        found = embed(x_test)
        some = known[:5000]
        of_old = nearest_accuracy(found[old], y_test[old], embed(x[some]), y[some])
        of_new = nearest_accuracy(found[new], y_test[new], embed(x[few]), y[few])
        print(f"{name:20} {of_old:8.2%} {of_new:8.2%}", flush=True)

    def pixels(images: np.ndarray) -> np.ndarray:
        flat = images.reshape(len(images), -1)
        return flat / np.linalg.norm(flat, axis=1, keepdims=True)

    print(f"{'learnt by':20} {'0 to 6':>8} {'7 to 9':>8}")
    report("pixels", pixels)
    for name in options.methods:
        cnnrs.utils.set_random_seed(0)
        base = embedding()
        METHODS[name](base, x[known], y[known], options.epochs)
        report(name, lambda images, base=base: base.predict(images, batch_size=500, verbose=0))


if __name__ == "__main__":
    main()

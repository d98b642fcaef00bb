"""Distillation: a small network learns from a large one what its labels alone do not tell it, on MNIST.

python examples/distill.py

The teacher's probabilities say that this 7 looks a little like a 1 (Hinton, Vinyals and Dean 2015,
arXiv:1503.02531). The student sees few images; once it learns from their labels, once from the
teacher too. It must be able to follow: one of half the width learns nothing more from the teacher.
"""

import argparse

import cnnrs
from cnnrs import layers


def network(width: int, dropout: float = 0.0) -> cnnrs.Model:
    return cnnrs.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(width, 3, 2, activation="relu"),
            layers.Conv2D(2 * width, 3, 2, activation="relu"),
            layers.Flatten(),
            layers.Dropout(dropout),
            layers.Dense(8 * width, activation="relu"),
            layers.Dropout(dropout),
            layers.Dense(10),
        ]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--epochs", type=int, default=5, help="of the teacher; the student has 6 times as many"
    )
    parser.add_argument("--images", type=int, default=60_000, help="images that the teacher sees")
    parser.add_argument("--few", type=int, default=2_000, help="images that the student sees")
    options = parser.parse_args()

    (x, y), (x_test, y_test) = cnnrs.datasets.mnist.load_data()
    x, x_test = (images[..., None].astype("float32") / 255 for images in (x[: options.images], x_test))
    y = y[: options.images]
    loss = cnnrs.losses.SparseCategoricalCrossentropy(from_logits=True)

    def trained(model: cnnrs.Model, images, labels, epochs: int) -> float:
        model.compile("adam", loss, metrics=["accuracy"])
        model.fit(images, labels, batch_size=64, epochs=epochs, verbose=0)
        return model.evaluate(x_test, y_test, batch_size=256, verbose=0)[1]

    cnnrs.utils.set_random_seed(0)
    teacher = network(32, dropout=0.4)
    print(
        f"teacher, {teacher.count_params():,} weights: {trained(teacher, x, y, options.epochs):.2%}",
        flush=True,
    )

    few, labels, epochs = x[: options.few], y[: options.few], 6 * options.epochs
    cnnrs.utils.set_random_seed(1)
    alone = network(8)
    print(
        f"student alone, {alone.count_params():,} weights: {trained(alone, few, labels, epochs):.2%}",
        flush=True,
    )

    cnnrs.utils.set_random_seed(1)
    taught = network(8)
    distiller = cnnrs.distillation.Distiller(
        teacher, taught, cnnrs.distillation.LogitsDistillation(temperature=4.0), student_loss_weight=0.1
    )
    distiller.compile("adam", loss, metrics=["accuracy"])
    distiller.fit(few, labels, batch_size=64, epochs=epochs, verbose=0)
    taught.compile(loss=loss, metrics=["accuracy"])
    print(f"student that was taught: {taught.evaluate(x_test, y_test, batch_size=256, verbose=0)[1]:.2%}")


if __name__ == "__main__":
    main()

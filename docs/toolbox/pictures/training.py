"""Pictures of docs/toolbox/training.md: schedules, and a range test of learning rates."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import cnnrs
from cnnrs.base.extras import pyplot
from cnnrs.optimizers import schedules

HERE = Path(__file__).parent


def rates() -> None:
    """Three schedules over 10 epochs of 20 steps."""
    plt = pyplot("pictures/training.py")
    plt.rcParams["svg.hashsalt"] = "cnnrs"
    steps = np.arange(0, 200, 2)
    figure, axes = plt.subplots(figsize=(6.4, 3.2))
    falling = schedules.ExponentialDecay(0.1, 60, 0.5)
    for label, schedule in (
        ("WarmupCosine(warmup_epochs=2)", schedules.WarmupCosine(0.1, 10, 2, steps_per_epoch=20)),
        ("OneCycle", schedules.OneCycle(0.1, total_steps=200)),
        ("LinearWarmup(ExponentialDecay)", schedules.LinearWarmup(falling, warmup_steps=20)),
    ):
        axes.plot(steps / 20, [float(schedule(int(step))) for step in steps], label=label)
    axes.set(xlabel="epoch", ylabel="learning rate", ylim=(0, 0.145))
    axes.legend()
    figure.tight_layout()
    figure.savefig(HERE / "training_schedules.svg", metadata={"Date": None})
    plt.close(figure)


def range_test() -> None:
    """`lr_find` of a small network on 2048 digits."""
    plt = pyplot("pictures/training.py")
    cnnrs.utils.set_random_seed(0)
    (x, y), _ = cnnrs.datasets.mnist.load_data()
    x = x[:2048, ..., None].astype("float32") / 255
    model = cnnrs.Sequential(
        [
            cnnrs.Input((28, 28, 1)),
            cnnrs.layers.Conv2D(8, 3, activation="relu"),
            cnnrs.layers.MaxPooling2D(),
            cnnrs.layers.Flatten(),
            cnnrs.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(cnnrs.optimizers.SGD(momentum=0.9), "sparse_categorical_crossentropy")
    found = model.lr_find(x, y[:2048], batch_size=64)
    print(found)
    figure, axes = plt.subplots(figsize=(6.4, 3.2))
    found.plot(axes)
    figure.tight_layout()
    figure.savefig(HERE / "training_lr_find.svg", metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    rates()
    range_test()

"""The picture of docs/toolbox/regularization.md: what layers of training make of a digit."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import cnnrs
from cnnrs import layers, ops
from cnnrs.base.extras import pyplot

HERE = Path(__file__).parent


def digits() -> np.ndarray:
    """A 3 and a 7 of MNIST, enlarged to 56 x 56."""
    (images, labels), _ = cnnrs.datasets.mnist.load_data()
    chosen = [images[np.flatnonzero(labels == digit)[0]] for digit in (3, 7)]
    return np.repeat(np.repeat(np.stack(chosen), 2, 1), 2, 2)[..., None].astype("float32") / 255


def panels() -> None:
    """The 3, and what it becomes."""
    plt = pyplot("pictures/regularization.py")
    plt.rcParams["svg.hashsalt"] = "cnnrs"
    x = digits()
    ground = 0.25 + 0.75 * x
    for seed in range(100):
        drawn = layers.CutMix(seed=seed).mixing(x.shape)
        order, weight, elements = (ops.convert_to_numpy(part) for part in drawn)
        if order[0] == 1 and 0.75 < weight[0] < 0.9:
            break
    cut = elements * x + (1 - elements) * x[order]
    # One channel: blocks of a feature map, drawn on the image to show where they lie.
    found = {
        "as it is": x[0],
        "Dropout(0.3)": layers.Dropout(0.3, seed=1)(ground, training=True).numpy()[0] * 0.7,
        "DropBlock2D(0.3, 9)": layers.DropBlock2D(0.3, block_size=9, seed=3)(ground, training=True).numpy()[
            0
        ],
        "RandomErasing": layers.RandomErasing((1.0, 1.0), (0.1, 0.2), 0.5, (0, 1), seed=5)(x).numpy()[0],
        "MixUp, 0.65 of the 3": 0.65 * x[0] + 0.35 * x[1],
        f"CutMix, {weight[0]:.2f} of the 3": cut[0],
    }
    figure, axes = plt.subplots(1, len(found), figsize=(9.6, 2.0))
    for axis, (title, image) in zip(axes, found.items(), strict=True):
        axis.imshow(
            np.round(np.clip(image[..., 0], 0, 1) * 24) / 24,
            cmap="gray",
            vmin=0,
            vmax=1,
            interpolation="none",
        )
        axis.set_title(title, fontsize=8)
        axis.set(xticks=[], yticks=[])
    figure.tight_layout()
    figure.savefig(HERE / "regularization_digits.svg", metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    panels()

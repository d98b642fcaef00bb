"""Pictures of docs/toolbox/pooling.md: one image pooled in several ways, and means of powers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cnnrs import layers
from cnnrs.base.extras import pyplot

HERE = Path(__file__).parent


def drawing() -> np.ndarray:
    """A ring, a cross and noise on 24 x 24 pixels."""
    rows, columns = np.mgrid[:24, :24]
    image = np.random.default_rng(1).uniform(0, 0.25, (24, 24))
    image[np.abs(np.hypot(rows - 8, columns - 8) - 5) < 0.8] = 1
    image[(rows > 13) & (columns > 13) & ((rows == columns) | (rows + columns == 37))] = 0.8
    return image.astype(np.float32)[None, :, :, None]


def pooled() -> None:
    """The drawing, and what layers make of it."""
    plt = pyplot("pictures/pooling.py")
    image = drawing()
    stochastic = layers.StochasticPooling2D(3, seed=2)
    fractional = layers.FractionalMaxPooling2D(2**0.5, seed=3)
    panels = {
        "24 × 24": image,
        "MaxPooling2D(3)": layers.MaxPooling2D(3)(image),
        "AveragePooling2D(3)": layers.AveragePooling2D(3)(image),
        "MixedPooling2D(3)": layers.MixedPooling2D(3)(image),
        "LpPooling2D(3, 3, mean=True)": layers.LpPooling2D(3, 3, mean=True)(image),
        "StochasticPooling2D(3),\ntraining": stochastic(image, training=True),
        "… and inference": stochastic(image),
        "FractionalMaxPooling2D(√2)": fractional(image),
    }
    figure, axes = plt.subplots(2, 4, figsize=(9, 4.9))
    for ax, (title, panel) in zip(axes.ravel(), panels.items(), strict=True):
        ax.imshow(np.asarray(panel)[0, :, :, 0], cmap="gray_r", vmin=0, vmax=1)
        ax.set_title(title, fontsize=9)
        ax.set_axis_off()
    figure.tight_layout()
    figure.savefig(HERE / "pooling_methods.svg", metadata={"Date": None})
    plt.close(figure)


def powers() -> None:
    """Generalized means of the numbers 0.1, 0.2, 0.4 and 1 by their exponent."""
    plt = pyplot("pictures/pooling.py")
    x = np.array([0.1, 0.2, 0.4, 1.0], np.float32).reshape(1, 2, 2, 1)
    exponents = np.linspace(1, 30, 59)
    means = [layers.GlobalGeMPooling2D(p=p, learn_p=False)(x).item() for p in exponents]
    figure, ax = plt.subplots(figsize=(5.4, 3))
    ax.plot(exponents, means, label="GlobalGeMPooling2D(p)")
    ax.axhline(1.0, color="gray", linestyle=":", label="maximum")
    ax.axhline(float(x.mean()), color="gray", linestyle="--", label="mean")
    ax.plot(3, layers.GlobalGeMPooling2D()(x).item(), "o", color="C0")
    ax.set(xlabel="p", ylabel="of 0.1, 0.2, 0.4 and 1", ylim=(0, 1.1))
    ax.legend(loc="lower right")
    figure.tight_layout()
    figure.savefig(HERE / "pooling_powers.svg", metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    pyplot("pictures/pooling.py").rcParams["svg.hashsalt"] = "cnnrs"
    pooled()
    powers()

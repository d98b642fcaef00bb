"""Pictures of docs/toolbox/normalization.md: what shares statistics, and what becomes of two images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cnnrs import layers
from cnnrs.base.extras import pyplot

HERE = Path(__file__).parent


def sharing() -> None:
    """Samples by channels: what has one mean and one variance has one colour."""
    plt = pyplot("pictures/normalization.py")
    samples, channels = 4, 6
    row, column = np.mgrid[:samples, :channels]
    panels = {
        "batch": column,
        "layer": row,
        "instance,\nfilter response": row * channels + column,
        "2 groups": row * 2 + column // 3,
    }
    figure, axes = plt.subplots(1, 4, figsize=(9, 2.3))
    for ax, (title, ids) in zip(axes, panels.items(), strict=True):
        # Neighbours differ: a golden ratio of the way around the colours.
        ax.imshow((ids * 0.618) % 1.0, cmap="hsv", alpha=0.7, vmin=0, vmax=1)
        ax.set(title=title, xlabel="channels", ylabel="samples", xticks=[], yticks=[])
    figure.tight_layout()
    figure.savefig(HERE / "normalization_sharing.svg", metadata={"Date": None})
    plt.close(figure)


def contrast() -> None:
    """A dark and a light copy of one pattern, normalised by the batch and by the image."""
    plt = pyplot("pictures/normalization.py")
    rows, columns = np.mgrid[:24, :24]
    pattern = (np.sin(rows / 3) * np.cos(columns / 2.5)).astype(np.float32)
    x = np.stack([0.15 * pattern - 0.8, 0.6 * pattern + 0.5])[..., None]
    panels = {
        "two images": x,
        "BatchNormalization": layers.BatchNormalization()(x, training=True),
        "InstanceNormalization": layers.InstanceNormalization()(x),
        "FilterResponseNormalization": layers.FilterResponseNormalization()(x),
    }
    figure, axes = plt.subplots(2, 4, figsize=(9, 4.6))
    for k, (title, panel) in enumerate(panels.items()):
        for i in (0, 1):
            axes[i][k].imshow(np.asarray(panel)[i, :, :, 0], cmap="gray", vmin=-2, vmax=2)
            axes[i][k].set_axis_off()
        axes[0][k].set_title(title, fontsize=9)
    figure.tight_layout()
    figure.savefig(HERE / "normalization_contrast.svg", metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    pyplot("pictures/normalization.py").rcParams["svg.hashsalt"] = "cnnrs"
    sharing()
    contrast()

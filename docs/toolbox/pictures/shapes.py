"""Pictures of docs/data/datasets.md: the ten classes of `datasets.shapes`, and scenes with boxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cnnrs.base.extras import pyplot
from cnnrs.datasets import shapes

HERE = Path(__file__).parent


def main() -> None:
    """Draws the first two pictures of each class, and five scenes with several objects."""
    plt = pyplot("pictures/shapes.py")
    plt.rcParams["svg.hashsalt"] = "cnnrs"
    pictures = shapes.draw_pictures(200)
    labels = pictures.labels[:, 0]
    figure, axes = plt.subplots(2, 10, figsize=(8, 1.8))
    for column, name in enumerate(shapes.class_names):
        for row, index in enumerate(np.flatnonzero(labels == column)[:2]):
            axes[row, column].imshow(pictures.images[index], interpolation="none")
            axes[row, column].set_axis_off()
        axes[0, column].set_title(name, fontsize=8)
    figure.tight_layout(pad=0.3)
    figure.savefig(HERE / "shapes_classes.svg", metadata={"Date": None})

    scenes = shapes.draw_pictures(5, size=64, objects=(2, 4), seed=7)
    figure, axes = plt.subplots(2, 5, figsize=(8, 3.3))
    for i in range(5):
        axes[0, i].imshow(scenes.images[i], interpolation="none")
        for label, box in zip(scenes.labels[i], scenes.boxes[i], strict=True):
            if label >= 0:
                left, top, right, bottom = box
                corner, extent = (left - 0.5, top - 0.5), (right - left, bottom - top)
                axes[0, i].add_patch(plt.Rectangle(corner, *extent, fill=False, color="yellow", lw=0.8))
                axes[0, i].text(left + 1, top + 4, shapes.class_names[label], color="yellow", fontsize=5)
        axes[1, i].imshow(scenes.masks[i], cmap="tab20", vmin=0, vmax=19, interpolation="none")
        for row in range(2):
            axes[row, i].set_axis_off()
    figure.tight_layout(pad=0.3)
    figure.savefig(HERE / "shapes_scenes.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()

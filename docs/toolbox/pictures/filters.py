"""Pictures of docs/toolbox/filters.md: edges of a photograph, a bank of Gabor filters, and borders."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from cnnrs import ops
from cnnrs.base.extras import pyplot
from cnnrs.ops.image.filtering import extended

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[2] / "examples"))

import edges  # noqa: E402  # the example beside the documents


def gabor_bank() -> None:
    """The kernels of a bank, even ones above odd ones."""
    plt = pyplot("pictures/filters.py")
    bank = ops.image.gabor_kernels((0.1, 0.2), orientations=4, kernel_size=25).numpy()
    figure, axes = plt.subplots(2, 8, figsize=(9, 2.7))
    for part, (row, kernels) in enumerate(zip(axes, bank, strict=True)):
        for i, ax in enumerate(row):
            kernel = kernels[..., i]
            bound = np.abs(kernel).max()
            ax.imshow(kernel, cmap="gray", vmin=-bound, vmax=bound, interpolation="none")
            ax.set_xticks([])
            ax.set_yticks([])
            if not part:
                ax.set_title(f"f {(0.1, 0.2)[i // 4]}, {45 * (i % 4)}°", fontsize=9)
    axes[0, 0].set_ylabel("even", fontsize=9)
    axes[1, 0].set_ylabel("odd", fontsize=9)
    save(figure, "filters_gabor.svg")


def borders() -> None:
    """What lies outside of a row of pixels."""
    plt = pyplot("pictures/filters.py")
    row = np.linspace(0.15, 1.0, 6).reshape(1, 1, 6, 1).astype("float32")
    modes = ("reflect", "mirror", "nearest", "wrap", "constant")
    figure, axes = plt.subplots(len(modes), 1, figsize=(5.4, 2.7))
    for ax, mode in zip(axes, modes, strict=True):
        wide = extended(ops.convert_to_tensor(row), ((0, 0), (4, 4)), mode, 0.0).numpy()[0, :, :, 0]
        ax.imshow(wide, cmap="gray", vmin=0, vmax=1, aspect="auto")
        for edge in (3.5, 9.5):
            ax.axvline(edge, color="C1", linewidth=2)
        ax.set_ylabel(mode, rotation=0, ha="right", va="center", fontsize=9)
        ax.set_xticks([])
        ax.set_yticks([])
    save(figure, "filters_borders.svg")


def save(figure, name: str) -> None:
    figure.tight_layout()
    figure.savefig(HERE / name, metadata={"Date": None})
    pyplot("pictures/filters.py").close(figure)


if __name__ == "__main__":
    pyplot("pictures/filters.py").rcParams["svg.hashsalt"] = "cnnrs"
    image = edges.photograph(70)
    edges.draw(image, edges.filters(image), str(HERE / "filters_edges.svg"))
    gabor_bank()
    borders()

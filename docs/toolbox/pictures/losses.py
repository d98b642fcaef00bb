"""Pictures of docs/toolbox/losses.md: curves of losses by what they are functions of."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cnnrs import losses, ops
from cnnrs.base.extras import pyplot

HERE = Path(__file__).parent


def save(figure, name: str) -> None:
    figure.tight_layout()
    figure.savefig(HERE / name, metadata={"Date": None})
    pyplot("pictures/losses.py").close(figure)


def curves() -> None:
    """Focal losses by probability, losses of masks by overlap, and pairs by distance."""
    plt = pyplot("pictures/losses.py")
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(10.5, 3.2))
    p = np.linspace(0.01, 0.99, 99)
    both = np.stack([1 - p, p], 1)
    for gamma in (0.0, 0.5, 2.0, 5.0):
        value = losses.sparse_categorical_focal_crossentropy(np.ones(99, int), both, 1.0, gamma).numpy()
        left.plot(p, value, label=f"γ = {gamma:g}" + (", cross-entropy" if not gamma else ""))
    left.set(xlabel="probability of the label", ylabel="focal loss", ylim=(0, 4))
    left.legend(fontsize=8)

    # A square of 10 x 10 pixels, and the same one shifted by up to all of its width.
    mask, shifted = np.zeros((11, 10, 20)), np.zeros((11, 10, 20))
    mask[:, :, :10] = 1
    for by in range(11):
        shifted[by, :, by : by + 10] = 1
    share = (10 - np.arange(11)) / 10
    axis = (1, 2)
    for name, value in {
        "Dice": losses.dice(mask, shifted, axis),
        "Jaccard": losses.jaccard(mask, shifted, axis),
        "FocalTversky, γ 4/3": losses.focal_tversky(mask, shifted, axis=axis),
    }.items():
        middle.plot(share, value.numpy(), label=name)
    middle.set(xlabel="share of two squares that overlaps", ylabel="loss")
    middle.legend(fontsize=8)

    d = np.linspace(0, 2, 81)
    for together, name in ((1, "of one class"), (0, "of two classes")):
        value = losses.contrastive(np.full(81, together), d, margin=1.0)
        right.plot(d, value.numpy(), label=f"contrastive, {name}")
    x = np.stack([np.zeros(81), np.full(81, 1.0), d], 1)[..., None]
    value = np.array([losses.triplet_hard([0, 0, 1], points, 0.5).numpy()[0] for points in x])
    right.plot(d, value, label="triplet, positive at 1, margin ½")
    value = np.array([losses.triplet_hard([0, 0, 1], points, "soft").numpy()[0] for points in x])
    right.plot(d, value, ":", color="C2", label="… with a soft margin")
    right.set(xlabel="distance", ylabel="loss", ylim=(0, 2))
    right.legend(fontsize=8)
    save(figure, "losses_curves.svg")


def margins() -> None:
    """What the label's logit becomes by its angle."""
    plt = pyplot("pictures/losses.py")
    degrees = np.linspace(0, 180, 181)
    cosines = ops.convert_to_tensor(np.cos(np.radians(degrees)))
    figure, ax = plt.subplots(figsize=(5.4, 3.4))
    ax.plot(degrees, cosines.numpy(), color="gray", label="cos θ")
    for name, (margin, easy) in {
        "ArcFace, margin 0.5": (0.5, False),
        "… easy margin": (0.5, True),
    }.items():
        changed = losses.margins.wider_angles(cosines, margin, easy)
        ax.plot(degrees, changed.numpy(), "--" if easy else "-", label=name)
    ax.plot(degrees, cosines.numpy() - 0.35, label="CosFace, margin 0.35")
    ax.set(xlabel="angle θ between embedding and class, degrees", ylabel="logit / scale")
    ax.legend(fontsize=8)
    save(figure, "losses_margins.svg")


if __name__ == "__main__":
    pyplot("pictures/losses.py").rcParams["svg.hashsalt"] = "cnnrs"
    curves()
    margins()

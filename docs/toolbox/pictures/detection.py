"""Pictures of docs/toolbox/detection.md and examples.md: losses, a choice of boxes, what a detector finds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from cnnrs import losses, ops
from cnnrs.base.extras import pyplot
from cnnrs.detection import to_svg

HERE = Path(__file__).parent


def moving_box() -> None:
    """The four losses of a box of 4 x 0.5 that moves past one of 2 x 2."""
    plt = pyplot("pictures/detection.py")
    plt.rcParams["svg.hashsalt"] = "cnnrs"
    at = np.linspace(-5, 5, 401)
    true = np.tile([[-1.0, -1.0, 1.0, 1.0]], (len(at), 1)).astype("float32")
    found = np.stack([at - 2, np.full_like(at, -0.25), at + 2, np.full_like(at, 0.25)], -1).astype("float32")
    figure, axes = plt.subplots(figsize=(6.4, 3.2))
    for name in ("iou_loss", "giou_loss", "diou_loss", "ciou_loss"):
        axes.plot(at, getattr(losses, name)(true, found).numpy(), label=name)
    axes.set(
        xlabel="distance of the centers", ylabel="loss", title="A box of 4 × 0.5 moves past one of 2 × 2"
    )
    axes.legend()
    figure.tight_layout()
    figure.savefig(HERE / "detection_losses.svg", metadata={"Date": None})
    plt.close(figure)


def chosen_boxes() -> None:
    """Twelve boxes around three squares, and those that stay."""
    rng = np.random.default_rng(4)
    image = np.full((96, 160, 3), 0.95)
    true = np.array([[10, 12, 50, 52], [38, 40, 80, 82], [104, 24, 148, 68]], "float32")
    for k, (left, top, right, bottom) in enumerate(true.astype(int)):
        image[top:bottom, left:right] = [[0.75, 0.8, 0.9], [0.8, 0.9, 0.75], [0.9, 0.8, 0.75]][k]
    boxes = np.repeat(true, 4, 0) + rng.normal(0, 4, (12, 4)).astype("float32")
    scores = rng.uniform(0.4, 0.95, 12).astype("float32")
    chosen = ops.non_max_suppression(boxes, scores, 12, 0.5)
    kept = chosen.indices.numpy()[: int(chosen.count)]
    for name, rows in (("before", np.arange(12)), ("after", kept)):
        found = {"boxes": boxes[rows], "classes": np.repeat(np.arange(3), 4)[rows], "scores": scores[rows]}
        (HERE / f"detection_{name}.svg").write_text(to_svg(image, found, scale=2))


def found_shapes() -> None:
    """What examples/detector.py finds on images it has not seen."""
    example = HERE.parents[2] / "examples" / "detector.py"
    command = [sys.executable, str(example), "--picture", str(HERE / "detection_shapes.svg")]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    moving_box()
    chosen_boxes()
    found_shapes()

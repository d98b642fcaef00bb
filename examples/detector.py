"""A detector that learns to find shapes on images made on the spot.

python examples/detector.py

Squares, discs and triangles of random sizes and colours lie on a coloured ground, one to four in an image.
A small YOLOX (Ge, Liu, Wang, Li and Sun 2021, arXiv:2107.08430) is trained from nothing; average precision
is that of images it has not seen. `--picture` writes an SVG of what it finds on some of them.
"""

import argparse
import math

import numpy as np

import cnnrs
from cnnrs.detection import YOLOX, to_svg

NAMES = ("square", "disc", "triangle")


def inside(kind, size):
    """Which pixels of a box of `size` belong to a shape."""
    rows, columns = np.mgrid[:size, :size] + 0.5
    if kind == 0:
        return np.ones((size, size), bool)
    if kind == 1:
        return (rows - size / 2) ** 2 + (columns - size / 2) ** 2 <= (size / 2) ** 2
    return abs(columns - size / 2) <= rows / 2


def scenes(count, extent, rng):
    """Images of floats in 0..1, and the boxes ("xyxy") and classes in them; -1 where there is no box."""
    images = np.empty((count, extent, extent, 3), "float32")
    boxes, classes = np.zeros((count, 4, 4), "float32"), np.full((count, 4), -1, "int32")
    for image, found, labels in zip(images, boxes, classes, strict=True):
        image[:] = rng.uniform(0.4, 1.0, 3)
        for place in range(rng.integers(1, 5)):
            kind, size = int(rng.integers(3)), int(rng.integers(extent // 6, extent // 2))
            left, top = rng.integers(0, extent - size, 2)
            box = np.array([left, top, left + size, top + size], "float32")
            # Shapes may touch, but none hides another.
            corners = np.minimum(found[:, 2:], box[2:]) - np.maximum(found[:, :2], box[:2])
            if (corners.clip(0).prod(1) > 0.1 * size**2).any():
                continue
            image[top : top + size, left : left + size][inside(kind, size)] = rng.uniform(0.0, 0.6, 3)
            found[place], labels[place] = box, kind
    return images, {"boxes": boxes, "classes": classes}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--images", type=int, default=300, help="images to train on")
    parser.add_argument("--tests", type=int, default=100, help="images to measure on")
    parser.add_argument("--extent", type=int, default=96, help="height and width, a multiple of 32")
    parser.add_argument("--picture", help="an SVG file to write")
    options = parser.parse_args()
    if min(options.epochs, options.images, options.tests) < 1:
        parser.error("--epochs, --images and --tests: expected at least 1")

    rng = np.random.default_rng(0)
    images, objects = scenes(options.images, options.extent, rng)
    tests, answers = scenes(options.tests, options.extent, rng)
    cnnrs.utils.set_random_seed(0)
    model = YOLOX((options.extent, options.extent, 3), classes=len(NAMES), size=(0.33, 0.125))
    batch = 16
    rate = cnnrs.optimizers.schedules.CosineDecay(5e-3, options.epochs * math.ceil(len(images) / batch))
    model.compile(cnnrs.optimizers.AdamW(rate, global_clipnorm=10.0))
    history = model.fit(images, objects, batch_size=batch, epochs=options.epochs, verbose=0)
    losses = history.history["loss"]
    print(f"{model.count_params():,} weights; loss {losses[0]:.2f} at first, {losses[-1]:.2f} at last")

    figures = model.mean_average_precision(tests, answers)
    print(f"AP {figures['AP']:.3f}, AP50 {figures['AP50']:.3f} on {len(tests)} images not seen before")
    if options.picture:
        shown = min(len(tests), 8)
        found = model.predict(tests[:shown], verbose=0)
        canvas = np.ones((-(-shown // 4) * options.extent, min(shown, 4) * options.extent, 3), "float32")
        shift = [[k % 4 * options.extent, k // 4 * options.extent] * 2 for k in range(shown)]
        for image, (left, top, _, _) in zip(tests, shift, strict=False):
            canvas[top : top + options.extent, left : left + options.extent] = image
        together = {
            "boxes": np.concatenate([found["boxes"][k] + np.float32(shift[k]) for k in range(shown)]),
            "classes": np.concatenate(found["classes"]),
            "scores": np.concatenate(found["scores"]),
        }
        with open(options.picture, "w", encoding="utf-8") as file:
            file.write(to_svg(canvas, together, NAMES, score_threshold=0.5))


if __name__ == "__main__":
    main()

"""A U-Net that tells of each pixel which shape it belongs to, on images made on the spot.

python examples/unet_shapes.py

Squares, discs and rings lie on a ground of stripes, in colours that tell nothing about the shape. The U-Net
(Ronneberger, Fischer and Brox 2015, arXiv:1505.04597) learns from cross-entropy and Dice together. With
`--cutmix` images are cut into each other, and the masks with them. The figures are intersections over unions
on images it has not seen. `--picture` writes images, masks and what is found as an SVG.
"""

import argparse
import math

import numpy as np

import cnnrs
from cnnrs import applications, layers, losses, ops

NAMES = ("ground", "square", "disc", "ring")


def scenes(count, extent, rng):
    """Images of floats in 0..1, and a class for each pixel."""
    rows, columns = np.mgrid[:extent, :extent]
    images = np.empty((count, extent, extent, 3), "float32")
    masks = np.zeros((count, extent, extent), "int32")
    for image, mask in zip(images, masks, strict=True):
        wave = 0.15 * np.sin(rows * rng.uniform(0.1, 0.8) + columns * rng.uniform(0.1, 0.8))
        image[:] = rng.uniform(0.3, 0.7, 3) + wave[..., None]
        for _ in range(rng.integers(2, 5)):
            kind, radius = int(rng.integers(1, 4)), int(rng.integers(extent // 10, extent // 5))
            y, x = rng.integers(radius, extent - radius, 2)
            distance = np.hypot(rows - y, columns - x)
            shape = {
                1: np.maximum(abs(rows - y), abs(columns - x)) <= radius,
                2: distance <= radius,
                3: (distance <= radius) & (distance >= 0.5 * radius),
            }[kind]
            image[shape] = rng.uniform(0, 1, 3)
            mask[shape] = kind
        image += rng.normal(0, 0.05, image.shape)
    return images.clip(0, 1), masks


def cross_entropy_and_dice(y_true, y_pred):
    """One value for each pixel: its cross-entropy, and the Dice loss of its image."""
    hot = ops.one_hot(y_true, len(NAMES))
    both = 2.0 * ops.sum(hot * y_pred, axis=(1, 2)) / (ops.sum(hot + y_pred, axis=(1, 2)) + 1e-6)
    dice = 1.0 - ops.mean(both, axis=-1)
    return losses.sparse_categorical_crossentropy(y_true, y_pred) + dice[:, None, None]


def overlaps(masks, found):
    """Of each class, the pixels that both say by those that one says."""
    both = [((masks == k) & (found == k)).sum() for k in range(len(NAMES))]
    either = [((masks == k) | (found == k)).sum() for k in range(len(NAMES))]
    return [b / e for b, e in zip(both, either, strict=True)]


def picture(images, masks, found, path):
    """Images, masks and what was found, below each other."""
    from matplotlib import pyplot as plt

    plt.rcParams["svg.hashsalt"] = "cnnrs"
    figure, axes = plt.subplots(3, len(images), figsize=(1.6 * len(images), 5.0))
    for row, (title, shown) in enumerate((("image", images), ("mask", masks), ("found", found))):
        for axis, one in zip(axes[row], shown, strict=True):
            # Few levels make a small file.
            axis.imshow(
                one if one.ndim == 2 else np.round(24 * one) / 24,
                vmin=0,
                vmax=len(NAMES) - 1,
                cmap="viridis",
                interpolation="none",
            )
            axis.set(xticks=[], yticks=[])
        axes[row][0].set_ylabel(title)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def trained(options, rng):
    """A U-Net after training, and what it gives."""
    images, masks = scenes(options.images, options.extent, rng)
    cnnrs.utils.set_random_seed(0)
    model = applications.UNet(
        (options.extent, options.extent, 3), classes=len(NAMES), filters=options.filters, depth=3
    )
    batch = 8
    rate = cnnrs.optimizers.schedules.CosineDecay(3e-3, options.epochs * math.ceil(len(images) / batch))
    model.compile(cnnrs.optimizers.Adam(rate), cross_entropy_and_dice, metrics=["accuracy"])
    mixing = layers.CutMix() if options.cutmix else None
    model.fit(images, masks, batch_size=batch, epochs=options.epochs, verbose=0, batch_augmentation=mixing)
    return model


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--images", type=int, default=300, help="images to train on")
    parser.add_argument("--tests", type=int, default=100, help="images to measure on")
    parser.add_argument("--extent", type=int, default=64, help="height and width, a multiple of 8")
    parser.add_argument("--filters", type=int, default=8, help="channels of the finest maps")
    parser.add_argument("--cutmix", action="store_true", help="whether images are cut into each other")
    parser.add_argument("--picture", help="an SVG file to write; needs cnnrs[plot]")
    options = parser.parse_args(arguments)

    rng = np.random.default_rng(0)
    model = trained(options, rng)
    tests, answers = scenes(options.tests, options.extent, rng)
    found = model.predict(tests, verbose=0).argmax(-1)
    shares = overlaps(answers, found)
    print(f"{model.count_params():,} weights, {options.tests} images not seen before")
    for name, share in zip(NAMES, shares, strict=True):
        print(f"IoU of {name:8}{share:7.3f}")
    print(f"mean IoU       {np.mean(shares):7.3f}")
    if options.picture:
        picture(tests[:5], answers[:5], found[:5], options.picture)


if __name__ == "__main__":
    main()

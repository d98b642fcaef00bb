"""The picture of docs/data/augmentation.md: one image as each layer of augmentation changes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cnnrs import layers, utils
from cnnrs.base.extras import pyplot

HERE = Path(__file__).parent
SIDE = 64


def scene(sun: float = 16.0, sky: Any = (120, 180, 235), house: Any = (190, 70, 50)) -> np.ndarray:
    """A house on a meadow under the sun, of SIDE x SIDE pixels."""
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    image = np.empty((SIDE, SIDE, 3), np.float32)
    image[:] = sky
    image += (20 * rows / SIDE)[..., None]
    image[rows > 44] = (70, 140, 60)
    image[np.hypot(rows - 13, columns - sun) < 7] = (250, 220, 80)
    image[(rows > 30) & (rows < 52) & (columns > 30) & (columns < 56)] = house
    image[(rows > 16) & (rows <= 30) & (np.abs(columns - 43) < (rows - 16) * 1.1)] = (90, 60, 50)
    image[(rows > 36) & (rows < 43) & (columns > 34) & (columns < 41)] = (235, 235, 200)
    image[(rows > 38) & (rows < 52) & (columns > 45) & (columns < 51)] = (60, 40, 35)
    return image.astype(np.uint8)


def changes() -> dict[str, Any]:
    """Layers by what stands above their pictures."""
    half = (0.5, 0.5)
    return {
        "RandomFlip": layers.RandomFlip("horizontal", seed=4),
        "RandomCrop": layers.RandomCrop(44, 44, seed=1),
        "CenterCrop": layers.CenterCrop(44, 44),
        "RandomResizedCrop": layers.RandomResizedCrop(64, 64, scale=(0.2, 0.5), seed=4),
        "RandomTranslation": layers.RandomTranslation((0.2, 0.2), (-0.25, -0.25)),
        "RandomRotation": layers.RandomRotation((0.08, 0.08), fill_mode="constant"),
        "RandomZoom": layers.RandomZoom((0.4, 0.4), fill_mode="wrap"),
        "RandomShear": layers.RandomShear((0.4, 0.4), fill_mode="nearest"),
        "RandomPerspective": layers.RandomPerspective((1.0, 1.0), scale=0.5, seed=3),
        "RandomElasticTransform": layers.RandomElasticTransform((1.0, 1.0), scale=(0.7, 0.7), seed=2),
        "RandomBrightness": layers.RandomBrightness((0.25, 0.25)),
        "RandomContrast": layers.RandomContrast(0.9, seed=3),
        "RandomSaturation": layers.RandomSaturation((0.68, 0.68)),
        "RandomHue": layers.RandomHue((0.6, 0.6), seed=1),
        "RandomColorJitter": layers.RandomColorJitter(
            brightness_factor=0.3, contrast_factor=0.8, saturation_factor=(0.2, 0.3), hue_factor=0.3, seed=5
        ),
        "RandomColorDegeneration": layers.RandomColorDegeneration((0.7, 0.7)),
        "RandomGrayscale": layers.RandomGrayscale(1.0),
        "Lighting": layers.Lighting(0.7, seed=3),
        "RandomPosterization": layers.RandomPosterization((2, 2)),
        "Solarization": layers.Solarization(0.0, half),
        "RandomInvert": layers.RandomInvert((1.0, 1.0)),
        "AutoContrast": layers.AutoContrast(),
        "Equalization": layers.Equalization(),
        "ContrastLimited…": layers.ContrastLimitedAdaptiveHistogramEqualization(tile_grid_size=(4, 4)),
        "RandomSharpness": layers.RandomSharpness((1.0, 1.0)),
        "RandomGaussianBlur": layers.RandomGaussianBlur((1.0, 1.0), 7, sigma=(1.0, 1.0)),
        "RandomErasing": layers.RandomErasing((1.0, 1.0), fill_value=0, seed=3),
        "GridMask": layers.GridMask((1.0, 1.0), unit=(0.25, 0.25), seed=1),
        "RandAugment": layers.RandAugment(seed=11),
        "TrivialAugment": layers.TrivialAugment(seed=9),
        "AugMix": layers.AugMix(factor=0.6, seed=2),
        "MixUp": layers.MixUp(2.0, seed=9),
        "CutMix": layers.CutMix((1.0, 1.0), seed=6),
        "Mosaic": layers.Mosaic(seed=1),
    }


def main() -> None:
    plt = pyplot("pictures/augmentation.py")
    # Of layers without a seed of their own.
    utils.set_random_seed(1)
    others = [
        scene(50.0, (235, 150, 110), (120, 90, 150)),
        scene(8.0, (60, 70, 110), (150, 150, 150)),
        scene(30.0, (200, 210, 220), (60, 110, 160)),
    ]
    batch = np.stack([scene(), *others])
    panels = {"the image": batch[0]}
    for name, layer in changes().items():
        panels[name] = np.asarray(layer(batch, training=True))[0]
    figure, axes = plt.subplots(5, 7, figsize=(10.5, 8.4))
    for ax, (name, panel) in zip(axes.ravel(), panels.items(), strict=True):
        pixels = np.clip(np.round(panel), 0, 255).astype(np.uint8)
        # Few values a channel make small files.
        ax.imshow(pixels & 0xF0, interpolation="nearest")
        ax.set_title(name, fontsize=8)
        ax.set_axis_off()
    figure.tight_layout()
    figure.savefig(HERE / "augmentation_layers.svg", metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    pyplot("pictures/augmentation.py").rcParams.update({"svg.hashsalt": "cnnrs", "svg.fonttype": "none"})
    main()

"""Images a second that each layer of augmentation gives when a data set maps it, by the core and by a plan.

    python benches/data/augmentation_layers.py

The images are bytes, 32 to a batch, of 224 x 224 pixels. Each way runs in turn, and its best pass counts.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from cnnrs import layers
from cnnrs.base.image_steps import collecting
from cnnrs.data import Dataset

BATCH, BATCHES, ROUNDS = 32, 3, 4
LAYERS: dict[str, dict[str, Any]] = {
    "RandomFlip": {},
    "RandomCrop": {"height": 192, "width": 192},
    "CenterCrop": {"height": 192, "width": 192},
    "Resizing": {"height": 160, "width": 160},
    "RandomResizedCrop": {"height": 160, "width": 160},
    "RandomTranslation": {"height_factor": 0.2, "width_factor": 0.2},
    "RandomRotation": {"factor": 0.1},
    "RandomZoom": {"height_factor": 0.3},
    "RandomShear": {"x_factor": 0.3, "y_factor": 0.3},
    "RandomPerspective": {"scale": 0.5},
    "RandomBrightness": {"factor": 0.3},
    "RandomContrast": {"factor": 0.3},
    "RandomSaturation": {"factor": (0.3, 0.7)},
    "RandomHue": {"factor": 0.3},
    "RandomColorJitter": {
        "brightness_factor": 0.3,
        "contrast_factor": 0.3,
        "saturation_factor": (0.3, 0.7),
        "hue_factor": 0.2,
    },
    "RandomColorDegeneration": {"factor": 0.5},
    "RandomGrayscale": {},
    "Lighting": {},
    "RandomPosterization": {"factor": (2, 7)},
    "Solarization": {"threshold_factor": 0.5},
    "RandomInvert": {"factor": 0.5},
    "AutoContrast": {},
    "Equalization": {},
    "RandomSharpness": {"factor": 1.0},
    "RandomGaussianBlur": {"kernel_size": 5},
    "RandomErasing": {"fill_value": 0},
    "GridMask": {},
    "RandAugment": {},
    "TrivialAugment": {},
    "AugMix": {},
    "RandomElasticTransform": {},
    "MixUp": {},
    "CutMix": {},
    "Mosaic": {},
}


def main() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (BATCH * BATCHES, 224, 224, 3)).astype(np.uint8)
    source = Dataset.from_tensor_slices(pixels).batch(BATCH)
    print(f"{'layer':26} {'core':>7} {'plan':>7} {'ratio':>6}")
    for name, arguments in LAYERS.items():
        layer = getattr(layers, name)(**arguments, seed=1) if name not in _FIXED else None
        layer = layer or getattr(layers, name)(**arguments)

        def as_ops(images: Any, layer: Any = layer) -> Any:
            with collecting(None):
                return layer(images)

        best = []
        for function in (layer, as_ops):
            data = source.map(function)
            times = []
            for _ in range(ROUNDS):
                begin = time.perf_counter()
                for _batch in data.as_numpy_iterator():
                    pass
                times.append(time.perf_counter() - begin)
            best.append(len(pixels) / min(times))
        print(f"{name:26} {best[0]:7.0f} {best[1]:7.0f} {best[0] / best[1]:6.2f}", flush=True)


_FIXED = ("CenterCrop", "Resizing", "AutoContrast", "Equalization")


if __name__ == "__main__":
    main()

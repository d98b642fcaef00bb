"""Functions of images: what Keras makes of the same images, definitions in float64, and gradients."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnrs import layers, ops

FIXTURES = Path(__file__).parents[1] / "fixtures"
CASES = json.loads((FIXTURES / "keras_images.json").read_text())["cases"]
with np.load(FIXTURES / "keras_images.npz") as _file:
    ARRAYS = dict(_file)
RNG = np.random.default_rng(3)


def identify(case: dict[str, Any]) -> str:
    parts = [case["name"], case["image"], *map(str, case["arguments"].values())]
    return "-".join(parts)[:90]


def drawn(value: Any) -> Any:
    """What a layer would draw, as arrays."""
    if isinstance(value, dict):
        return {key: drawn(part) for key, part in value.items()}
    if value == "mask":
        return ARRAYS["mask"]
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype.kind == "f" and array.ndim else array


def compute(case: dict[str, Any]) -> Any:
    image, arguments = ARRAYS[case["image"]], case["arguments"]
    if case["kind"] == "ops":
        given = {key: ARRAYS[value] if value == "other" else value for key, value in arguments.items()}
        return getattr(ops.image, case["name"])(image, **given)
    layer = getattr(layers, case["name"])(**arguments)
    transformation = case["drawn"] if case["name"] == "RandomCrop" else drawn(case["drawn"])
    if case["name"] == "CenterCrop":
        transformation = {"input_shape": image.shape}
    return layer.transform_images(ops.convert_to_tensor(image), transformation, training=True)


@pytest.mark.parametrize(
    "case", [c for c in CASES if hasattr(layers, c["name"]) or c["kind"] == "ops"], ids=identify
)
def test_keras_makes_the_same(case):
    expected, actual = ARRAYS[case["output"]], compute(case).numpy()
    assert actual.shape == expected.shape
    if expected.dtype == np.uint8:
        # Where Keras's float32 lies at a half, rounding may go the other way.
        assert actual.dtype == np.uint8
        distance = np.abs(actual.astype(int) - expected.astype(int))
        assert distance.max() <= 1 and (distance > 0).mean() < 0.02
        return
    scale = max(1.0, float(np.abs(expected).max()))
    close = np.abs(actual - expected) <= 2e-5 * scale
    # The nearest pixel of a place between two may be either.
    assert close.mean() > (0.97 if "nearest" in str(case["arguments"]) else 0.9999)

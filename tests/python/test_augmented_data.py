"""Layers of augmentation mapped over data sets: the core runs their steps, with the values of the layers.

What a layer does as ops is what it does under `collecting(None)`; the same function without that is run by
the core. Both draw the same.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import test_augmentation as layer_cases

import cnnrs
from cnnrs import layers, ops
from cnnrs.base.image_steps import collecting
from cnnrs.data import AUTOTUNE, Dataset
from cnnrs.data.chains import Chain

CASES = {name: case for name, case in layer_cases.CASES.items() if name != "MaxNumBoundingBoxes"}
# A plan is as fast, or they need what a plan draws; docs/data/augmentation.md has the figures.
BY_PLANS = {
    "ContrastLimitedAdaptiveHistogramEqualization",
    "CutMix",
    "MixUp",
    "Mosaic",
    "RandomElasticTransform",
    "RandomErasing",
}


def images(kind: str, shape: Any = (8, 9, 8, 3)) -> np.ndarray:
    x = layer_cases.images(3, shape)
    return (x * 255).astype(np.uint8) if kind == "uint8" else x


def make(name: str, kind: str, **more: Any) -> Any:
    given = {"value_range": (0, 255)} if kind == "uint8" and "value_range" in CASES[name][0] else {}
    return layer_cases.make(name, **given, **more)


def as_ops(function: Any) -> Any:
    """The function with layers that record ops."""

    def mapped(*element: Any) -> Any:
        with collecting(None):
            return function(*element)

    return mapped


def mapped(function: Any, x: Any, batch: int = 4, **options: Any) -> list[Any]:
    cnnrs.utils.set_random_seed(7)
    data = Dataset.from_tensor_slices(x)
    data = data.batch(batch) if batch else data
    return list(data.map(function, **options).as_numpy_iterator())


@pytest.fixture
def chains(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The chains that the core ran."""
    ran: list[Any] = []
    run = Chain.run

    def seen(self: Any, *arguments: Any) -> Any:
        ran.append(self)
        return run(self, *arguments)

    monkeypatch.setattr(Chain, "run", seen)
    return ran


@pytest.mark.parametrize("kind", ["uint8", "float32"])
@pytest.mark.parametrize("name", CASES)
def test_the_core_gives_what_the_layer_gives(name, kind, chains):
    layer, x = make(name, kind), images(kind)
    actual, expected = mapped(layer, x), None
    assert bool(chains) == (name not in BY_PLANS)
    count = len(chains)
    expected = mapped(as_ops(layer), x)
    assert len(chains) == count
    for a, b in zip(actual, expected, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        # Values of histograms and steps may fall on the other side of a boundary, and halves be rounded
        # up or down.
        apart = np.abs(a.astype(np.float64) - b) > (255 if kind == "uint8" else 1) * 2e-5
        few = {"RandAugment": 0.02, "AugMix": 0.02, "TrivialAugment": 0.02}
        assert apart.mean() <= few.get(name, 0.005 if (name, kind) == ("Resizing", "uint8") else 0.0)
        assert np.abs(a.astype(np.float64) - b).max() <= (255 if name in few else 1)


@pytest.mark.parametrize(
    "name", ["AugMix", "RandAugment", "RandomFlip", "RandomResizedCrop", "TrivialAugment"]
)
@pytest.mark.parametrize("batch", [0, 4])
def test_workers_change_no_bit(name, batch):
    layer, x = make(name, "uint8"), images("uint8", (100, 9, 8, 3))
    alone = mapped(layer, x, batch)
    for workers in (2, 7):
        for a, b in zip(mapped(layer, x, batch, num_parallel_calls=workers), alone, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("threads", [1, 7])
def test_threads_of_the_core_change_no_bit(threads):
    layer, x = make("RandomRotation", "uint8"), images("uint8")
    expected = mapped(layer, x)
    before = cnnrs.config.get_num_threads()
    try:
        cnnrs.config.set_num_threads(threads)
        for a, b in zip(mapped(layer, x), expected, strict=True):
            np.testing.assert_array_equal(a, b)
    finally:
        cnnrs.config.set_num_threads(before)


def test_each_pass_and_each_image_is_drawn_anew_and_a_seed_repeats():
    layer = layers.RandomRotation(0.5, seed=1)
    x = np.repeat(images("uint8")[:1], 6, axis=0)

    def passes() -> list[Any]:
        cnnrs.utils.set_random_seed(3)
        data = Dataset.from_tensor_slices(x).map(layer)
        return [np.stack(list(data.as_numpy_iterator())) for _ in range(2)]

    first, second = passes()
    assert len({image.tobytes() for image in (*first, *second)}) == 12
    np.testing.assert_array_equal(passes(), [first, second])


def test_neighbouring_layers_are_one_chain(chains):
    prepare = layers.Pipeline(
        [
            layers.RandomResizedCrop(6, 5, seed=1),
            layers.RandomFlip("horizontal", seed=2),
            layers.RandomColorJitter(brightness_factor=0.2, contrast_factor=0.3, hue_factor=0.1, seed=3),
            layers.Rescaling(1 / 255),
            layers.Normalization(mean=[0.4, 0.5, 0.6], variance=[0.1, 0.2, 0.3]),
        ]
    )

    def pair(x: Any, y: Any) -> Any:
        return prepare(x), ops.one_hot(y, 3)

    x, y = images("uint8"), np.arange(8) % 3
    actual = mapped(pair, (x, y))
    assert len(chains) == 2
    for (a, label), (b, other) in zip(actual, mapped(as_ops(pair), (x, y)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
        np.testing.assert_array_equal(label, other)


def test_ops_between_layers_and_results_that_are_used_twice(chains):
    flip, turn = layers.RandomFlip(seed=1), layers.RandomRotation(0.2, seed=2)

    def several(x: Any) -> Any:
        flipped = flip(x)
        return {"flipped": flipped, "turned": turn(flipped), "dark": turn(flipped * 0.5), "given": x}

    x = images("float32")
    actual, expected = mapped(several, x), mapped(as_ops(several), x)
    assert len(chains) == 6
    for a, b in zip(actual, expected, strict=True):
        assert a.keys() == b.keys()
        for key in a:
            np.testing.assert_allclose(a[key], b[key], atol=1e-5)


def test_a_chain_whose_result_nobody_reads_is_not_run(chains):
    flip, crop = layers.RandomFlip(seed=1), layers.RandomCrop(4, 4, seed=2)

    def function(x: Any) -> Any:
        crop(x)
        return flip(x)

    mapped(function, images("uint8"))
    assert len(chains) == 2 and all(chain.result_shape == (4, 9, 8, 3) for chain in chains)


def test_dicts_take_boxes_masks_and_points_along(chains):
    turn = layers.RandomRotation(0.3, seed=1, bounding_box_format="xyxy")
    data = {
        "images": images("uint8"),
        "segmentation_masks": images("uint8")[..., :1] // 64,
        "keypoints": np.random.default_rng(1).random((8, 5, 2)).astype(np.float32) * 7,
        "bounding_boxes": {"boxes": np.tile(np.float32([1, 2, 5, 7]), (8, 2, 1)), "labels": np.ones((8, 2))},
        "labels": np.arange(8),
    }
    actual, expected = mapped(turn, data), mapped(as_ops(turn), data)
    assert len(chains) == 2
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a["images"], b["images"], atol=5e-3)
        for key in ("segmentation_masks", "keypoints", "labels"):
            np.testing.assert_array_equal(a[key], b[key])
        np.testing.assert_array_equal(a["bounding_boxes"]["boxes"], b["bounding_boxes"]["boxes"])


def test_images_of_many_sizes(chains):
    crop = layers.Pipeline([layers.RandomResizedCrop(8, 8, seed=1), layers.RandomFlip(seed=2)])
    sizes = [(10 + i, 30 - i, 3) for i in range(20)]

    def elements() -> Any:
        for size in sizes:
            yield images("uint8", size)

    cnnrs.utils.set_random_seed(7)
    spec = cnnrs.data.TensorSpec((None, None, 3), "uint8")
    data = Dataset.from_generator(elements, output_signature=spec).map(crop)
    results = list(data.as_numpy_iterator())
    assert len(chains) >= len(sizes) and {r.shape for r in results} == {(8, 8, 3)}
    # The seventeenth shape is one too many for recordings, and gives what a recording would give.
    cnnrs.utils.set_random_seed(7)
    alone = [*Dataset.from_generator(elements, output_signature=spec).map(as_ops(crop)).as_numpy_iterator()]
    for a, b in zip(results, alone, strict=True):
        np.testing.assert_allclose(a, b, atol=0.02)


def test_channels_first_and_other_types(chains):
    x = images("uint8")
    flip = layers.RandomZoom(0.3, data_format="channels_first", seed=1)
    first = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    for a, b in zip(mapped(flip, first), mapped(as_ops(flip), first), strict=True):
        np.testing.assert_allclose(a, b, atol=5e-3)
    assert len(chains) == 2
    # Of these types the core has no chains.
    half = layers.RandomFlip(seed=1, dtype="float64")
    assert mapped(half, x)[0].dtype == np.float64 and len(chains) == 2
    assert mapped(layers.RandomFlip(seed=1), x.astype(np.int32))[0].dtype == np.float32 and len(chains) == 2


def test_a_subclass_that_changes_images_is_asked(chains):
    class Darker(layers.RandomFlip):
        def transform_images(self, images, transformation, training=True):
            return ops.cast(images, "float32") * 0.0

    assert mapped(Darker(), images("uint8"))[0].max() == 0.0 and not chains


def test_fit_takes_augmented_data():
    x, y = images("uint8", (16, 9, 8, 3)), np.arange(16) % 2
    augment = layers.Pipeline([layers.RandomTranslation(0.1, 0.1), layers.Rescaling(1 / 255)])
    data = Dataset.from_tensor_slices((x, y)).batch(4)
    data = data.map(lambda x, y: (augment(x), y), num_parallel_calls=AUTOTUNE).prefetch(AUTOTUNE)
    assert data.element_spec[0].shape == (None, 9, 8, 3) and data.element_spec[0].dtype == "float32"
    model = cnnrs.Sequential([layers.GlobalAveragePooling2D(), layers.Dense(2, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert len(model.fit(data, epochs=2, verbose=0).history["loss"]) == 2


def test_an_error_names_the_layer():
    crop = layers.RandomHue(0.1, name="tint")
    with pytest.raises(ValueError, match="3 channels"):
        mapped(crop, images("uint8")[..., :2])


def test_the_page_runs_and_its_pictures_are_there(capsys):
    page = Path(__file__).parents[2] / "docs" / "data" / "augmentation.md"
    text = page.read_text()
    for script in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(script, str(page), "exec"), {})
    assert "[-1.0, -1.0]" in capsys.readouterr().out
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert (page.parent / target).exists()

"""Layers of augmentation, all through the same checks.

They are inert in prediction, draw the same for images, boxes and masks, and take one image or a batch, any
element type and both data formats, in models and outside of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cnnrs
from cnnrs import layers, ops, random
from cnnrs.layers import augmentation

SHAPE = (4, 9, 8, 3)
UNIT = {"value_range": (0, 1)}

# Arguments of each layer; the second entry says whether prediction leaves images alone.
CASES: dict[str, tuple[dict[str, Any], bool]] = {
    "AugMix": ({**UNIT, "seed": 1}, True),
    "AutoContrast": (UNIT, False),
    "CenterCrop": ({"height": 4, "width": 6}, False),
    "ContrastLimitedAdaptiveHistogramEqualization": ({**UNIT, "tile_grid_size": (2, 3)}, False),
    "CutMix": ({"seed": 1}, True),
    "Equalization": (UNIT, True),
    "GridMask": ({"factor": (1.0, 1.0), "unit": (0.5, 0.8), "seed": 1}, True),
    "Lighting": ({**UNIT, "seed": 1}, True),
    "MaxNumBoundingBoxes": ({"max_number": 3}, True),
    "MixUp": ({"alpha": 2.0, "seed": 1}, True),
    "Mosaic": ({"seed": 1}, True),
    "RandAugment": ({**UNIT, "seed": 1}, True),
    "RandomBrightness": ({"factor": 0.4, **UNIT, "seed": 1}, True),
    "RandomColorDegeneration": ({"factor": 0.9, **UNIT, "seed": 1}, True),
    "RandomColorJitter": (
        {
            **UNIT,
            "brightness_factor": 0.2,
            "contrast_factor": 0.2,
            "saturation_factor": (0.3, 0.7),
            "hue_factor": 0.2,
            "seed": 1,
        },
        True,
    ),
    "RandomContrast": ({"factor": 0.5, **UNIT, "seed": 1}, True),
    "RandomCrop": ({"height": 4, "width": 6, "seed": 1}, False),
    "RandomElasticTransform": ({"factor": (1.0, 1.0), "scale": (1.0, 1.0), **UNIT, "seed": 1}, True),
    "RandomErasing": ({"factor": (1.0, 1.0), "scale": (0.3, 0.5), **UNIT, "seed": 1}, True),
    "RandomFlip": ({"seed": 3}, True),
    "RandomGaussianBlur": ({"factor": (1.0, 1.0), "sigma": (0.5, 1.0), **UNIT, "seed": 1}, True),
    "RandomGrayscale": ({"seed": 5}, True),
    "RandomHue": ({"factor": 0.5, **UNIT, "seed": 1}, True),
    "RandomInvert": ({**UNIT, "seed": 2}, True),
    "RandomPerspective": ({"factor": (1.0, 1.0), "scale": 0.5, "seed": 1}, True),
    "RandomPosterization": ({"factor": (1, 5), **UNIT, "seed": 1}, True),
    "RandomResizedCrop": ({"height": 5, "width": 4, "seed": 1}, False),
    "RandomRotation": ({"factor": 0.3, "seed": 1}, True),
    "RandomSaturation": ({"factor": (0.1, 0.9), **UNIT, "seed": 1}, True),
    "RandomSharpness": ({"factor": 1.0, **UNIT, "seed": 1}, True),
    "RandomShear": ({"x_factor": 0.3, "y_factor": 0.2, "seed": 1}, True),
    "RandomTranslation": ({"height_factor": 0.4, "width_factor": 0.3, "seed": 1}, True),
    "RandomZoom": ({"height_factor": 0.4, "seed": 1}, True),
    "Resizing": ({"height": 5, "width": 11, "antialias": True}, False),
    "Solarization": ({"addition_factor": 0.3, "threshold_factor": 0.5, **UNIT, "seed": 1}, True),
    "TrivialAugment": ({**UNIT, "seed": 3}, True),
}
RANDOM = [name for name in CASES if "seed" in CASES[name][0]]
# Their masks and boxes move as images do.
MOVING = [
    "RandomFlip",
    "RandomRotation",
    "RandomShear",
    "RandomTranslation",
    "RandomZoom",
    "RandomPerspective",
]


def make(name: str, **more: Any) -> Any:
    return getattr(layers, name)(**{**CASES[name][0], **more})


def images(seed: int = 0, shape: Any = SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).random(shape).astype(np.float32)


def host(value: Any) -> np.ndarray:
    return value.numpy() if hasattr(value, "numpy") else np.asarray(value)


def test_every_layer_has_a_case():
    public = {name for name in augmentation.__all__ if hasattr(layers, name)}
    assert public == set(CASES)
    assert set(augmentation.__all__) - public == {"BaseImagePreprocessingLayer"}


@pytest.mark.parametrize("name", CASES)
def test_a_config_makes_the_same_layer(name):
    layer, x = make(name), images()
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    np.testing.assert_array_equal(host(again(x)), host(layer(x)))


@pytest.mark.parametrize("name", CASES)
def test_prediction_and_training(name):
    layer, x = make(name), images()
    model = cnnrs.Sequential([cnnrs.Input(SHAPE[1:]), layer])
    predicted, trained = model.predict(x, verbose=0), host(model(x, training=True))
    assert predicted.shape == trained.shape == (4, *model.output_shape[1:])
    assert np.isfinite(trained).all() and trained.dtype == np.float32
    if CASES[name][1]:
        np.testing.assert_allclose(predicted, x, atol=1e-6)
    if name in RANDOM:
        draws = [trained, *(host(layer(x, training=True)) for _ in range(3))]
        assert max(np.abs(a - b).max() for a, b in zip(draws, draws[1:], strict=False)) > 1e-4
    elif name not in ("MaxNumBoundingBoxes", "Equalization"):
        np.testing.assert_array_equal(predicted, trained)
    # Outside of a model a layer transforms.
    if name in RANDOM:
        assert not np.array_equal(host(make(name)(x)), x)


@pytest.mark.parametrize("name", CASES)
def test_each_batch_of_a_fit_is_drawn_anew(name):
    seen = []

    class Seen(layers.Layer):
        def build(self, input_shape):
            self.kept = self.add_weight(shape=(), initializer="zeros", trainable=False, name="kept")

        def call(self, inputs):
            self.kept.assign(ops.mean(ops.abs(inputs[:, :3, :4] - 0.3)))
            return inputs

    spy = Seen()
    head = [layers.GlobalAveragePooling2D(), layers.Dense(1)]
    model = cnnrs.Sequential([cnnrs.Input(SHAPE[1:]), make(name), spy, *head])
    model.compile("sgd", "mse")
    for _ in range(3):
        model.fit(images(), np.ones((4, 1)), batch_size=4, epochs=1, verbose=0)
        seen.append(round(float(spy.kept), 4))
    assert (len(set(seen)) > 1) == (name in RANDOM)


@pytest.mark.parametrize("name", CASES)
def test_one_image_is_a_batch_of_one(name):
    x = images()[:1]
    single, batch = host(make(name)(x[0])), host(make(name)(x))
    np.testing.assert_allclose(single, batch[0], atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_bytes_are_what_floats_are(name):
    given = {"value_range": (0, 255)} if "value_range" in CASES[name][0] else {}
    x = np.round(images() * 255)
    floats, bytes_ = host(make(name, **given)(x)), host(make(name, **given)(x.astype(np.uint8)))
    tolerance = 0.51 if name == "Resizing" else 1e-3
    np.testing.assert_allclose(bytes_.astype(np.float32), floats, atol=tolerance)


@pytest.mark.parametrize("name", [name for name in CASES if name != "MaxNumBoundingBoxes"])
def test_bytes_become_what_a_model_was_told(name):
    inputs = cnnrs.Input(SHAPE[1:], dtype="uint8")
    model = cnnrs.Model(inputs, make(name)(inputs))
    x = (images() * 255).astype(np.uint8)
    want = "uint8" if name == "Resizing" else "float32"
    results = [model.outputs[0], model(x, training=True), model.predict(x, verbose=0)]
    assert [str(result.dtype) for result in results] == [want] * 3


@pytest.mark.parametrize("name", ["CenterCrop", "RandomCrop", "RandomFlip", "Resizing"])
def test_models_take_a_dict(name):
    data = {"images": images(), "segmentation_masks": np.ones((4, 9, 8, 1), np.uint8)}
    inputs = {key: cnnrs.Input(value.shape[1:], dtype=value.dtype.name) for key, value in data.items()}
    outputs = make(name)(inputs)
    for key, value in cnnrs.Model(inputs, outputs)(data).items():
        assert outputs[key].shape[1:] == value.shape[1:] and outputs[key].dtype == value.dtype


@pytest.mark.parametrize("name", [name for name in CASES if "value_range" in CASES[name][0]])
def test_the_order_of_a_value_range(name):
    expected, x = host(make(name)(images())), images()
    np.testing.assert_array_equal(host(make(name, value_range=(1, 0))(x)), expected)
    with pytest.raises(ValueError, match="value_range: expected a pair"):
        make(name, value_range=(1, 2, 3))


@pytest.mark.parametrize("name", CASES)
def test_channels_first(name):
    x = images()
    last = host(make(name)(x))
    if name == "RandomErasing":
        pytest.skip("its noise is drawn in the order of the axes")
    first = host(make(name, data_format="channels_first")(x.transpose(0, 3, 1, 2)))
    np.testing.assert_allclose(first.transpose(0, 2, 3, 1), last, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16"])
def test_16_bits(name, policy):
    layer = make(name, dtype=policy)
    y = layer(images())
    assert y.dtype == layer.compute_dtype
    np.testing.assert_allclose(host(y.astype("float32")), host(make(name)(images())), atol=0.02)


@pytest.mark.parametrize("name", CASES)
def test_empty_batches_and_gradients(name):
    layer = make(name)
    assert layer(images()[:0]).shape[0] == 0
    x = ops.convert_to_tensor(images())
    with cnnrs.GradientTape() as tape:
        tape.watch(x)
        loss = ops.sum(ops.square(layer(x)))
    gradient = tape.gradient(loss, x)
    assert gradient.shape == SHAPE and np.isfinite(host(gradient)).all()


@pytest.mark.parametrize("name", CASES)
def test_labels_and_masks_go_along(name):
    x = images()
    mixes = name in ("MixUp", "CutMix", "Mosaic")
    labels = np.eye(4) if mixes else np.arange(4)
    data = {"images": x, "labels": labels, "segmentation_masks": (x[..., :1] > 0.5).astype(np.uint8)}
    plain = host(make(name)(x))
    result = make(name)(data)
    assert set(data) == set(result) and data["images"] is x
    np.testing.assert_array_equal(host(result["images"]), plain)
    masks = host(result["segmentation_masks"])
    if mixes:
        labels = host(result["labels"])
        np.testing.assert_allclose(labels.sum(axis=1), 1.0, atol=1e-6)
        assert labels.min() >= 0 and masks.min() >= 0 and masks.max() <= 1
        return
    np.testing.assert_array_equal(host(result["labels"]), np.arange(4))
    assert masks.dtype == np.uint8 and masks.shape[:3] == plain.shape[:3]
    assert set(np.unique(masks)) <= {0, 1}


@pytest.mark.parametrize("name", ["MixUp", "CutMix", "Mosaic"])
@pytest.mark.parametrize("labels", [np.arange(4), np.arange(4, dtype=np.uint8)[:, None]])
def test_numbers_of_classes_are_not_mixed(name, labels):
    layer = make(name)
    with pytest.raises(
        ValueError, match=f"{layer.name}: labels: expected one-hot labels, or floats, received"
    ):
        layer({"images": images(), "labels": labels})
    assert (
        host(layer({"images": images(), "labels": labels}, training=False)["labels"]).tolist()
        == labels.tolist()
    )
    # Of two classes floats do.
    mixed = host(layer({"images": images(), "labels": np.array([0.0, 1, 1, 0])})["labels"])
    assert mixed.min() >= 0 and mixed.max() <= 1


@pytest.mark.parametrize("name", MOVING)
def test_boxes_move_as_pixels_do(name):
    x = np.zeros((3, 41, 37, 1), np.float32)
    x[:, 14:24, 12:22] = 1.0
    box = [[[12.0, 14.0, 22.0, 24.0]]] * 3
    options = {} if name == "RandomFlip" else {"interpolation": "nearest"}
    if name not in ("RandomFlip", "RandomPerspective"):
        options["fill_mode"] = "constant"
    layer = make(name, bounding_box_format="xyxy", **options)
    data = {"images": x, "bounding_boxes": {"boxes": np.array(box), "labels": np.ones((3, 1))}}
    result = layer(data)
    for moved, (left, top, right, bottom) in zip(
        host(result["images"]), host(result["bounding_boxes"]["boxes"])[:, 0], strict=True
    ):
        rows, columns = np.nonzero(moved[..., 0] > 0.5)
        seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        # A rounded pixel, half a pixel between corners and middles, and what a turn of it adds.
        np.testing.assert_allclose([left, top, right, bottom], seen, atol=2.0)


FORMATS = [
    "xyxy",
    "yxyx",
    "xywh",
    "center_xywh",
    "center_yxhw",
    "rel_xyxy",
    "rel_yxyx",
    "rel_xywh",
    "rel_center_xywh",
]


@pytest.mark.parametrize("source", FORMATS)
def test_formats_of_boxes_there_and_back(source):
    boxes = np.array([[[1.0, 2.0, 5.0, 9.0], [0.0, 1.0, 3.0, 2.0]]])
    for target in FORMATS:
        there = augmentation.boxes.convert_format(boxes, "xyxy", source, 20, 10)
        other = augmentation.boxes.convert_format(there, source, target, 20, 10)
        back = augmentation.boxes.convert_format(other, target, "xyxy", 20, 10)
        np.testing.assert_allclose(host(back), boxes, atol=1e-5)


@pytest.mark.parametrize("kind", ["RandomFlip", "CenterCrop", "RandomCrop", "Resizing"])
@pytest.mark.parametrize("form", ["xywh", "rel_xyxy"])
def test_boxes_keep_their_format(kind, form):
    boxes = augmentation.boxes.convert_format(np.array([[[2.0, 2.0, 5.0, 6.0]]] * 4), "xyxy", form, 9, 8)
    data = {"images": images(), "bounding_boxes": {"boxes": host(boxes), "labels": np.zeros((4, 1))}}
    results = []
    for given, source in ((form, data), ("xyxy", None)):
        layer = make(kind, bounding_box_format=given)
        source = source or {
            **data,
            "bounding_boxes": {**data["bounding_boxes"], "boxes": [[[2, 2, 5, 6]]] * 4},
        }
        if given == "xyxy":
            source["bounding_boxes"]["boxes"] = np.array(source["bounding_boxes"]["boxes"])
        out = layer(source)
        sides = out["images"].shape[1:3]
        results.append(
            host(augmentation.boxes.convert_format(out["bounding_boxes"]["boxes"], given, "xyxy", *sides))
        )
    np.testing.assert_allclose(results[0], results[1], atol=1e-4)


def test_lists_of_boxes_are_filled():
    boxes = {"boxes": [[[0, 0, 4, 4]], [[1, 1, 2, 2], [3, 3, 5, 5]]], "labels": [[7], [8, 9]]}
    layer = layers.MaxNumBoundingBoxes(3, bounding_box_format="xyxy")
    result = layer({"images": images()[:2], "bounding_boxes": boxes})["bounding_boxes"]
    assert result["boxes"].shape == (2, 3, 4)
    np.testing.assert_array_equal(host(result["labels"]), [[7, -1, -1], [8, 9, -1]])


def test_a_crop_in_prediction_has_the_shape_of_the_result():
    layer = layers.RandomCrop(4, 2)
    x = np.arange(64.0).reshape(1, 8, 8, 1)
    # The largest window of this shape in the middle, at half its size.
    expected = ops.image.resize(x[:, :, 2:6], (4, 2))
    np.testing.assert_allclose(host(layer(x, training=False)), host(expected))


BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "factor": (lambda: layers.RandomBrightness(1.5), ValueError, "factor: expected a number or a pair"),
    "range": (lambda: layers.RandomHue(0.1, value_range=3), ValueError, "value_range: expected a pair"),
    "fill mode": (lambda: layers.RandomZoom(0.1, fill_mode="no"), NotImplementedError, "fill_mode: expected"),
    "interpolation": (
        lambda: layers.RandomRotation(0.1, interpolation="no"),
        NotImplementedError,
        "interpolation: expected",
    ),
    "rank": (lambda: layers.RandomFlip()(np.zeros((3, 3))), ValueError, "expected 3 axes"),
    "boxes": (
        lambda: layers.RandomFlip()({"images": images(), "bounding_boxes": {"boxes": 0, "labels": 0}}),
        ValueError,
        "bounding_box_format: expected",
    ),
    "mode": (lambda: layers.RandomFlip("diagonal"), ValueError, "mode: expected one of"),
    "size": (lambda: layers.CenterCrop(0, 3), ValueError, "height: expected an integer"),
    "resizing": (lambda: layers.Resizing(3, 3, "cubic"), ValueError, "interpolation: expected"),
    "kernel": (lambda: layers.RandomGaussianBlur(kernel_size=4), ValueError, "kernel_size: expected an odd"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_refused_by_its_name(case):
    function, kind, message = BAD[case]
    with pytest.raises(kind, match=message):
        function()


def test_a_subclass_draws_and_transforms():
    class Shift(augmentation.BaseImagePreprocessingLayer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.generator = random.SeedGenerator(1)

        def get_random_transformation(self, data, training=True, seed=None):
            return random.uniform((1, 1, 1, 1), seed=self.generator) if training else None

        def transform_images(self, images, transformation, training=True):
            return images if transformation is None else images + transformation

    layer = Shift()
    first, second = host(layer(images())), host(layer(images()))
    assert 0 < (first - images()).mean() != (second - images()).mean()
    np.testing.assert_array_equal(host(layer(images(), training=False)), images())
    with pytest.raises(NotImplementedError, match="transform_labels"):
        layer({"images": images(), "labels": np.arange(4)})

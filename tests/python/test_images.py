"""Functions of images: what Keras makes of the same images, definitions in float64, and gradients."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnrs
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


def numeric_gradient(function: Any, x: np.ndarray, h: float = 1e-2) -> np.ndarray:
    """Central differences of a scalar function."""
    result = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[place] = h
        result[place] = (float(function(x + step)) - float(function(x - step))) / (2 * h)
    return result


# Smooth images, whose interpolation has no sharp kinks.
SMOOTH = np.sin(np.arange(7.0)[:, None, None] / 2 + np.arange(6.0)[:, None] / 3 + np.arange(2.0))[
    None
].astype("f")
CORNERS = np.float32([[0, 0], [5, 0], [0, 6], [5, 6]])
GRADIENTS: dict[str, tuple[Any, np.ndarray]] = {
    "affine_transform by the transform": (
        lambda t: ops.image.affine_transform(SMOOTH, t, fill_mode="nearest"),
        np.float32([[0.93, 0.11, 0.34, -0.13, 1.09, 0.23, 0.011, -0.013]]),
    ),
    "perspective_transform by the points": (
        lambda p: ops.image.perspective_transform(SMOOTH, CORNERS[None], p),
        np.float32([[[0.3, 0.2], [4.7, 0.4], [0.1, 5.6], [5.2, 6.3]]]),
    ),
    "map_coordinates by the coordinates": (
        lambda c: ops.image.map_coordinates(SMOOTH[0, :, :, 0], c, 1),
        np.float32([[0.3, 2.6, 4.4], [1.7, 0.4, 3.2]]),
    ),
    "scale_and_translate by the scale": (
        lambda s: ops.image.scale_and_translate(SMOOTH, (1, 9, 8, 2), s, [0.3, -0.2], (1, 2), "cubic"),
        np.float32([1.37, 1.61]),
    ),
    "scale_and_translate by the translation": (
        lambda t: ops.image.scale_and_translate(SMOOTH, (1, 5, 4, 2), [0.7, 0.6], t, (1, 2), "lanczos3"),
        np.float32([0.37, -0.21]),
    ),
    "gaussian_blur by sigma": (
        lambda s: ops.image.gaussian_blur(SMOOTH, (3, 5), s),
        np.float32([0.9, 1.3]),
    ),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_reach_what_says_how_images_change(name):
    function, x = GRADIENTS[name]
    target = np.cos(np.arange(np.prod(function(x).shape))).reshape(function(x).shape).astype("f")

    def loss(x: Any) -> Any:
        return ops.sum(function(x) * target)

    source = ops.convert_to_tensor(x)
    with cnnrs.GradientTape() as tape:
        tape.watch(source)
        value = loss(source)
    expected = numeric_gradient(loss, x, 5e-4)
    scale = max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(tape.gradient(value, source).numpy(), expected, atol=0.03 * scale)


# These give floats of integers.
MEASURES = {
    "difference_of_gaussians",
    "gabor",
    "laplacian",
    "laplacian_of_gaussian",
    "prewitt",
    "scharr",
    "sobel",
    "sobel_edges",
    "ssim",
}
NOT_OF_IMAGES = {"gabor_kernels", "map_coordinates", "reconstruct_patches"}


@pytest.mark.parametrize("name", sorted(set(ops.image.__all__) - NOT_OF_IMAGES))
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "uint8"])
def test_element_types_come_back(name, dtype):
    arguments: dict[str, tuple[Any, ...]] = {
        "affine_transform": ([1.0, 0.1, 0.0, 0.0, 0.9, 0.2, 0.0, 0.0],),
        "crop_images": (1, 1, 1, 1),
        "extract_patches": (2,),
        "extract_patches_3d": (2,),
        "gabor": (0.2,),
        "pad_images": (1, 1, 1, 1),
        "perspective_transform": (CORNERS, CORNERS),
        "resize": ((3, 5),),
        "scale_and_translate": ((2, 4, 4, 3), [0.7, 0.6], [0.0, 0.0], (1, 2), "linear"),
    }
    x = np.random.default_rng(2).random((2, 7, 6, 3)).astype("f")
    if name == "extract_patches_3d":
        x = x.reshape(1, 4, 7, 9, 1)
    given = (ops.cast(x * 255, dtype) if dtype == "uint8" else ops.cast(x, dtype),)
    if name == "ssim":
        given, arguments[name] = given * 2, (1.0, 3)
    if dtype == "uint8" and name in ("rgb_to_hsv", "hsv_to_rgb"):
        with pytest.raises(ValueError, match="expected floats"):
            getattr(ops.image, name)(*given)
        return
    more = {"seed": 3} if name == "elastic_transform" else {}
    result = getattr(ops.image, name)(*given, *arguments.get(name, ()), **more)
    assert result.dtype == ("float32" if dtype == "uint8" and name in MEASURES else dtype)
    exact = getattr(ops.image, name)(
        *(ops.cast(g, "float32") for g in given), *arguments.get(name, ()), **more
    )
    found, expected = ops.cast(result, "float32").numpy(), exact.numpy()
    if dtype == "uint8" and name == "unsharp_mask":
        expected = np.clip(expected, 0, 255)
    # uint8 is rounded, or cut off behind the point.
    np.testing.assert_allclose(found, expected, atol=1.01 if dtype == "uint8" else 0.02, rtol=0.02)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize(
    ("fill", "dtype", "want"),
    [(300, "uint8", 255), (-3, "uint8", 0), (0.7, "int32", 1), (0.1, "float64", 0.1)],
)
def test_what_fills_images(interpolation, fill, dtype, want):
    away, x = [1.0, 0, 99, 0, 1, 0, 0, 0], np.zeros((2, 2, 1), dtype)

    def moved(x):
        return ops.image.affine_transform(x, away, interpolation, fill_value=fill)

    def padded(x):
        return ops.image.resize(x, (1, 9), "nearest", pad_to_aspect_ratio=True, fill_value=fill)[:, :1]

    def read(x):
        places, order = np.full((2, 1), 9.0), int(interpolation == "bilinear")
        return ops.image.map_coordinates(x[..., 0], places, order, fill_value=fill)

    for function in (moved, padded, read):
        for run in (function, cnnrs.function(function)):
            assert set(run(ops.convert_to_tensor(x)).numpy().ravel().tolist()) == {want}


def test_image_ops_in_a_model_come_back_from_its_config():
    inputs = cnnrs.Input((None, None, 3))
    x = ops.image.resize(inputs, (6, 6), "bicubic", antialias=True)
    x = ops.image.pad_images(x, 1, 1, target_height=8, target_width=9)
    outputs = ops.image.crop_images(ops.image.rgb_to_grayscale(x), 0, 0, target_height=4, target_width=5)
    model = cnnrs.Model(inputs, outputs)
    again = cnnrs.Model.from_config(model.get_config())
    image = np.random.default_rng(1).random((2, 11, 5, 3)).astype("f")
    assert model.output_shape == (None, 4, 5, 1)
    np.testing.assert_array_equal(again(image).numpy(), model(image).numpy())


def test_shapes_of_images_of_unknown_size():
    x = cnnrs.KerasTensor((None, None, None, 3))
    assert ops.image.pad_images(x, 2, 3, target_height=20, target_width=30).shape == (None, 20, 30, 3)
    assert ops.image.crop_images(x, 2, 3, target_height=20, target_width=30).shape == (None, 20, 30, 3)
    assert ops.image.pad_images(x, 2, 3, 1, 1).shape == (None, None, None, 3)
    with pytest.raises(ValueError, match="target_height: expected an integer"):
        ops.image.crop_images(x, 2, 3, 4, 5)
    for wrong in ({"top_padding": -1, "left_padding": 0}, {"top_padding": 1, "left_padding": None}):
        with pytest.raises(ValueError, match="pad_images"):
            ops.image.pad_images(x, target_height=5, target_width=5, **wrong)


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_patches_there_and_back(axes, padding, data_format):
    size = (2, 3, 2)[:axes]
    extents = [4 * k - (padding == "same") for k in size]
    shape = (2, *extents, 3) if data_format == "channels_last" else (2, 3, *extents)
    x = np.random.default_rng(5).integers(0, 99, shape).astype(np.int32)
    extract = ops.image.extract_patches if axes == 2 else ops.image.extract_patches_3d
    patches = extract(x, size, padding=padding, data_format=data_format)
    back = ops.image.reconstruct_patches(patches, size, extents, padding=padding, data_format=data_format)
    np.testing.assert_array_equal(back.numpy(), x)
    single = extract(x[0], size, padding=padding, data_format=data_format)
    np.testing.assert_array_equal(single.numpy(), patches[0].numpy())


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest", "bicubic", "lanczos3", "area"])
def test_arrays_are_resized_as_tensors_are(interpolation, dtype):
    rng = np.random.default_rng(0)
    for shape, axis in (((9, 7, 3), 0), ((2, 8, 9, 1), 1), ((2, 3, 8, 9), 2)):
        x = (rng.random(shape) * 255).astype(dtype)
        for size in ((4, 5), (12, 20), (8, 9)):
            for more in (
                {},
                {"antialias": True},
                {"crop_to_aspect_ratio": True},
                {"pad_to_aspect_ratio": True},
            ):
                options = {"interpolation": interpolation, "fill_value": 300.7, **more}
                if axis == 2:
                    options["data_format"] = "channels_first"
                before = x.copy()
                found = ops.image.resize(x, size, **options)
                expected = ops.image.resize(ops.convert_to_tensor(x), size, **options)
                assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
                # A half may be rounded up or down.
                atol = 1 if dtype == "uint8" else 2e-4
                np.testing.assert_allclose(
                    found.numpy().astype("f4"), expected.numpy().astype("f4"), atol=atol
                )
                off = (found.numpy().astype("f4") != expected.numpy().astype("f4")).mean()
                assert dtype != "uint8" or off < 0.02
                np.testing.assert_array_equal(x, before)


def test_a_nan_in_an_array_reaches_the_pixels_that_read_it():
    x = np.zeros((8, 8, 1), "float32")
    x[4, 4] = np.nan
    y = np.isnan(ops.image.resize(x, (4, 4)).numpy())
    assert y.sum() == 1 and y[2, 2]


@pytest.mark.parametrize("size", [10**9, (4, 10**15)])
def test_a_size_beyond_memory_is_an_error(size):
    with pytest.raises(MemoryError, match="^resize: size: no memory for images of .* pixels, which take "):
        ops.image.resize(np.zeros((4, 5, 3), "float32"), size)


@pytest.mark.parametrize("size", [(20, 23), (27, 30), (64, 61), (224, 224), (300, 299)])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_white_stays_white_between_two_pixels(size, dtype):
    """`image / 255` of it is not above 1, of which drawing would warn."""
    white = np.full((31, 17, 3), 255, dtype)
    for image in (white.astype(np.float32), cnnrs.ops.convert_to_tensor(white)):
        assert np.asarray(cnnrs.ops.image.resize(image, size)).max() == 255
        assert np.asarray(layers.Resizing(*size)(image)).min() == 255


def test_white_photos_of_a_directory_stay_white(tmp_path):
    image = pytest.importorskip("PIL.Image")
    for number, (height, width) in enumerate([(31, 17), (48, 64), (201, 301)]):
        image.fromarray(np.full((height, width, 3), 255, np.uint8)).save(tmp_path / f"{number}.png")
    for size in [(20, 23), (64, 61), (224, 224)]:
        data = cnnrs.utils.image_dataset_from_directory(
            tmp_path, labels=None, image_size=size, verbose=False, shuffle=False
        )
        for batch in data:
            assert np.asarray(batch).max() == 255

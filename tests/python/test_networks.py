"""Keras's networks: what they are made of, for each option, is what Keras makes them of.

`tests/fixtures/keras_networks.json.xz` has Keras's models; `make fixtures` writes it.
"""

from __future__ import annotations

import inspect
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnrs
from cnnrs import applications, initializers, layers
from cnnrs.applications.networks import NETWORKS as TABLE

sys.path.insert(0, str(Path(__file__).parents[1] / "fixtures"))

from network_cases import NETWORKS, Case, cases, describe, read

KERAS = read()

# Entries of configs that Keras has and cnnrs writes only where they say something.
IF_GIVEN = {("InputLayer", "optional")}


@pytest.fixture
def no_draws(monkeypatch):
    """Weights are zeros: what is compared has no values, and the largest network has 350 million of them."""

    def zeros(self: Any, shape: Any, dtype: Any = None) -> np.ndarray:
        return np.zeros(shape, dtype or "float32")

    for kind in (initializers.VarianceScaling, initializers.TruncatedNormal, initializers.RandomNormal):
        monkeypatch.setattr(kind, "__call__", zeros)


def build(case: Case) -> cnnrs.Model:
    with warnings.catch_warnings():
        # Of numbers of channels, which Keras warns of, too.
        warnings.filterwarnings("ignore", message=".*input_shape has .* channels")
        return case.build(cnnrs)


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[Any]:
    """What differs between the descriptions of two models, as pairs."""
    found = [(ours[part], theirs[part]) for part in ("name", "count", "input", "output")]
    found += zip([*ours["weights"], None], [*theirs["weights"], None], strict=False)
    found.append((len(ours["weights"]), len(theirs["weights"])))
    found.append((len(ours["layers"]), len(theirs["layers"])))
    for layer, other in zip(ours["layers"], theirs["layers"], strict=False):
        found.append((layer[:3], other[:3]))
        kind, name, _, config = layer
        keys = {key for key in other[3] if (kind, key) not in IF_GIVEN or key in config}
        found.append(((name, set(config)), (name, keys)))
        found += [((name, key, config.get(key)), (name, key, other[3][key])) for key in keys]
    return [(one, other) for one, other in found if one != other]


def test_the_table_has_the_networks_of_keras():
    assert set(TABLE) == set(NETWORKS)
    assert set(NETWORKS) <= set(applications.__all__)
    for name, row in TABLE.items():
        for file in row.weights or ():
            assert file.address.startswith("https://storage.googleapis.com/"), name
            assert len(file.checksum) in (32, 64)


@pytest.mark.parametrize("network", NETWORKS)
def test_networks_are_made_of_what_keras_makes_them_of(network, no_draws):
    for case in cases(network):
        assert differences(describe(build(case)), KERAS[case.key]) == [], case.key


def test_differences_are_found(no_draws):
    model = build(Case("MobileNet", {"include_top": False}))
    theirs = KERAS[Case("MobileNet", {"include_top": False}).key]
    assert differences(describe(model), theirs) == []
    ours = describe(model)
    ours["layers"][1][3]["strides"] = [1, 1]
    ours["weights"].pop()
    assert len(differences(ours, theirs)) == 3


@pytest.mark.parametrize("network", NETWORKS)
def test_modules_have_a_network_and_what_prepares_its_images(network):
    function = getattr(applications, network)
    module = sys.modules[f"cnnrs.applications.{TABLE[network].module}"]
    assert getattr(module, network) is function
    assert function.__module__ == module.__name__ and function.__name__ == network
    text = inspect.getdoc(function)
    for argument in inspect.signature(function).parameters:
        assert f"    {argument}: " in text
    assert list(inspect.signature(module.preprocess_input).parameters) == ["x", "data_format"]
    assert list(inspect.signature(module.decode_predictions).parameters) == ["preds", "top"]
    with pytest.raises(TypeError, match=f"{network}: .*'clases'; did you mean 'classes'"):
        function(clases=3)


@pytest.mark.parametrize(
    "network", ["ResNet50", "MobileNetV2", "MobileNetV3Small", "Xception", "InceptionV3"]
)
def test_channels_may_stand_first(network):
    options = {"include_top": False, "pooling": "avg"}
    last = Case(network, {**options, "input_shape": (80, 96, 3)}).build(cnnrs)
    first = Case(network, {**options, "input_shape": (3, 80, 96)}, "channels_first").build(cnnrs)
    first.set_weights(last.get_weights())
    images = np.random.default_rng(0).random((2, 80, 96, 3), np.float32)
    expected = last.predict(images, verbose=0)
    found = first.predict(images.transpose(0, 3, 1, 2), verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_networks_are_built_on_what_comes_before_them():
    inputs = layers.Input((140, 120, 4), name="pixels")
    x = layers.Conv2D(3, 2, strides=2, name="squeeze")(inputs)
    model = applications.MobileNet(weights=None, include_top=False, input_tensor=x, pooling="max")
    assert [layer.name for layer in model.layers[:2]] == ["pixels", "squeeze"]
    assert model.input_shape == (None, 140, 120, 4) and model.output_shape == (None, 1024)
    twice = layers.concatenate([inputs, layers.Input((140, 120, 2), name="more")])
    model = applications.VGG16(weights=None, include_top=False, input_tensor=twice)
    assert [source.name for source in model.inputs] == ["pixels", "more"]


@pytest.mark.parametrize("network", ["MobileNetV3Small", "InceptionResNetV2", "Xception"])
def test_configs_make_the_same_network_again(network):
    options = {"include_top": False, "pooling": "avg", "input_shape": (80, 80, 3)}
    model = Case(network, options).build(cnnrs)
    again = cnnrs.Model.from_config(model.get_config())
    again.set_weights(model.get_weights())
    images = np.random.default_rng(0).random((1, 80, 80, 3), np.float32)
    np.testing.assert_array_equal(again.predict(images, verbose=0), model.predict(images, verbose=0))


def scaled(mode: str, images: np.ndarray) -> np.ndarray:
    """Images from 0 to 255, scaled in double precision."""
    if mode == "tf":
        return images / 127.5 - 1
    if mode == "torch":
        return (images / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    return images[..., ::-1] - [103.939, 116.779, 123.68]


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("rank", [3, 4])
@pytest.mark.parametrize("mode", ["caffe", "tf", "torch"])
def test_images_are_scaled_alike_in_every_form(mode, rank, first):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3)[4 - rank :])
    expected = scaled(mode, pixels)
    data_format = "channels_last"
    if first:
        pixels, expected = np.moveaxis(pixels, -1, -3), np.moveaxis(expected, -1, -3)
        data_format = "channels_first"
    prepare = applications.imagenet_utils.preprocess_input
    for dtype in ("uint8", "int64", "float32", "float64"):
        found = prepare(pixels.astype(dtype), data_format, mode=mode)
        assert isinstance(found, np.ndarray)
        assert found.dtype == (dtype if dtype.startswith("float") else "float32")
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
        tensor = prepare(cnnrs.ops.convert_to_tensor(pixels.astype(dtype)), data_format, mode)
        assert str(tensor.dtype) == found.dtype
        np.testing.assert_allclose(tensor.numpy(), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(prepare(pixels.tolist(), data_format, mode), expected, rtol=1e-5, atol=1e-5)
    if rank == 4:
        inputs = layers.Input(pixels.shape[1:])
        model = cnnrs.Model(inputs, prepare(inputs, data_format, mode))
        np.testing.assert_allclose(
            model.predict(pixels.astype("float32"), verbose=0), expected, rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("mode", ["caffe", "tf", "torch"])
def test_floats_are_overwritten_and_others_are_kept(mode):
    prepare = applications.imagenet_utils.preprocess_input
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3)).astype("float32")
    before = pixels.copy()
    found = prepare(pixels, mode=mode)
    np.testing.assert_array_equal(found, pixels[..., ::-1] if mode == "caffe" else pixels)
    assert np.shares_memory(found, pixels)
    whole = before.astype("uint8")
    prepare(whole, mode=mode)
    np.testing.assert_array_equal(whole, before)
    before.flags.writeable = False
    np.testing.assert_array_equal(prepare(before, mode=mode), found)


def test_the_default_order_of_axes_is_the_configured_one():
    pixels = np.zeros((3, 6, 5))
    cnnrs.config.set_image_data_format("channels_first")
    try:
        found = applications.vgg16.preprocess_input(pixels)
    finally:
        cnnrs.config.set_image_data_format("channels_last")
    np.testing.assert_allclose(found[:, 0, 0], [-103.939, -116.779, -123.68])
    for module, name in (("mobilenet_v3", "channels"), ("vgg16", "last")):
        with pytest.raises(ValueError, match=f"data_format: expected 'channels_first'.*'{name}'"):
            getattr(applications, module).preprocess_input(pixels, name)
    with pytest.raises(ValueError, match=r"expected an image.*\(3, 6, 5\)"):
        applications.vgg16.preprocess_input(pixels)
    with pytest.raises(ValueError, match="mode: expected 'caffe', 'tf' or 'torch', received 'none'"):
        applications.imagenet_utils.preprocess_input(pixels, mode="none")
    assert applications.mobilenet_v3.preprocess_input(pixels) is pixels

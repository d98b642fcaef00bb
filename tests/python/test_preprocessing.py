"""Layers of preparation: measured statistics, categories, layers one after another, scales in configs."""

from __future__ import annotations

import json

import numpy as np
import pytest

import cnnrs
from cnnrs import layers

RNG = np.random.default_rng(4)
DATA = RNG.normal(3.0, 2.0, (40, 5, 3)).astype(np.float32)


class Batches(cnnrs.utils.PyDataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return DATA[index * 10 : index * 10 + 10], np.zeros(10)


FORMS = {
    "array": lambda: DATA,
    "tensor": lambda: cnnrs.ops.convert_to_tensor(DATA),
    "list": lambda: [DATA[:7], DATA[7:]],
    "generator": lambda: (DATA[i : i + 13] for i in range(0, 40, 13)),
    "PyDataset": lambda: Batches(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("axis", [-1, None, 1, (1, 2)])
def test_normalization_measures_what_numpy_does(form, axis):
    layer = layers.Normalization(axis=axis)
    layer.adapt(FORMS[form]())
    kept = () if axis is None else np.atleast_1d(axis) % 3
    reduced = tuple(a for a in range(3) if a not in kept)
    mean, deviation = DATA.mean(reduced, keepdims=True), DATA.std(reduced, keepdims=True)
    np.testing.assert_allclose(layer(DATA).numpy(), (DATA - mean) / deviation, atol=2e-5)
    np.testing.assert_allclose(layer.mean.numpy(), mean, rtol=1e-5)
    # Its weights and config make it again; the inverse gives the data back.
    again = layers.Normalization.from_config(layer.get_config())
    again.build_from_config(layer.get_build_config())
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(DATA).numpy(), layer(DATA).numpy())
    inverse = layers.Normalization(axis=axis, invert=True)
    inverse.adapt(DATA)
    np.testing.assert_allclose(inverse(layer(DATA)).numpy(), DATA, atol=1e-5)


def test_normalization_that_is_given_its_statistics():
    layer = layers.Normalization(mean=[1.0, 2.0, 3.0], variance=np.array([4.0, 1.0, 0.25]))
    json.dumps(layer.get_config())
    x = np.ones((2, 3), np.float32)
    np.testing.assert_allclose(layer(x).numpy(), [[0.0, -1.0, -4.0]] * 2, atol=1e-6)
    model = cnnrs.Sequential([cnnrs.Input((3,)), layer, layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(x, np.ones((2, 1)), verbose=0)
    with pytest.raises(ValueError, match="expected both or none"):
        layers.Normalization(mean=1.0)
    with pytest.raises(ValueError, match="expected at least one batch"):
        layers.Normalization().adapt([])
    with pytest.raises(TypeError, match="expected an array or batches"):
        layers.Normalization().adapt(3)
    with pytest.raises(ValueError, match="expected 3 axes with extents"):
        layers.Normalization().adapt([DATA, DATA[..., :2]])
    with pytest.raises(ValueError, match="axis 1 of shape"):
        layers.Normalization(axis=1)(cnnrs.Input((None, 3)))


ENCODED = {
    "one_hot": ([[2], [0]], [[0, 0, 1, 0], [1, 0, 0, 0]]),
    "multi_hot": ([[2, 0, 2], [3, 3, 3]], [[1, 0, 1, 0], [0, 0, 0, 1]]),
    "count": ([[2, 0, 2], [3, 3, 3]], [[1, 0, 2, 0], [0, 0, 0, 3]]),
}


@pytest.mark.parametrize("mode", ENCODED)
def test_category_encoding(mode):
    given, expected = ENCODED[mode]
    layer = layers.CategoryEncoding(4, mode)
    np.testing.assert_array_equal(layer(np.array(given)).numpy(), expected)
    symbol = layer(cnnrs.Input((len(given[0]),), dtype="int32"))
    assert symbol.shape == (None, 4)
    again = layers.CategoryEncoding.from_config(layer.get_config())
    np.testing.assert_array_equal(again(np.array(given)).numpy(), expected)


def test_category_encoding_of_weights_and_of_single_values():
    layer = layers.CategoryEncoding(3, "count")
    weighted = layer(np.array([[0, 2, 2]]), count_weights=np.array([[0.5, 1.0, 0.25]]))
    np.testing.assert_array_equal(weighted.numpy(), [[0.5, 0.0, 1.25]])
    # As Keras: a number alone is a sample, and of more axes the first after the batch is reduced.
    assert layers.CategoryEncoding(3, "one_hot")(np.array(1)).tolist() == [[0, 1, 0]]
    cube = np.array([[[0, 2], [1, 1]]])
    assert layer(cube).tolist() == [[[1, 1, 0], [0, 1, 1]]]
    weighted = layer(cube, count_weights=np.array([[[0.5, 2.0], [3.0, 4.0]]]))
    assert weighted.tolist() == [[[0.5, 3, 0], [0, 4, 2]]]
    with pytest.raises(ValueError, match="count_weights: expected None"):
        layers.CategoryEncoding(3)(np.array([[1]]), count_weights=np.ones((1, 1)))
    with pytest.raises(ValueError, match="num_tokens: expected"):
        layers.CategoryEncoding()


def test_pipeline_of_structures():
    pipeline = layers.Pipeline([layers.RandomFlip(seed=1), layers.CenterCrop(2, 2)])
    again = layers.Pipeline.from_config(pipeline.get_config())
    data = {"images": RNG.random((3, 4, 4, 1)), "labels": np.arange(3)}
    first, second = pipeline(data), again(data)
    assert first["images"].shape == (3, 2, 2, 1)
    np.testing.assert_array_equal(first["images"].numpy(), second["images"].numpy())
    still = pipeline(data["images"], training=False)
    np.testing.assert_allclose(still.numpy(), data["images"][:, 1:3, 1:3], atol=1e-6)
    assert [type(layer).__name__ for layer in pipeline.layers] == ["RandomFlip", "CenterCrop"]


def test_scales_per_channel_go_into_a_config():
    layer = layers.Rescaling(np.array([0.5, 2.0]), np.float32(1.0))
    config = json.loads(json.dumps(layer.get_config()))
    x = np.ones((1, 3, 3, 2))
    np.testing.assert_array_equal(layers.Rescaling.from_config(config)(x).numpy(), layer(x).numpy())
    assert layer(x).numpy()[0, 0, 0].tolist() == [1.5, 3.0]


@pytest.mark.parametrize(
    "layer",
    [
        layers.CenterCrop(2, 2),
        layers.Resizing(2, 3),
        layers.Rescaling(1 / 255),
        layers.Normalization(mean=1.0, variance=4.0, axis=None),
        layers.RandomFlip(seed=0),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_list_of_images_is_a_batch(layer):
    images = list(np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), dtype=np.uint8))
    expected = layer(np.stack(images), **({"training": False} if "Random" in type(layer).__name__ else {}))
    for given in (images, [cnnrs.ops.convert_to_tensor(image) for image in images]):
        made = layer(given, **({"training": False} if "Random" in type(layer).__name__ else {}))
        assert made.dtype == expected.dtype
        np.testing.assert_array_equal(made, expected)
    with pytest.raises(ValueError, match=r"one shape.*received \(4, 4, 3\) and \(5, 4, 3\)"):
        layer([images[0], np.zeros((5, 4, 3), np.uint8)])


def test_arrays_in_a_list_are_several_inputs_of_other_layers():
    with pytest.raises(ValueError, match="expected 1 inputs, received 2"):
        layers.Dense(2)([np.ones((3, 4)), np.ones((3, 4))])

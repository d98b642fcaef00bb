"""Lookups and bins; the numbers are those of Keras 3.15 on TensorFlow."""

from __future__ import annotations

import json

import numpy as np
import pytest

import cnnrs
from cnnrs import layers

TEXTS = np.array([["a", "c", "d", "d"], ["d", "z", "b", "z"]])
NUMBERS = np.array([[12, 1138, 42, 42], [42, 7, 36, 7]])
LETTERS = ["a", "b", "c", "d"]
KNOWN = [12, 36, 1138, 42]
IDF = [0.25, 0.75, 0.6, 0.4]
FARM_HASHED = [263, 137, 880, 79, 583, 246, 893, 472]
SALTED = [164, 568, 283, 587, 560, 651, 80, 810]

ENCODED = {
    "int": [[1, 3, 4, 4], [4, 0, 2, 0]],
    "one_hot": np.eye(5)[[[1, 3, 4, 4], [4, 0, 2, 0]]].tolist(),
    "multi_hot": [[0, 1, 0, 1, 1], [1, 0, 1, 0, 1]],
    "count": [[0, 1, 0, 1, 2], [2, 0, 1, 0, 1]],
    "tf_idf": [[0, 0.25, 0, 0.6, 0.8], [1, 0, 0.75, 0, 0.4]],
}


def again(layer):
    """The layer of a layer's config, as JSON keeps it."""
    return type(layer).from_config(json.loads(json.dumps(layer.get_config())))


@pytest.mark.parametrize("mode", ENCODED)
def test_output_modes(mode):
    weights = {"idf_weights": IDF} if mode == "tf_idf" else {}
    strings = layers.StringLookup(vocabulary=LETTERS, output_mode=mode, **weights)
    integers = layers.IntegerLookup(vocabulary=KNOWN, output_mode=mode, **weights)
    for layer, x in (
        (strings, TEXTS),
        (integers, NUMBERS),
        (again(strings), TEXTS),
        (again(integers), NUMBERS),
    ):
        got = layer(x)
        assert str(got.dtype) == ("float32" if mode == "tf_idf" else "int64")
        np.testing.assert_allclose(got.numpy(), ENCODED[mode], rtol=1e-6)
    model = cnnrs.Model(inputs := cnnrs.Input((4,), dtype="int64"), integers(inputs))
    np.testing.assert_allclose(model(NUMBERS).numpy(), ENCODED[mode], rtol=1e-6)
    traced = cnnrs.function(lambda x: integers(x))
    np.testing.assert_allclose(traced(cnnrs.ops.convert_to_tensor(NUMBERS)).numpy(), ENCODED[mode], rtol=1e-6)


@pytest.mark.parametrize("mode", ["one_hot", "multi_hot", "count"])
def test_vectors_of_other_ranks(mode):
    layer = layers.StringLookup(vocabulary=LETTERS, output_mode=mode)
    one = [0, 1, 0, 0, 0]
    assert layer("a").tolist() == ([one] if mode == "one_hot" else one)
    assert layer(TEXTS[:, :1]).tolist() == [one, [0, 0, 0, 0, 1]]
    cube = layer(TEXTS[None]).tolist()
    if mode != "one_hot":
        assert cube == [[[0, 1, 0, 0, 1], [1, 0, 0, 1, 0], [0, 0, 1, 0, 1], [1, 0, 0, 0, 1]]]
    padded = layers.StringLookup(8, vocabulary=LETTERS, output_mode=mode, pad_to_max_tokens=True)
    np.testing.assert_array_equal(padded(TEXTS).numpy()[..., :5], layer(TEXTS).numpy())
    assert padded(TEXTS).shape[-1] == 8
    for x in (TEXTS, TEXTS[0], TEXTS[:, :1], TEXTS[None]):
        assert layer.compute_output_shape(x.shape) == layer(x).shape


def test_masks_and_unknown_values():
    assert layers.StringLookup(vocabulary=LETTERS, mask_token="")(["", "a", "z"]).tolist() == [0, 2, 1]
    layer = layers.IntegerLookup(vocabulary=KNOWN, num_oov_indices=3, mask_token=0)
    x = np.array([12, 37, 1000, -3, 0])
    assert layer(x).tolist() == [4, 2, 2, 1, 0]
    assert cnnrs.function(lambda v: layer(v))(cnnrs.ops.convert_to_tensor(x)).tolist() == [4, 2, 2, 1, 0]
    counts = layers.IntegerLookup(vocabulary=KNOWN, output_mode="count", mask_token=7)
    assert counts(NUMBERS).tolist() == [[0, 1, 0, 1, 2], [0, 0, 1, 0, 1]]
    none = layers.StringLookup(vocabulary=LETTERS, num_oov_indices=0)
    assert none(TEXTS[0]).tolist() == [0, 2, 3, 3]
    with pytest.raises(ValueError, match=r"num_oov_indices=0, received \['z'\]"):
        none(TEXTS)
    large = layers.IntegerLookup(vocabulary=[2**40])
    assert large([2**40, 2**40 + 1]).tolist() == large(np.array([2**40, 2**40 + 1])).tolist() == [1, 0]
    x = cnnrs.ops.convert_to_tensor(np.array([2**40, 2**40 + 1]))
    assert cnnrs.function(lambda v: large(v))(x).tolist() == [1, 0]


def test_several_unknown_strings_are_spread_by_a_fixed_hash():
    words = [f"word {i}" for i in range(400)]
    layer = layers.StringLookup(vocabulary=["a"], num_oov_indices=4)
    buckets = layer(words).numpy()
    assert np.bincount(buckets, minlength=5)[:4].min() > 60 and buckets.max() == 3
    np.testing.assert_array_equal(again(layer)(np.array(words, object)).numpy(), buckets)
    salted = layers.StringLookup(vocabulary=["a"], num_oov_indices=4, salt=7)
    assert (salted(words).numpy() != buckets).any()
    hashed = layers.IntegerLookup(vocabulary=[1], num_oov_indices=4, oov_method="farmhash")
    assert len(set(hashed(np.arange(2, 200, 4)).tolist())) == 4


def test_unknown_values_are_hashed_as_keras_does():
    words = ["", "z", "word", "a longer word", "two words and seventeen", "ö", "x" * 50, "word " * 30]
    layer = layers.StringLookup(vocabulary=["a"], num_oov_indices=1000)
    assert layer(words).tolist() == FARM_HASHED
    assert layers.StringLookup(vocabulary=["a"], num_oov_indices=1000, salt=[7, 9])(words).tolist() == SALTED
    layer = layers.IntegerLookup(vocabulary=[12], num_oov_indices=4, oov_method="farmhash")
    assert layer(np.arange(-3, 12)).tolist() == [3, 1, 2, 3, 1, 3, 1, 3, 3, 3, 0, 3, 1, 2, 3]
    assert again(layer)(np.arange(-3, 12)).tolist() == layer(np.arange(-3, 12)).tolist()
    layer = layers.IntegerLookup(vocabulary=[12], num_oov_indices=4, oov_method="farmhash", salt=7)
    assert again(layer)(np.arange(-3, 12)).tolist() == [1, 1, 1, 0, 3, 1, 1, 1, 1, 3, 0, 2, 2, 2, 3]


def test_a_config_keeps_what_has_no_token_of_unknown_values():
    for cls, known in ((layers.StringLookup, LETTERS), (layers.IntegerLookup, KNOWN)):
        layer = cls(vocabulary=known, output_mode="tf_idf", idf_weights=IDF, oov_token=None)
        np.testing.assert_array_equal(again(layer)(known).numpy(), layer(known).numpy())
    layer = layers.IntegerLookup(mask_token=0)
    layer.adapt([0, 0])
    traced = cnnrs.function(lambda x: again(layer)(x))
    assert traced(cnnrs.ops.convert_to_tensor([3, 0])).tolist() == layer([3, 0]).tolist() == [1, 0]


def test_samples_and_data_without_values():
    layer = layers.StringLookup()
    layer.adapt([])
    assert layer.get_vocabulary() == ["[UNK]"]
    for mode in ("multi_hot", "count"):
        layer = layers.StringLookup(vocabulary=LETTERS, output_mode=mode)
        assert layer(np.zeros((2, 0), str)).tolist() == [[0] * 5] * 2
        assert layers.CategoryEncoding(3, mode)(np.zeros((2, 0), "int32")).tolist() == [[0.0] * 3] * 2


def test_what_is_no_list_of_tokens_is_named():
    for cls, wrong, received in (
        (layers.StringLookup, {"a"}, "{'a'}"),
        (layers.StringLookup, np.array([["a", "b"]]), "a"),
        (layers.StringLookup, [["a", "b"]], "a"),
        (layers.StringLookup, [1, 2], "1"),
        (layers.IntegerLookup, [1.5], "1.5"),
        (layers.IntegerLookup, np.array([1.5]), "1.5"),
        (layers.IntegerLookup, [None, 1], "None"),
    ):
        with pytest.raises((TypeError, ValueError), match=f"expected.*received.*{received}"):
            cls(vocabulary=wrong)
    with pytest.raises(TypeError, match="expected strings, received 5"):
        layers.StringLookup(vocabulary=LETTERS)(np.array(["a", 5], object))
    for wrong in ([3.0, 1.0], [float("nan"), 1.0]):
        with pytest.raises(ValueError, match="rising order"):
            layers.Discretization(wrong)


def test_adapt():
    layer = layers.StringLookup(output_mode="tf_idf")
    layer.adapt(TEXTS)
    assert layer.get_vocabulary() == ["[UNK]", "d", "z", "c", "b", "a"]
    want = [[0, 1.0216513, 0, 0.6931472, 0, 0.6931472], [0, 0.5108256, 1.3862944, 0, 0.6931472, 0]]
    np.testing.assert_allclose(layer(TEXTS).numpy(), want, rtol=1e-6)
    np.testing.assert_allclose(again(layer)(TEXTS).numpy(), want, rtol=1e-6)
    layer = layers.StringLookup(mask_token="", num_oov_indices=2, max_tokens=5)
    layer.adapt(["", "q", "q", "r", "s", "s", "s"])
    assert layer.get_vocabulary() == ["", "[UNK]", "[UNK]", "s", "q"] and layer.vocabulary_size() == 5
    assert layer.get_vocabulary(include_special_tokens=False) == ["s", "q"]
    layer = layers.IntegerLookup(max_tokens=3)
    layer.adapt(iter([NUMBERS[:1], NUMBERS[1:], np.full((9, 9), 5)]), steps=2)
    assert layer.get_vocabulary() == [-1, 42, 7]
    copy = again(layer)
    copy.adapt([3, 3, 4])
    assert copy.get_vocabulary() == [-1, 3, 4]
    with pytest.raises(ValueError, match="without a vocabulary"):
        layers.IntegerLookup(vocabulary=KNOWN).adapt(NUMBERS)


def test_invert():
    indices = np.array([[1, 3, 4], [4, 0, 9]])
    layer = layers.StringLookup(vocabulary=LETTERS, invert=True)
    assert again(layer)(indices).tolist() == [["a", "c", "d"], ["d", "[UNK]", "[UNK]"]]
    layer = layers.StringLookup(vocabulary=LETTERS, invert=True, mask_token="")
    assert layer(indices).tolist() == [["[UNK]", "b", "c"], ["c", "", "[UNK]"]]
    integers = layers.IntegerLookup(vocabulary=KNOWN, invert=True)
    assert integers(indices).tolist() == [[12, 1138, 42], [42, -1, -1]]


def test_set_vocabulary(tmp_path):
    (tmp_path / "words.txt").write_text("a\nb\n")
    layer = layers.StringLookup(vocabulary=str(tmp_path / "words.txt"))
    assert layer.get_vocabulary() == ["[UNK]", "a", "b"]
    with pytest.raises(ValueError, match="list of tokens, received the path"):
        layers.StringLookup.from_config({"vocabulary": str(tmp_path / "words.txt")})
    assert layers.IntegerLookup(vocabulary=[0, -1, 5, 6], mask_token=0).get_vocabulary() == [0, -1, 5, 6]
    weighted = layers.StringLookup(output_mode="tf_idf")
    weighted.set_vocabulary(["[UNK]", *LETTERS], [0.9, *IDF])
    want = [[0, 0.25, 0, 0.6, 0.8], [1.8, 0, 0.75, 0, 0.4]]
    np.testing.assert_allclose(again(weighted)(TEXTS).numpy(), want, rtol=1e-6)
    for wrong, message in (
        ({"vocabulary": [5, 5]}, r"received \[5\] again"),
        ({"vocabulary": []}, "received none"),
        ({"vocabulary": [1, 2, 3], "max_tokens": 2}, "max_tokens=2"),
        ({"vocabulary": [1, 0], "mask_token": 0}, "mask_token 0"),
        ({"vocabulary": [1], "idf_weights": [1.0]}, "idf_weights: expected None"),
        ({"vocabulary": [1], "output_mode": "tf_idf"}, "idf_weights: expected weights"),
        ({"output_mode": "count", "invert": True}, "output_mode: expected 'int'"),
        ({"sparse": True}, "sparse: expected False"),
    ):
        with pytest.raises(ValueError, match=message):
            layers.IntegerLookup(**wrong)
    with pytest.raises(RuntimeError, match="expected a vocabulary"):
        layers.IntegerLookup()(NUMBERS)


def test_what_reads_values_says_so():
    layer = layers.StringLookup(vocabulary=LETTERS, invert=True)
    with pytest.raises(TypeError, match="before training"):
        layer(cnnrs.Input((3,), dtype="int64"))
    with pytest.raises(TypeError, match="before training"):
        cnnrs.function(lambda x: layer(x))(cnnrs.ops.ones((2,), "int64"))
    with pytest.raises(ValueError, match="num_oov_indices: expected >= 1"):
        layers.IntegerLookup(vocabulary=KNOWN, num_oov_indices=0)(cnnrs.Input((3,), dtype="int64"))


def test_what_is_no_string_or_ragged_is_named():
    layer = layers.StringLookup(vocabulary=LETTERS)
    with pytest.raises(TypeError, match="expected strings, received int64"):
        layer(np.array([1, 2]))
    with pytest.raises(ValueError, match="rows of equal length"):
        layer([["a"], ["b", "c"]])
    assert layer([b"a", "z"]).tolist() == [1, 0]


def test_a_saved_model_keeps_what_was_adapted(tmp_path):
    lookup, bins = layers.IntegerLookup(), layers.Discretization(num_bins=4)
    lookup.adapt(NUMBERS)
    bins.adapt(NUMBERS)
    inputs = cnnrs.Input((4,), dtype="int64")
    model = cnnrs.Model(inputs, [lookup(inputs), bins(inputs)])
    model.save(tmp_path / "model.safetensors")
    for got, want in zip(
        cnnrs.models.load_model(tmp_path / "model.safetensors")(NUMBERS), model(NUMBERS), strict=True
    ):
        np.testing.assert_array_equal(got.numpy(), want.numpy())


X = np.array([[-1.5, 1.0, 3.4, 0.5], [0.0, 3.0, 1.3, 0.0]])


@pytest.mark.parametrize(
    ("mode", "want"),
    [
        ("int", [[0, 2, 3, 1], [1, 3, 2, 1]]),
        ("one_hot", np.eye(4)[[[0, 2, 3, 1], [1, 3, 2, 1]]].tolist()),
        ("multi_hot", [[1, 1, 1, 1], [0, 1, 1, 1]]),
        ("count", [[1, 1, 1, 1], [0, 2, 1, 1]]),
    ],
)
def test_discretization(mode, want):
    layer = again(layers.Discretization([0.0, 1.0, 2.0], output_mode=mode))
    assert layer(X).tolist() == want
    assert str(layer(X).dtype) == ("int32" if mode == "int" else "float32")
    inputs = cnnrs.Input((4,))
    assert cnnrs.Model(inputs, layer(inputs))(X.astype(np.float32)).tolist() == want


def test_discretization_adapts():
    layer = layers.Discretization(num_bins=4, epsilon=0.01)
    layer.adapt(X)
    np.testing.assert_allclose(layer.bin_boundaries, [0.0, 0.5, 1.3], rtol=1e-6)
    assert again(layer)(X).tolist() == [[0, 2, 3, 2], [1, 3, 3, 1]]
    layer = layers.Discretization(num_bins=5, epsilon=0.1)
    layer.adapt(np.sin(np.arange(100.0)))
    want = [-0.8218178153038025, -0.287903368473053, 0.29636844992637634, 0.8268285393714905]
    np.testing.assert_allclose(layer.bin_boundaries, want, rtol=1e-6)
    for wrong in ({}, {"bin_boundaries": [1.0], "num_bins": 2}, {"num_bins": 2, "sparse": True}):
        with pytest.raises(ValueError, match="expected"):
            layers.Discretization(**wrong)
    with pytest.raises(ValueError, match="num_bins, not bin_boundaries"):
        layers.Discretization([1.0]).adapt(X)

"""What a subclass adds to a layer is made, saved, loaded and copied: nothing of it is lost silently."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import numpy as np
import pytest

import cnnrs
from cnnrs import layers

X = np.arange(12, dtype=np.float32).reshape(2, 6) / 10


def _without_weights() -> list[str]:
    """The layers that have nothing to build."""
    names = []
    for name in layers.__all__:
        cls = getattr(layers, name)
        if inspect.isclass(cls) and issubclass(cls, layers.Layer) and cls.build is layers.Layer.build:
            names.append(name)
    # These take no tensor, but a dict with boxes, strings, and several features.
    others = {"MaxNumBoundingBoxes", "StringLookup", "TextVectorization", "HashedCrossing", "Hashing"}
    return sorted(set(names) - {"Layer", "InputLayer", *others})


# Arguments and inputs of layers that need some.
_ARGUMENTS: dict[str, dict[str, Any]] = {
    "Activation": {"activation": "relu"},
    "Dropout": {"rate": 0.5},
    "AlphaDropout": {"rate": 0.5},
    "GaussianDropout": {"rate": 0.5},
    "GaussianNoise": {"stddev": 0.5},
    "Lambda": {"function": cnnrs.activations.relu},
    "Permute": {"dims": (1, 2, 3)},
    "RepeatVector": {"n": 2},
    "Rescaling": {"scale": 2.0},
    "Resizing": {"height": 4, "width": 4},
    "Reshape": {"target_shape": (-1,)},
    "Dot": {"axes": -1},
    "CategoryEncoding": {"num_tokens": 3},
    "Discretization": {"bin_boundaries": [0.5]},
    "IntegerLookup": {"vocabulary": [1, 2]},
    "CenterCrop": {"height": 2, "width": 2},
    "Pipeline": {"layers": [layers.Rescaling(2.0)]},
    "RandomCrop": {"height": 2, "width": 2},
    "RandomResizedCrop": {"height": 2, "width": 2},
    "RandomTranslation": {"height_factor": 0.5, "width_factor": 0.5},
    "RandomZoom": {"height_factor": 0.5},
    **{
        f"Random{name}": {"factor": 0.5}
        for name in "Brightness ColorDegeneration Contrast Hue Rotation Saturation Sharpness".split()
    },
    **{
        f"{name}{rank}D": argument
        for rank in (1, 2, 3)
        for name, argument in {
            "AdaptiveAveragePooling": {"output_size": 2},
            "AdaptiveMaxPooling": {"output_size": 2},
            "AveragePooling": {"pool_size": 2},
            "AvgPool": {"pool_size": 2},
            "SpatialDropout": {"rate": 0.5},
        }.items()
    },
}
_ARGUMENTS["RandomPosterization"] = {"factor": 4}
_ARGUMENTS["ChannelShuffle"] = {"groups": 1}
_ARGUMENTS["StochasticDepth"] = {"rate": 0.5}
_SHAPES = {"RepeatVector": (2, 6), "Dot": (2, 6), "CategoryEncoding": (2, 6)}
_SHAPES_BY_RANK = {"1D": (2, 4, 3), "3D": (2, 4, 4, 4, 3)}
_MERGING = {"Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract"}


@pytest.mark.parametrize("name", _without_weights())
def test_a_subclass_of_a_layer_without_weights_is_built(name):
    base = getattr(layers, name)

    class Own(base):
        def build(self, input_shape):
            self.w = self.add_weight(shape=(), name="w")
            self.seen = input_shape
            super().build(input_shape)

        def call(self, inputs, **kwargs):
            return self.w * 1.0 + cnnrs.ops.sum(cnnrs.tree.flatten(super().call(inputs, **kwargs))[0])

    layer = Own(**_ARGUMENTS.get(name, {}))
    assert not layer.built
    shape = _SHAPES.get(name) or _SHAPES_BY_RANK.get(name[-2:], (2, 4, 4, 3))
    x = np.ones(shape, np.float32)
    layer([x, x] if name in _MERGING else x)
    assert layer.built and layer.seen == ([shape, shape] if name in _MERGING else shape)
    assert [w.name for w in layer.weights] == ["w"]


def test_a_build_from_a_class_beside_the_layers():
    class Scaled:
        def build(self, input_shape):
            self.scale = self.add_weight(shape=input_shape[-1:], initializer="ones", name="scale")

    class Layer(Scaled, layers.Activation):
        def call(self, inputs):
            return super().call(inputs) * self.scale

    layer = Layer("relu", name="scaled")
    np.testing.assert_array_equal(layer(X).numpy(), X)
    assert layer.scale.path == "scaled/scale" and layer.get_build_config() == {"input_shape": (2, 6)}


@cnnrs.saving.register_keras_serializable("own_state")
class Vocabulary(layers.Layer):
    """A layer whose state is no variable alone."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.counts = np.zeros(3, np.int64)
        self.calls: list[str] = []

    def build(self, input_shape):
        self.w = self.add_weight(shape=input_shape[-1:], initializer="ones", name="w")

    def call(self, inputs):
        return inputs * self.w

    def save_own_variables(self, store):
        self.calls.append("save")
        super().save_own_variables(store)
        store["counts"] = self.counts
        store["mean"] = np.float64(1 / 3)

    def load_own_variables(self, store):
        self.calls.append("load")
        self.counts = store.pop("counts")
        self.mean = store.pop("mean")
        super().load_own_variables(store)


def _model() -> Any:
    inner = cnnrs.Sequential([cnnrs.Input((6,)), Vocabulary(), layers.Dense(2)])
    return cnnrs.Sequential([cnnrs.Input((6,)), Vocabulary(), inner])


def _marked() -> tuple[Any, list[Any]]:
    model = _model()
    found = [layer for layer in model._flatten_layers() if isinstance(layer, Vocabulary)]
    for number, layer in enumerate(found):
        layer.counts = np.array([2**40 + number, 2, 3])
        layer.w.assign(np.full(6, number + 2.0))
    return model, found


def _check(model: Any, marked: Any) -> None:
    found = [layer for layer in model._flatten_layers() if isinstance(layer, Vocabulary)]
    assert len(found) == 2
    for number, layer in enumerate(found):
        assert layer.calls == ["load"] and layer.mean == 1 / 3 and layer.mean.dtype == np.float64
        np.testing.assert_array_equal(layer.counts, [2**40 + number, 2, 3])
        assert layer.counts.dtype == np.int64
    np.testing.assert_array_equal(model(X).numpy(), marked(X).numpy())


@pytest.mark.parametrize("way", ["weights", "model", "weights of model", "pickle", "deepcopy"])
def test_own_state_goes_wherever_weights_go(way, tmp_path):
    marked, found = _marked()
    file = str(tmp_path / ("m.weights.safetensors" if way == "weights" else "m.safetensors"))
    if way == "weights":
        marked.save_weights(file)
        again = _model()
        again.load_weights(file)
    elif way == "model":
        marked.save(file)
        again = cnnrs.saving.load_model(file)
    elif way == "weights of model":
        marked.save(file)
        again = _model()
        again.load_weights(file)
    else:
        again = pickle.loads(pickle.dumps(marked)) if way == "pickle" else copy.deepcopy(marked)
    assert all(layer.calls == ["save"] for layer in found)
    _check(again, marked)


def test_own_state_that_does_not_fit(tmp_path):
    file = str(tmp_path / "m.weights.safetensors")
    marked, _ = _marked()
    marked.save_weights(file)
    plain = cnnrs.Sequential([cnnrs.Input((6,)), layers.Dense(2)])
    before = plain.get_weights()
    with pytest.raises(ValueError, match="keeps its own state"):
        plain.load_weights(file)
    np.testing.assert_array_equal(plain.get_weights()[0], before[0])
    with pytest.warns(UserWarning, match="2 were read from.*no layer 'vocabulary"):
        plain.load_weights(file, skip_mismatch=True)

    class Refusing(Vocabulary):
        def load_own_variables(self, store):
            raise KeyError("vocabulary")

    other = cnnrs.Sequential([cnnrs.Input((6,)), Refusing(), Refusing(), layers.Dense(2)])
    with pytest.raises(KeyError, match="vocabulary"):
        other.load_weights(file)
    with pytest.warns(UserWarning, match="own state of the layer 'refusing.*KeyError"):
        other.load_weights(file, skip_mismatch=True)


def test_own_state_that_no_file_holds(tmp_path):
    class Words(layers.Layer):
        def save_own_variables(self, store):
            store["words"] = ["a", "b"]

    class Assets(layers.Layer):
        def save_assets(self, folder):
            pass

    for layer, error, message in (
        (Words(), TypeError, "expected arrays of numbers under strings, received list under 'words'"),
        (Assets(), NotImplementedError, "Assets defines save_assets"),
    ):
        model = cnnrs.Model(x := cnnrs.Input((6,)), layers.Add()([x, x]))
        model.extra = layer
        with pytest.raises(error, match=message):
            model.save_weights(str(tmp_path / "m.weights.safetensors"))


def _head(width: int, depth: int = 2) -> Any:
    hidden = [layers.Dense(4) for _ in range(depth)]
    return cnnrs.Sequential([cnnrs.Input((6,)), *hidden, layers.Dense(width)])


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_part_of_the_weights_is_read_whatever_automatic_names_say(depth, tmp_path):
    file = str(tmp_path / "m.weights.safetensors")
    trained = _head(3)
    trained.save_weights(file)
    other = _head(5, depth)
    before = other.get_weights()
    with pytest.warns(UserWarning, match="weights are left as they were"):
        other.load_weights(file, skip_mismatch=True)
    for place, (old, new) in enumerate(zip(before, other.get_weights(), strict=True)):
        source = trained.get_weights()[place] if place < len(trained.get_weights()) else None
        fits = source is not None and source.shape == old.shape
        np.testing.assert_array_equal(new, source if fits else old)
    with pytest.raises(ValueError, match="expected shape|holds"):
        other.load_weights(file)


def test_names_that_the_user_gave_count_more_than_places(tmp_path):
    file = str(tmp_path / "m.weights.safetensors")

    def build(*names: str) -> Any:
        return cnnrs.Sequential([cnnrs.Input((6,)), *(layers.Dense(6, name=n) for n in names)])

    trained = build("block_1", "block_2", "head")
    trained.save_weights(file)
    cut = build("block_2", "other")
    with pytest.warns(UserWarning, match="'other/kernel'"):
        cut.load_weights(file, skip_mismatch=True)
    np.testing.assert_array_equal(cut.get_weights()[0], trained.get_weights()[2])

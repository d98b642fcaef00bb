"""Models in files: the same bits again, resumed training, and what is refused."""

from __future__ import annotations

import copy
import json
import os
import pickle
import struct
import zlib
from typing import Any

import numpy as np
import pytest

import cnnrs
from cnnrs import _core, layers, losses, optimizers, saving, utils
from cnnrs.models import load_model

RANDOM = np.random.default_rng(2)
X = RANDOM.normal(size=(48, 6, 6, 2)).astype(np.float32)
Y = RANDOM.integers(0, 3, 48)


def build(functional: bool = False, optimizer: Any = None) -> Any:
    parts = [
        layers.Conv2D(4, 3, padding="same", kernel_regularizer="l2"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Dropout(0.3),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(3, activation="softmax"),
    ]
    if functional:
        inputs = cnnrs.Input((6, 6, 2))
        x = inputs
        for part in parts:
            x = part(x)
        model = cnnrs.Model(inputs, x)
    else:
        model = cnnrs.Sequential([cnnrs.Input((6, 6, 2)), *parts])
    model.compile(
        optimizer or optimizers.Adam(0.01), losses.SparseCategoricalCrossentropy(), metrics=["accuracy"]
    )
    return model


def train(model: Any, first: int, last: int) -> dict[str, Any]:
    return model.fit(X, Y, batch_size=10, epochs=last, initial_epoch=first, verbose=0).history


def weights_equal(a: Any, b: Any) -> None:
    for left, right in zip(a.weights, b.weights, strict=True):
        np.testing.assert_array_equal(left.numpy(), right.numpy(), err_msg=left.path)


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "m.safetensors")


@pytest.mark.parametrize("functional", [False, True])
def test_a_loaded_model_predicts_the_same_bits(path, functional):
    model = build(functional)
    train(model, 0, 1)
    model.save(path)
    again = load_model(path)
    assert type(again) is type(model) and again.name == model.name
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    weights_equal(again, model)
    assert again.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)


OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "adam": lambda: optimizers.Adam(0.01, amsgrad=True),
    "schedule": lambda: optimizers.Adam(optimizers.schedules.CosineDecay(0.01, 20)),
    "accumulation": lambda: optimizers.AdamW(0.01, gradient_accumulation_steps=3, clipnorm=1.0),
    "average": lambda: optimizers.RMSprop(0.01, centered=True, use_ema=True),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_resumes_with_the_same_bits(path, name):
    """Two epochs, a file, two more: as four in a row. Dropout, shuffling and the optimizer go on."""
    utils.set_random_seed(1)
    whole = build(optimizer=OPTIMIZERS[name]())
    train(whole, 0, 2)
    whole.save(path)
    history = train(whole, 2, 4)
    utils.set_random_seed(99)
    resumed = load_model(path)
    assert train(resumed, 2, 4) == history
    weights_equal(resumed, whole)
    for a, b in zip(resumed.optimizer.variables, whole.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_saving_does_not_disturb_training(path):
    utils.set_random_seed(1)
    a = build()
    train(a, 0, 1)
    train(a, 1, 2)
    utils.set_random_seed(1)
    b = build()
    train(b, 0, 1)
    b.save(path)
    train(b, 1, 2)
    weights_equal(a, b)


def test_a_changed_learning_rate_is_kept(path):
    model = build()
    model.optimizer.learning_rate = 0.125
    train(model, 0, 1)
    model.save(path)
    assert float(load_model(path).optimizer.learning_rate) == 0.125


def test_a_file_is_plain_safetensors(path):
    model = build()
    model.save(path)
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    architecture = json.loads(header["__metadata__"]["model"])
    assert architecture["class_name"] == "Sequential"
    names = [name for name in header if name != "__metadata__"]
    for weight in model.weights:
        name = weight.path.removeprefix(f"{model.name}/")
        assert name in names
        assert header[name]["shape"] == list(weight.shape)


def test_without_compile(path):
    model = build()
    model.save(path)
    again = load_model(path, compile=False)
    assert not again.compiled
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    uncompiled = cnnrs.Sequential([cnnrs.Input((2,)), layers.Dense(1)])
    uncompiled.save(path)
    assert not load_model(path).compiled


def test_frozen_layers_stay_frozen(path):
    model = build()
    model.layers[0].trainable = False
    model.compile("adam", "sparse_categorical_crossentropy")
    train(model, 0, 1)
    model.save(path)
    again = load_model(path)
    assert [w.trainable for w in again.weights] == [w.trainable for w in model.weights]
    train(again, 1, 2)
    np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])


def test_nested_models(path):
    inner = cnnrs.Sequential([cnnrs.Input((4,)), layers.Dense(4, activation="relu"), layers.Dense(2)])
    inputs = cnnrs.Input((4,))
    model = cnnrs.Model(inputs, layers.Add()([inner(inputs), layers.Dense(2)(inputs)]))
    model.save(path)
    x = RANDOM.normal(size=(5, 4))
    np.testing.assert_array_equal(load_model(path).predict(x, verbose=0), model.predict(x, verbose=0))


def test_slices_and_arrays_among_the_arguments_of_operations(path):
    inputs = cnnrs.Input((6, 6, 2))
    x = inputs[:, 1:, ..., :1] + np.arange(6, dtype=np.float32).reshape(6, 1)
    x = cnnrs.ops.concatenate((x, x[:, ::2, :, :], inputs[:, 0:1, :, :1]), axis=1)
    model = cnnrs.Model(inputs, layers.Flatten()(x))
    model.save(path)
    np.testing.assert_array_equal(load_model(path).predict(X, verbose=0), model.predict(X, verbose=0))


def test_weights_alone(tmp_path):
    file = str(tmp_path / "m.weights.safetensors")
    model = build()
    train(model, 0, 1)
    model.save_weights(file)
    # Layers made later in the process have other automatic names.
    other = build()
    assert other.layers[0].name != model.layers[0].name
    other.load_weights(file)
    weights_equal(other, model)
    whole = str(tmp_path / "m.safetensors")
    model.save(whole)
    third = build()
    third.load_weights(whole)
    weights_equal(third, model)


def test_weights_that_do_not_fit(tmp_path):
    file = str(tmp_path / "m.weights.safetensors")
    small = cnnrs.Sequential([cnnrs.Input((4,)), layers.Dense(2, name="a"), layers.Dense(3, name="b")])
    small.save_weights(file)
    wide = cnnrs.Sequential([cnnrs.Input((4,)), layers.Dense(2, name="a"), layers.Dense(5, name="b")])
    before = wide.get_weights()
    with pytest.raises(ValueError, match=r"b/kernel.*\(2, 5\).*\(2, 3\)"):
        wide.load_weights(file)
    for a, b in zip(before, wide.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.warns(UserWarning, match=r"2 of 4 weights are left as they were.*'b/kernel'.*'b/bias'"):
        wide.load_weights(file, skip_mismatch=True)
    np.testing.assert_array_equal(wide.get_weights()[0], small.get_weights()[0])
    np.testing.assert_array_equal(wide.get_weights()[2], before[2])
    deep = cnnrs.Sequential([cnnrs.Input((4,)), layers.Dense(2)])
    with pytest.raises(ValueError, match="4.*2"):
        deep.load_weights(file)


@pytest.mark.parametrize("name", ["m", "m.pt", "m.onnx", "m.weights.safetensors"])
def test_other_formats_are_refused_by_name(tmp_path, name):
    with pytest.raises(ValueError, match="safetensors"):
        build().save(str(tmp_path / name))
    assert not os.listdir(tmp_path)
    if name != "m.weights.safetensors":
        with pytest.raises(ValueError, match=r"\.weights\.safetensors"):
            build().save_weights(str(tmp_path / name))


def rewrite(path: str, change: Any) -> None:
    tensors, metadata, _ = _core.load_safetensors(path)
    change(tensors, metadata)
    _core.save_safetensors(path, tensors, metadata)


def test_damaged_foreign_and_newer_files(path, tmp_path):
    model = build()
    model.save(path)
    with open(path, "rb") as file:
        content = file.read()
    truncated = str(tmp_path / "t.safetensors")
    for length in (0, 5, 200, len(content) - 1):
        with open(truncated, "wb") as file:
            file.write(content[:length])
        with pytest.raises(ValueError, match="t.safetensors"):
            load_model(truncated)
    foreign = str(tmp_path / "f.safetensors")
    _core.save_safetensors(foreign, {"w": np.zeros(3, np.float32)}, {})
    with pytest.raises(ValueError, match="cnnrs"):
        load_model(foreign)
    rewrite(path, lambda tensors, metadata: metadata.update(cnnrs_format="3"))
    with pytest.raises(ValueError, match="version 3.*up to 2"):
        load_model(path)
    with pytest.raises(FileNotFoundError):
        load_model(str(tmp_path / "none.safetensors"))
    with pytest.raises(FileNotFoundError):
        model.save(str(tmp_path / "none" / "m.safetensors"))


def test_a_missing_weight_is_named(path):
    model = build()
    model.save(path)
    name = model.weights[0].path.removeprefix(f"{model.name}/")
    rewrite(path, lambda tensors, metadata: tensors.pop(name))
    with pytest.raises(ValueError, match=r"holds \d+ weights|" + name):
        load_model(path)


def test_an_existing_file_can_be_kept(path):
    model = build()
    model.save(path)
    with open(path, "rb") as file:
        before = file.read()
    train(model, 0, 1)
    with pytest.raises(FileExistsError):
        model.save(path, overwrite=False)
    with open(path, "rb") as file:
        assert file.read() == before


@saving.register_keras_serializable("tests")
class Scale(layers.Layer):
    def __init__(self, factor: float = 2.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, input_shape: Any) -> None:
        self.offset = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="offset")

    def call(self, inputs: Any) -> Any:
        return inputs * self.factor + self.offset

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}


class Unknown(Scale):
    pass


@saving.register_keras_serializable("tests")
class Net(cnnrs.Model):
    def __init__(self, units: int = 3, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = units
        self.dense = layers.Dense(units)
        self.scale = Scale(3.0)

    def call(self, inputs: Any) -> Any:
        return self.scale(self.dense(inputs))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


def test_registered_layers_and_models(path):
    x = RANDOM.normal(size=(5, 4)).astype(np.float32)
    for model in (
        cnnrs.Sequential([cnnrs.Input((4,)), layers.Dense(3), Scale(0.5)]),
        Net(units=2),
    ):
        model(x)
        model.save(path)
        again = load_model(path)
        np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


def test_an_unregistered_class_is_named(path):
    model = cnnrs.Sequential([cnnrs.Input((4,)), Unknown()])
    model.save(path)
    with pytest.raises((TypeError, ValueError), match="Unknown.*custom_objects"):
        load_model(path)
    assert load_model(path, custom_objects={"Unknown": Unknown}).layers[0].factor == 2.0
    with saving.CustomObjectScope({"Unknown": Unknown}):
        assert load_model(path).layers[0].factor == 2.0


def test_configs_name_public_things_only():
    for module, name in (("os", "system"), ("cnnrs.saving", "save_model"), ("cnnrs.__main__", "main")):
        config = {"module": module, "class_name": name, "config": {}, "registered_name": None}
        with pytest.raises((TypeError, ValueError)):
            saving.deserialize_keras_object(config)


def test_lambdas_cannot_be_saved():
    with pytest.raises(ValueError, match="lambda"):
        saving.serialize_keras_object(lambda x: x)


def test_what_cannot_be_saved_of_compile_leaves_the_model_savable(path):
    """After hours of training a lambda among the metrics must not cost the weights."""
    model = cnnrs.Sequential([cnnrs.Input((4,)), layers.Dense(1)])
    model.compile("sgd", loss=lambda y, p: (y - p) * (y - p))
    x, y = RANDOM.normal(size=(8, 4)), RANDOM.normal(size=(8, 1))
    model.fit(x, y, verbose=0)
    with pytest.warns(UserWarning, match="lambda"):
        model.save(path)
    again = load_model(path)
    assert not again.compiled
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


def test_copies_of_variables():
    variable = cnnrs.Variable([1.0, 2.0], trainable=False, name="v")
    variable.constraint = cnnrs.constraints.NonNeg()
    for again in (copy.deepcopy(variable), pickle.loads(pickle.dumps(variable))):
        assert again.numpy().tolist() == [1.0, 2.0]
        assert (again.name, again.path, again.trainable) == ("v", variable.path, False)
        assert isinstance(again.constraint, cnnrs.constraints.NonNeg)
        again.assign([5.0, 5.0])
    assert variable.numpy().tolist() == [1.0, 2.0]


# ---- files whose metadata is damaged


def with_metadata(path: str, key: str, value: str | None) -> None:
    """The file with an entry of its metadata replaced or removed, and a checksum that fits."""
    with open(path, "rb") as file:
        raw = file.read()
    (size,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + size])
    if value is None:
        del header["__metadata__"][key]
    else:
        header["__metadata__"][key] = value
    header["__metadata__"]["checksum"] = "crc32:00000000"
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    data = raw[8 + size :]
    text = text.replace(b"crc32:00000000", b"crc32:%08x" % zlib.crc32(text + data))
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


@pytest.mark.parametrize("value", ["{bad", "[1, 2]", "999", "99.1.0", "null", "[" * 100_000])
@pytest.mark.parametrize("key", ["model", "shuffle", "weights", "cnnrs_format"])
def test_damaged_metadata_names_file_and_entry(path, key, value):
    build().save(path)
    with_metadata(path, key, value)
    with pytest.raises(ValueError, match=r"m\.safetensors") as caught:
        load_model(path)
    if key == "cnnrs_format" and value == "999":
        assert "newer" in str(caught.value)
    elif key == "weights" and value == "[1, 2]":
        assert "names of weights" in str(caught.value)
    else:
        assert f"'{key}'" in str(caught.value) and "newer" not in str(caught.value)
    assert type(caught.value) is ValueError


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.pop("config"),
        lambda data: data.pop("class_name"),
        lambda data: data.update(class_name="Dense", module="cnnrs.layers", config={"units": 3}),
        lambda data: data.update(class_name="function", module="cnnrs.activations", config="relu"),
        lambda data: data.update(class_name=["Sequential"]),
        lambda data: data.update(config=[]),
        lambda data: data["config"].pop("layers"),
        lambda data: data["config"]["layers"][1].update(config={"filtres": 4}),
        lambda data: data["config"]["layers"][1]["config"].update(filters=None),
        lambda data: data["compile_config"].update(optimiser="adam"),
        lambda data: data["compile_config"]["optimizer"].update(config={"lr": 1.0}),
        lambda data: data.update(compile_config=3),
    ],
)
def test_damaged_architecture_names_file_and_entry(path, change):
    build().save(path)
    data = json.loads(_core.load_safetensors(path)[1]["model"])
    change(data)
    with_metadata(path, "model", json.dumps(data))
    with pytest.raises(ValueError, match=r"m\.safetensors': metadata 'model'"):
        load_model(path)


@pytest.mark.parametrize("key", ["shuffle", "weights"])
def test_a_missing_entry_of_the_metadata_is_named(path, key):
    build().save(path)
    with_metadata(path, key, None)
    with pytest.raises(ValueError, match=rf"m\.safetensors.*lacks '{key}'"):
        load_model(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda names: [names[0], *names], "'conv/kernel' occurs twice"),
        (lambda names: [names[1], *names[1:]], "'conv/bias' occurs twice"),
        (lambda names: names[1:], "lacks 'conv/kernel'"),
        (lambda names: [], "lacks 'conv/"),
        (lambda names: [*names, "other"], "names 'other', which the file does not hold"),
    ],
)
def test_the_order_of_weights_names_each_of_them_once(path, change, words):
    model = cnnrs.Sequential([cnnrs.Input((4, 4, 1)), layers.Conv2D(2, 3, name="conv")])
    for write, file in ((model.save, path), (model.save_weights, path.replace("m.", "m.weights."))):
        write(file)
        names = json.loads(_core.load_safetensors(file)[1]["weights"])
        with_metadata(file, "weights", json.dumps(change(names)))
        with pytest.raises(ValueError, match=rf"m\..*safetensors.*metadata 'weights' .*{words}"):
            model.load_weights(file)


@pytest.mark.parametrize(
    "shuffle",
    [{"seed": -1, "name": "a"}, {"seed": 1, "name": 3}, {"seed": 1}, {"seed": True, "name": "a"}, {}],
)
def test_a_damaged_state_of_shuffling_is_named(path, shuffle):
    build().save(path)
    with_metadata(path, "shuffle", json.dumps(shuffle))
    with pytest.raises(ValueError, match=r"m\.safetensors': metadata 'shuffle' is damaged"):
        load_model(path)


def test_layers_may_be_called_as_parts_of_the_file(path):
    model = cnnrs.Sequential([cnnrs.Input((3,))])
    for name in ("optimizer", "training", "shuffle"):
        model.add(layers.Dense(2, name=name))
    model.compile("adam", "mse")
    model.train_on_batch(np.ones((2, 3)), np.ones((2, 2)))
    model.save(path)
    again = load_model(path)
    before, after = ([*m.weights, *m.optimizer.variables] for m in (model, again))
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_weight_whose_name_the_file_needs_is_refused(path):
    class Counting(layers.Layer):
        def build(self, shape):
            self.add_weight(shape=(2,), name="0")

        def call(self, x):
            return x

    model = cnnrs.Sequential([cnnrs.Input((3,)), layers.Dense(2), Counting(name="optimizer")])
    model.compile("sgd", "mse")
    model.train_on_batch(np.ones((2, 3)), np.ones((2, 2)))
    with pytest.raises(ValueError, match="'optimizer/0'.*another name"):
        model.save(path)


def test_custom_losses_of_a_file(path):
    model = cnnrs.Sequential([cnnrs.Input((4,)), layers.Dense(1)])
    model.compile("sgd", loss=half_square)
    model.save(path)
    assert load_model(path, custom_objects={"half_square": half_square}).loss is half_square
    with pytest.raises(TypeError, match=r"m\.safetensors.*half_square.*custom_objects"):
        load_model(path)


def half_square(y_true: Any, y_pred: Any) -> Any:
    return 0.5 * (y_true - y_pred) * (y_true - y_pred)


def test_a_model_without_weights_stays_unbuilt(tmp_path):
    path = str(tmp_path / "m.safetensors")
    model = cnnrs.Sequential([layers.Dense(2), layers.Dropout(0.5)])
    model.compile("adam", "mse")
    model.save(path)
    again = load_model(path)
    assert not again.built and again.compiled
    assert again(np.ones((1, 4))).shape == (1, 2)
    again.fit(np.ones((4, 4)), np.ones((4, 2)), verbose=0)

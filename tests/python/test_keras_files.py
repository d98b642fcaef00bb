"""Files of Keras: those that real Keras made load here, and what is written here reads the same.

`tests/fixtures/keras_files.zip` is made by `make fixtures` with Keras; `make keras-files` reads files of
cnnrs with Keras.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnrs
from cnnrs import layers, saving
from cnnrs.saving.contents import contents_of, describe
from cnnrs.saving.object_paths import saved_objects
from cnnrs.serialization import hdf5

sys.path.insert(0, str(Path(__file__).parents[1]))

from keras_files import zoo
from keras_files.rounds import check, save_all

ARCHIVE = Path(__file__).parents[1] / "fixtures/keras_files.zip"
with zipfile.ZipFile(ARCHIVE) as archive:
    NAMES = archive.namelist()
FILES = [name for name in NAMES if name.endswith((".keras", ".h5", ".json")) and "_0" not in name]
X = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
Y = np.random.default_rng(1).normal(size=(8, 1)).astype("float32")


@pytest.fixture(scope="module")
def fixtures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keras")
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(folder)
    return str(folder)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("own"))
    list(save_all(cnnrs, folder))
    return folder


def dense(*units: int, optimizer: Any = "adam", dropout: float = 0.0) -> Any:
    parts = [layers.Dense(n, activation="tanh") for n in units]
    model = cnnrs.Sequential([cnnrs.Input((4,)), *parts, layers.Dropout(dropout), layers.Dense(1)])
    model.compile(optimizer, "mse")
    return model


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_keras_predicts_and_trains_on_as_in_keras(fixtures, name):
    outcome = check(cnnrs, fixtures, name)
    assert outcome.is_equal(), outcome


@pytest.mark.parametrize(
    "name", [*FILES, *(f"{name}.keras" for name in zoo.BUILDERS if f"{name}.keras" not in FILES)]
)
def test_what_is_written_here_is_read_here(own, name):
    outcome = check(cnnrs, own, name)
    assert not outcome.weights
    assert outcome.outputs < 1e-6
    assert outcome.losses < 1e-5


def leaves(group: hdf5.Group, path: str = "") -> dict[str, np.ndarray]:
    found = {f"{path}{name}": value for name, value in group.arrays.items()}
    for name, inner in group.groups.items():
        found |= leaves(inner, f"{path}{name}/")
    return found


def weights_of(path: str) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        found = leaves(hdf5.read(archive.read("model.weights.h5")))
    return {name: value for name, value in found.items() if not name.startswith("cnnrs/")}


@pytest.mark.parametrize("name", [name.removesuffix(".keras") for name in FILES if name.endswith(".keras")])
def test_arrays_have_the_paths_the_shapes_and_the_types_of_keras(fixtures, own, name):
    theirs = weights_of(f"{fixtures}/{name}.keras")
    mine = weights_of(f"{own}/{name}.keras")
    describe = lambda arrays: {key: (a.shape, a.dtype.name) for key, a in arrays.items()}  # noqa: E731
    assert describe(mine) == describe(theirs)


def test_the_same_model_gives_the_same_bytes(tmp_path):
    model = dense(3)
    for name in ("a.keras", "a.h5", "a.safetensors"):
        model.save(tmp_path / name)
        first = (tmp_path / name).read_bytes()
        model.save(tmp_path / name)
        assert (tmp_path / name).read_bytes() == first


# ---- training goes on


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.safetensors", "folder"])
def test_training_goes_on_with_the_same_bits(tmp_path, name):
    model = dense(5, 5, dropout=0.3)
    model.fit(X, Y, batch_size=3, epochs=2, verbose=0)
    model.save(tmp_path / name, **({"zipped": False} if name == "folder" else {}))
    again = saving.load_model(tmp_path / name)
    for one in (model, again):
        one.fit(X, Y, batch_size=3, epochs=2, verbose=0)
    for left, right in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("ending", [".keras", ".h5", ".safetensors", ".weights.h5", ".weights.safetensors"])
def test_checkpoints_of_each_format(tmp_path, ending):
    only = ending.startswith(".weights")
    path = str(tmp_path / ("{epoch}" + ending))
    save = cnnrs.callbacks.ModelCheckpoint(path, save_weights_only=only)
    model = dense(3, dropout=0.2)
    whole = dense(3, dropout=0.2)
    whole.set_weights(model.get_weights())
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[save])
    assert sorted(os.listdir(tmp_path)) == ["1" + ending, "2" + ending]
    if only:
        again = dense(3, dropout=0.2)
        again.load_weights(str(tmp_path / ("2" + ending)))
    else:
        again = saving.load_model(str(tmp_path / ("2" + ending)))
    for left, right in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize(
    ("path", "only"), [("m.weights.h5", False), ("m.keras", True), ("m.h5", True), ("m.ckpt", False)]
)
def test_a_checkpoint_of_the_wrong_ending_is_refused_at_once(path, only):
    with pytest.raises(ValueError, match=r"\.keras|\.weights\.h5|save_weights"):
        cnnrs.callbacks.ModelCheckpoint(path, save_weights_only=only)


# ---- arguments


def test_objects_that_are_skipped_stay_as_they_are(tmp_path):
    model = dense(3)
    model.fit(X, Y, verbose=0)
    model.save_weights(tmp_path / "all.weights.h5")
    saving.save_weights(model, tmp_path / "some.weights.h5", objects_to_skip=[model.layers[0]])
    again = dense(3)
    before = again.get_weights()
    again.load_weights(tmp_path / "all.weights.h5", objects_to_skip=[again.layers[0]])
    np.testing.assert_array_equal(again.get_weights()[0], before[0])
    np.testing.assert_array_equal(again.get_weights()[2], model.get_weights()[2])
    assert "layers/dense/vars/0" not in leaves(hdf5.read(tmp_path / "some.weights.h5"))


def test_weights_in_shards(tmp_path):
    model = dense(8, 8)
    model.save_weights(tmp_path / "m.weights.json", max_shard_size=300 / 2**30)
    table = json.loads((tmp_path / "m.weights.json").read_text())
    files = {name for value in table["weight_map"].values() for name in np.atleast_1d(value)}
    assert len(files) > 1
    assert files == {path.name for path in tmp_path.glob("*.h5")}
    again = dense(8, 8)
    again.load_weights(tmp_path / "m.weights.json")
    for left, right in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)
    with pytest.raises(ValueError, match="max_shard_size: expected at least"):
        model.save_weights(tmp_path / "n.weights.json", max_shard_size=10 / 2**30)
    table["weight_map"]["/layers/dense/vars"] = "../m_00000.weights.h5"
    (tmp_path / "m.weights.json").write_text(json.dumps(table))
    with pytest.raises(ValueError, match="beside the table"):
        again.load_weights(tmp_path / "m.weights.json")


def test_save_format_of_keras_2(tmp_path):
    model = dense(2)
    with pytest.warns(UserWarning, match="deprecated"):
        model.save(tmp_path / "m.h5", save_format="h5")
    with pytest.raises(ValueError, match=r"'tf'.*\.keras"):
        model.save(tmp_path / "m", save_format="tf")
    with pytest.raises(ValueError, match=r"save_format='keras'.*m\.h5"):
        model.save(tmp_path / "m.h5", save_format="keras")


def test_legacy_weights_by_name(fixtures):
    model = cnnrs.Sequential([cnnrs.Input((3,)), layers.Dense(1, name="dense_17")])
    path = f"{fixtures}/preprocessing.h5"
    names = hdf5.read(path).groups["model_weights"].attrs["layer_names"]
    name = next(name for name in names if name.startswith("dense"))
    model = cnnrs.Sequential([cnnrs.Input((3,)), layers.Dense(1, name=name)])
    model.load_weights(path, by_name=True)
    found = leaves(hdf5.read(path).groups["model_weights"].groups[name])
    np.testing.assert_array_equal(model.layers[0].kernel, next(v for v in found.values() if v.ndim == 2))
    with pytest.raises(ValueError, match="by_name"):
        dense(2).load_weights(f"{fixtures}/sequential.weights.h5", by_name=True)


def test_a_layer_that_occurs_twice_is_one_layer(tmp_path):
    @saving.register_keras_serializable("test_keras_files")
    class Twice(cnnrs.Model):
        def __init__(self, first: Any = None, second: Any = None, **kwargs: Any):
            super().__init__(**kwargs)
            self.first, self.second = first, second

        def call(self, x: Any) -> Any:
            return self.second(self.first(x))

        def get_config(self) -> dict[str, Any]:
            return {
                **super().get_config(),
                "first": saving.serialize_keras_object(self.first),
                "second": saving.serialize_keras_object(self.second),
            }

        @classmethod
        def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
            for name in ("first", "second"):
                config[name] = saving.deserialize_keras_object(config[name])
            return cls(**config)

    layer = layers.Dense(4)
    model = Twice(layer, layer)
    model(X)
    model.save(tmp_path / "m.keras")
    again = saving.load_model(tmp_path / "m.keras")
    assert again.first is again.second
    np.testing.assert_array_equal(again(X), model(X))


def test_a_layer_inside_of_a_wrapper_and_beside_it_is_one_layer(tmp_path):
    inner = layers.Dense(3, name="inner")
    x = cnnrs.Input((2, 4))
    outputs = [layers.TimeDistributed(inner)(x), inner(x[:, 0])]
    model = cnnrs.Model(x, outputs)
    model.save(tmp_path / "m.keras")
    again = saving.load_model(tmp_path / "m.keras")
    data = np.stack([X[:4], X[4:]], axis=1)
    for left, right in zip(model(data), again(data), strict=True):
        np.testing.assert_array_equal(left, right)
    assert len(again.weights) == 2


def test_state_of_users_in_variables_and_assets(tmp_path):
    @saving.register_keras_serializable("test_keras_files")
    class Table(layers.Layer):
        def __init__(self, **kwargs: Any):
            super().__init__(**kwargs)
            self.words: list[str] = []
            self.ages = np.zeros(2, np.int64)

        def call(self, x: Any) -> Any:
            return x

        def save_own_variables(self, store: Any) -> None:
            store["ages"] = self.ages

        def load_own_variables(self, store: Any) -> None:
            self.ages = np.array(store["ages"])

        def save_assets(self, dir_path: Any) -> None:
            Path(dir_path, "words.txt").write_text("\n".join(self.words))

        def load_assets(self, dir_path: Any) -> None:
            self.words = Path(dir_path, "words.txt").read_text().split("\n")

    model = cnnrs.Sequential([cnnrs.Input((4,)), Table(), layers.Dense(1)])
    model.layers[0].words, model.layers[0].ages = ["a", "b"], np.array([2**40, 3])
    model.save(tmp_path / "m.keras")
    again = saving.load_model(tmp_path / "m.keras")
    assert again.layers[0].words == ["a", "b"]
    assert again.layers[0].ages.tolist() == [2**40, 3]
    with pytest.raises(NotImplementedError, match=r"save_assets.*\.keras"):
        model.save(tmp_path / "m.safetensors")


# ---- what does not fit


@pytest.mark.parametrize("name", ["m.weights.h5", "m.keras", "m.h5"])
def test_weights_of_another_shape_name_the_layer_and_both_shapes(tmp_path, name):
    model, other = dense(3, 5), dense(3, 6)
    (model.save_weights if "weights" in name else model.save)(tmp_path / name)
    before = other.get_weights()
    with pytest.raises(ValueError, match=r"dense.*expected shape \(3, 6\), received \(3, 5\)"):
        other.load_weights(tmp_path / name)
    for left, right in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)
    with pytest.warns(UserWarning, match="dense"):
        other.load_weights(tmp_path / name, skip_mismatch=True)
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])
    np.testing.assert_array_equal(other.get_weights()[2], before[2])


def test_an_unknown_class_is_named(tmp_path):
    class Private(layers.Layer):
        def call(self, x: Any) -> Any:
            return x

    model = cnnrs.Sequential([cnnrs.Input((4,)), Private()])
    for name in ("m.keras", "m.h5"):
        model.save(tmp_path / name)
        with pytest.raises(TypeError, match=r"m\.(keras|h5).*'Private'.*custom_objects"):
            saving.load_model(tmp_path / name)
        assert saving.load_model(tmp_path / name, custom_objects={"Private": Private}, compile=False).built


def test_code_is_refused_without_consent(tmp_path, monkeypatch):
    from cnnrs.base import consent

    x = cnnrs.Input((4,))
    model = cnnrs.Model(x, layers.Lambda(lambda t: t * 2)(x))
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="lambda"):
        model.save(tmp_path / "m.safetensors")
    for name in ("m.keras", "m.h5"):
        with pytest.warns(UserWarning, match="lambda.*safe_mode=False"):
            model.save(tmp_path / name)
    for name in ("m.keras", "m.h5"):
        with pytest.raises(ValueError, match="safe_mode=False"):
            saving.load_model(tmp_path / name)
        again = saving.load_model(tmp_path / name, safe_mode=False)
        np.testing.assert_array_equal(again(X), 2 * X)
    monkeypatch.setattr(consent, "_EVERYWHERE", [False])
    cnnrs.config.enable_unsafe_deserialization()
    assert saving.load_model(tmp_path / "m.keras").built


def test_a_model_in_memory():
    model, file = dense(3), io.BytesIO()
    model.save(file)
    file.seek(0)
    np.testing.assert_array_equal(saving.load_model(file)(X), model(X))


def test_a_registered_name_of_a_class_of_the_package_is_refused():
    data = {**saving.serialize_keras_object(layers.ReLU()), "registered_name": "other>ReLU"}
    with pytest.raises(ValueError, match="other>ReLU"):
        saving.deserialize_keras_object(data)


def test_tensors_in_configs():
    data = saving.serialize_keras_object(cnnrs.ops.convert_to_tensor([1.0, 2.0]))
    assert saving.deserialize_keras_object(json.loads(json.dumps(data))).tolist() == [1.0, 2.0]


def repacked(path: Path, target: Path, change: Any) -> Path:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target


def test_damaged_and_foreign_files(tmp_path):
    model = dense(3)
    model.save(tmp_path / "m.keras")
    model.save(tmp_path / "m.h5")
    for name in ("m.keras", "m.h5"):
        content = (tmp_path / name).read_bytes()
        for length in (0, 3, 100, len(content) // 2, len(content) - 1):
            (tmp_path / f"t{name}").write_bytes(content[:length])
            with pytest.raises(ValueError, match=f"t{name}"):
                saving.load_model(tmp_path / f"t{name}")
    shutil.copy(tmp_path / "m.h5", tmp_path / "wrong.keras")
    with pytest.raises(ValueError, match=r"wrong\.keras.*\.keras archive by its name.*HDF5"):
        saving.load_model(tmp_path / "wrong.keras")
    shutil.copy(tmp_path / "m.keras", tmp_path / "without")
    assert saving.load_model(tmp_path / "without").built
    with pytest.raises(FileNotFoundError):
        saving.load_model(tmp_path / "none.keras")
    with pytest.raises(IsADirectoryError):
        saving.load_model(tmp_path)
    with pytest.raises(ValueError, match="weights alone"):
        model.save_weights(tmp_path / "w.weights.h5")
        saving.load_model(tmp_path / "w.weights.h5")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.pop("config.json"), "config.json"),
        (lambda m: m.pop("model.weights.h5"), "model.weights.h5"),
        (lambda m: m.update({"config.json": b"{"}), "config.json"),
        (lambda m: m.update({"config.json": b"[]"}), "config.json"),
        (lambda m: m.update({"model.weights.h5": b"none"}), "model.weights.h5"),
        (lambda m: m.update({"assets/../../out.txt": b"x"}), "out"),
        (lambda m: m.update({"config.json": m["config.json"].replace(b"Dense", b"Danse")}), "Danse"),
    ],
)
def test_archives_with_wrong_members(tmp_path, change, message):
    dense(3).save(tmp_path / "m.keras")
    broken = repacked(tmp_path / "m.keras", tmp_path / "b.keras", change)
    with pytest.raises((ValueError, TypeError), match=rf"b\.keras.*{message}"):
        saving.load_model(broken)
    assert sorted(os.listdir(tmp_path)) == ["b.keras", "m.keras"]


def test_only_public_modules_are_taken_from(tmp_path):
    def evil(members: dict[str, bytes]) -> None:
        config = json.loads(members["config.json"])
        config["config"]["layers"][1] = {
            "module": "os", "class_name": "function", "config": "system", "registered_name": "system",
        }  # fmt: skip
        members["config.json"] = json.dumps(config).encode()

    dense(3).save(tmp_path / "m.keras")
    with pytest.raises(TypeError, match="system"):
        saving.load_model(repacked(tmp_path / "m.keras", tmp_path / "e.keras", evil))


def test_a_failed_save_leaves_the_file_as_it_was(tmp_path):
    import resource

    model, large = dense(3), dense(300, 300)
    names = ["m.h5", "m.keras", "m.weights.h5"]
    for name in names:
        (model.save_weights if "weights" in name else model.save)(tmp_path / name)
    before = {name: (tmp_path / name).read_bytes() for name in names}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    try:
        for name in names:
            with pytest.raises(OSError, match="File too large"):
                (large.save_weights if "weights" in name else large.save)(tmp_path / name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    with pytest.raises(FileExistsError):
        model.save(tmp_path / "m.keras", overwrite=False)
    with pytest.raises(ValueError, match="not.*built|no weights yet"):
        cnnrs.Sequential([layers.Dense(2)]).save_weights(tmp_path / "u.weights.h5")


# ---- Keras 2


def keras_2(path: Path, config: Any, weights: dict[str, list[np.ndarray]], training: Any = None) -> Path:
    """A legacy file as Keras 2 wrote it."""
    root = hdf5.Group(attrs={"keras_version": "2.12.0", "backend": "tensorflow"})
    root.attrs["model_config"] = json.dumps(config)
    if training is not None:
        root.attrs["training_config"] = json.dumps(training)
    group = root.group("model_weights")
    group.attrs["layer_names"] = list(weights)
    for layer, arrays in weights.items():
        inner = group.group(layer)
        names = [f"{layer}/{name}:0" for name, _ in zip(("kernel", "bias"), arrays, strict=False)]
        inner.attrs["weight_names"] = names
        for name, array in zip(names, arrays, strict=True):
            inner.group(layer).arrays[name.split("/")[1]] = array
    hdf5.write(path, root)
    return path


def layer(name: str, cls: str, inbound: Any, **config: Any) -> dict[str, Any]:
    return {"class_name": cls, "name": name, "config": {"name": name, **config}, "inbound_nodes": inbound}


def test_a_functional_model_of_keras_2(tmp_path):
    kernel, bias = np.arange(12, dtype="float32").reshape(4, 3), np.ones(3, "float32")
    config = {
        "class_name": "Functional",
        "config": {
            "name": "model",
            "layers": [
                layer("x", "InputLayer", [], batch_input_shape=[None, 4], dtype="float32", sparse=False),
                layer(
                    "d", "Dense", [[["x", 0, 0, {}]]], trainable=True, dtype="float32", units=3,
                    activation="linear", use_bias=True,
                    kernel_initializer={"class_name": "GlorotUniform", "config": {"seed": None}},
                    bias_initializer={"class_name": "Zeros", "config": {}},
                    kernel_regularizer={"class_name": "L2", "config": {"l2": 0.01}},
                ),
                layer("tf.math.add", "TFOpLambda", [["d", 0, 0, {"y": 1.0, "name": None}]],
                      trainable=True, dtype="float32", function="math.add"),
                layer("tf.concat", "TFOpLambda",
                      [[["tf.math.add", 0, 0, {"axis": -1}], ["d", 0, 0, {"axis": -1}]]], function="concat"),
                layer("bn", "BatchNormalization", [[["tf.concat", 0, 0, {}]]], axis=[1], momentum=0.9,
                      epsilon=0.001, center=False, scale=False),
            ],
            "input_layers": [["x", 0, 0]],
            "output_layers": [["bn", 0, 0]],
        },
    }  # fmt: skip
    training = {
        "loss": "mse",
        "metrics": [[{"class_name": "MeanMetricWrapper", "config": {"name": "mae", "fn": "mae"}}]],
        "weighted_metrics": None, "loss_weights": None,
        "optimizer_config": {"class_name": "Adam", "config": {
            "name": "Adam", "learning_rate": 0.01, "decay": 0.0, "beta_1": 0.9,
            "is_legacy_optimizer": False}},
    }  # fmt: skip
    mean = [np.zeros(6, "float32"), np.ones(6, "float32")]
    path = keras_2(tmp_path / "m.h5", config, {"x": [], "d": [kernel, bias], "bn": mean}, training)
    model = saving.load_model(path)
    d = X @ kernel + bias
    expected = np.concatenate([d + 1, d], axis=-1) / np.sqrt(1.001)
    np.testing.assert_allclose(model(X), expected, rtol=1e-5, atol=1e-5)
    assert float(model.optimizer.learning_rate.numpy()) == pytest.approx(0.01)
    config["config"]["layers"][2]["config"]["function"] = "signal.fft"
    path = keras_2(tmp_path / "n.h5", config, {"x": [], "d": [kernel, bias], "bn": mean})
    with pytest.raises(ValueError, match=r"tf\.signal\.fft.*cnnrs\.ops"):
        saving.load_model(path)


def test_models_inside_of_a_model_of_keras_2(tmp_path):
    kernel = np.eye(4, dtype="float32")
    inner = {
        "name": "inner",
        "layers": [layer("i", "InputLayer", [], batch_input_shape=[None, 4]),
                   layer("d", "Dense", [[["i", 0, 0, {}]]], units=4, use_bias=False)],
        "input_layers": [["i", 0, 0]], "output_layers": [["d", 0, 0]],
    }  # fmt: skip
    entry = {"class_name": "Functional", "name": "inner", "config": inner}
    config = {
        "class_name": "Functional",
        "config": {
            "name": "outer",
            "layers": [layer("x", "InputLayer", [], batch_input_shape=[None, 4]),
                       {**entry, "inbound_nodes": [[["x", 0, 0, {}]], [["r", 0, 0, {}]]]},
                       layer("r", "ReLU", [[["inner", 1, 0, {}]]])],
            "input_layers": [["x", 0, 0]], "output_layers": [["inner", 2, 0]],
        },
    }  # fmt: skip
    path = keras_2(tmp_path / "m.h5", config, {"x": [], "inner": [kernel], "r": []})
    with pytest.warns(UserWarning, match="not compiled"):
        model = saving.load_model(path)
    np.testing.assert_allclose(model(X), np.maximum(X, 0), rtol=1e-6)


def test_a_sequential_model_of_keras_2(tmp_path):
    kernel, bias = np.ones((4, 2), "float32"), np.zeros(2, "float32")
    parts = [
        {"class_name": "Dense", "config": {"name": "d", "batch_input_shape": [None, 4], "units": 2}},
        {"class_name": "ReLU", "config": {"name": "r"}},
    ]
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": parts}}
    path = keras_2(tmp_path / "m.h5", config, {"d": [kernel, bias], "r": []})
    with pytest.warns(UserWarning, match="not compiled"):
        model = saving.load_model(path)
    np.testing.assert_allclose(model(X), np.maximum(X.sum(1, keepdims=True), 0) * np.ones(2), rtol=1e-5)


def test_paths_of_objects_in_a_model():
    model = zoo.subclassed(cnnrs).model
    model(X)
    paths = {saved.path for saved in saved_objects(model)}
    assert {"blocks/container/scale", "heads/dense_1", "layers/dense", "optimizer"} <= paths


# ---- looking at files


def test_an_editor_of_files(tmp_path, capsys):
    model = dense(3)
    model.save(tmp_path / "m.keras")
    editor = saving.KerasFileEditor(tmp_path / "m.keras")
    assert editor.config["class_name"] == "Sequential"
    assert editor.compare(model)["status"] == "success"
    wider = cnnrs.Sequential([cnnrs.Input((4,)), layers.Dense(3), layers.Dense(2), layers.Dense(1)])
    wider.compile("adam", "mse")
    assert editor.compare(wider)["status"] == "error"
    editor.rename_object("layers/dense_1", "dense_2")
    editor.add_object("layers/dense_1", {"0": np.ones((3, 2))})
    editor.add_weights("layers/dense_1", {"1": np.ones(2)})
    editor.rename_object("dense_2", "dense_9")
    editor.add_object("dense_8", {"0": np.ones(1)})
    editor.delete_object("dense_8")
    editor.add_weights("layers/dense_9", {"0": np.ones((2, 1), "float32"), "7": np.ones(1)})
    editor.delete_weight("dense_9", "7")
    editor.rename_object("dense_9", "dense_2")
    assert editor.compare(wider) == {"status": "success", "error_count": 0, "match_count": 8}
    editor.save(tmp_path / "n.weights.h5")
    wider.load_weights(tmp_path / "n.weights.h5")
    np.testing.assert_array_equal(wider.layers[1].kernel, np.ones((3, 2)))
    editor.summary()
    assert "layers/dense_1/0   (3, 2)" in capsys.readouterr().out
    with pytest.raises(ValueError, match="not found"):
        editor.delete_object("none")
    with pytest.raises(ValueError, match=r"\.weights\.h5"):
        editor.save(tmp_path / "n.keras")
    with pytest.raises(ValueError, match="Invalid filename"):
        saving.KerasFileEditor(tmp_path / "m.safetensors")


@pytest.mark.parametrize(
    "name", ["m.keras", "m.h5", "m.safetensors", "m.weights.h5", "m.weights.safetensors", "m.weights.json"]
)
def test_the_command_line_shows_each_format(tmp_path, capsys, name):
    from cnnrs import cli

    model = dense(3)
    if name.endswith("json"):
        model.save_weights(tmp_path / name, max_shard_size=1)
    else:
        (model.save_weights if "weights" in name else model.save)(tmp_path / name)
    assert cli.main(["summary", str(tmp_path / name)]) == 0
    text = capsys.readouterr().out
    assert "(4, 3)" in text
    assert "made by" in text
    assert ("a Sequential of" in text) == ("weights" not in name)
    (tmp_path / name).write_bytes(b"other")
    assert cli.main(["summary", str(tmp_path / name)]) == 1
    assert name in capsys.readouterr().err


@saving.register_keras_serializable("Namesakes", name="Dense")
class Namesake(layers.Dense):
    def call(self, x):
        return super().call(x) * 100


@saving.register_keras_serializable("Namesakes", name="relu")
def own_relu(x):
    return cnnrs.ops.relu(x) + 7


@pytest.mark.parametrize("ending", ["keras", "h5", "safetensors"])
def test_a_registered_namesake_does_not_take_the_place_of_a_layer_of_the_package(tmp_path, ending):
    model = cnnrs.Sequential([cnnrs.Input((4,)), layers.Dense(3, activation="relu"), Namesake(2)])
    model.save(tmp_path / f"m.{ending}")
    again = saving.load_model(tmp_path / f"m.{ending}", compile=False)
    assert [type(layer) for layer in again.layers] == [layers.Dense, Namesake]
    assert np.array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    assert type(layers.deserialize({"class_name": "Dense", "config": {"units": 2}})) is layers.Dense


def test_what_another_package_registered_is_another_class():
    data = saving.serialize_keras_object(Namesake(2))
    assert type(saving.deserialize_keras_object(data)) is Namesake
    with pytest.raises(TypeError, match="cannot find class 'Namesake'"):
        saving.deserialize_keras_object({**data, "registered_name": "Elsewhere>Dense"})
    # Files of what was not registered name no package; custom_objects may do without it.
    unregistered = {**data, "module": "elsewhere", "class_name": "Dense", "registered_name": None}
    assert type(saving.deserialize_keras_object(unregistered)) is Namesake
    named = {**data, "registered_name": "Elsewhere>Dense"}
    assert type(saving.deserialize_keras_object(named, custom_objects={"Namesake": Namesake})) is Namesake


def test_registered_functions_are_written_as_keras_looks_for_them(tmp_path):
    model = cnnrs.Sequential([cnnrs.Input((4,)), layers.Dense(3, activation=own_relu)])
    model.compile("sgd", own_loss)
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        config = json.loads(archive.read("config.json"))
    written = [config["config"]["layers"][1]["config"]["activation"], config["compile_config"]["loss"]]
    expected = ["Namesakes>relu", "own_loss"]
    for found, name in zip(written, expected, strict=True):
        assert found == {
            "module": "builtins",
            "class_name": "function",
            "config": name,
            "registered_name": "function",
        }
    again = saving.load_model(tmp_path / "m.keras", custom_objects={"own_loss": own_loss})
    assert again.layers[0].activation is own_relu
    assert again.loss is own_loss
    with pytest.raises(TypeError, match="cannot find function 'own_loss'"):
        saving.load_model(tmp_path / "m.keras")


def own_loss(y_true, y_pred):
    return cnnrs.ops.mean(cnnrs.ops.abs(y_true - y_pred), axis=-1)


def ops_with_leading_arguments(x):
    """Ops that Keras makes with what they take before, between and after the tensors it calls them with."""
    product = cnnrs.ops.einsum("bi,bj->bij", x, x)
    mean = cnnrs.ops.average(product, axis=1, weights=cnnrs.ops.ones((4,)))
    scaled = cnnrs.ops.batch_normalization(mean, np.zeros(4), np.ones(4), -1, np.ones(4), np.full(4, 2.0))
    padded = cnnrs.ops.pad(scaled, ((0, 0), (1, 0)), "constant", 3.0)
    return cnnrs.ops.reshape(cnnrs.ops.silu(cnnrs.ops.abs(padded)), (-1, 5, 1))


@pytest.mark.parametrize("ending", ["keras", "h5", "safetensors"])
def test_ops_keep_the_order_of_their_arguments(tmp_path, ending):
    inputs = cnnrs.Input((4,))
    model = cnnrs.Model(inputs, ops_with_leading_arguments(inputs))
    model.save(tmp_path / f"m.{ending}")
    again = saving.load_model(tmp_path / f"m.{ending}", compile=False)
    assert np.array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))


def test_an_unknown_function_inside_of_a_layer_is_an_unknown_name(tmp_path):
    model = cnnrs.Sequential([cnnrs.Input((4,)), layers.Dense(3, activation="relu")])
    model.layers[0].activation = own_activation
    for name in ("m.keras", "m.h5", "m.safetensors"):
        model.save(tmp_path / name)
        with pytest.raises(TypeError, match="cannot find function 'own_activation'"):
            saving.load_model(tmp_path / name, compile=False)


def own_activation(x):
    return cnnrs.ops.tanh(x)


def test_an_open_file_is_read_from_its_beginning_and_holds_bytes(tmp_path):
    model, buffer = dense(3), io.BytesIO()
    saving.save_model(model, buffer)
    again = saving.load_model(buffer)
    assert np.array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    with pytest.raises(TypeError, match="expected a file of bytes, received one of str"):
        saving.load_model(io.StringIO(str(tmp_path / "m.keras")))


@saving.register_keras_serializable("Pairs")
class Pair(cnnrs.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first, self.second = layers.Dense(3, activation="relu"), layers.Dense(1)

    def call(self, x):
        return self.second(self.first(x))


def test_a_subclassed_model_in_legacy_hdf5_is_built_again(tmp_path):
    model = Pair()
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "m.h5")
    again = saving.load_model(tmp_path / "m.h5")
    assert type(again) is Pair
    assert np.array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    assert again.optimizer.iterations.numpy() == 1
    # Keras does not say how such a model is built.
    root = hdf5.read(str(tmp_path / "m.h5"))
    config = json.loads(root.attrs["model_config"])
    del config["build_config"]
    root.attrs["model_config"] = json.dumps(config)
    hdf5.write(str(tmp_path / "m.h5"), root)
    with pytest.raises(ValueError, match="does not say how Pair is built"):
        saving.load_model(tmp_path / "m.h5")
    again.load_weights(tmp_path / "m.h5")


def test_shards_take_their_places_when_all_of_them_are_whole(tmp_path, monkeypatch):
    model, path = dense(64), tmp_path / "m.weights.json"
    model.save_weights(path, max_shard_size=1e-6)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert len(before) > 2
    write, calls = hdf5.write, []

    def full(*args):
        calls.append(args)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        write(*args)

    model.fit(X, Y, verbose=0)
    monkeypatch.setattr(hdf5, "write", full)
    with pytest.raises(OSError, match="No space left"):
        model.save_weights(path, max_shard_size=1e-6)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    monkeypatch.setattr(hdf5, "write", write)
    (tmp_path / "m_00001.weights.h5").unlink()
    (tmp_path / "m_00001.weights.h5").mkdir()
    with pytest.raises(OSError, match="expected a regular file"):
        model.save_weights(path, max_shard_size=1e-6)
    assert (tmp_path / "m_00000.weights.h5").read_bytes() == before["m_00000.weights.h5"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    def full(self, data):
        raise OSError(28, "No space left on device")

    model = dense(3)
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="cannot write: No space left on device: .*m'"):
        model.save(tmp_path / "m", zipped=False)
    assert not list(tmp_path.iterdir())


def test_a_file_without_state_of_training_is_no_backup(tmp_path):
    model = dense(3)
    model.save_weights(tmp_path / "x.weights.safetensors")
    (tmp_path / "x.weights.safetensors").rename(tmp_path / "latest.safetensors")
    with pytest.raises(ValueError, match="holds no state of training"):
        model.fit(X, Y, verbose=0, callbacks=[cnnrs.callbacks.BackupAndRestore(tmp_path)])


@pytest.mark.parametrize(
    ("member", "text", "message"),
    [
        ("config.json", b"[" * 100_000, "config.json is damaged"),
        ("config.json", b"[1]", "expected an object as JSON"),
        ("config.json", b"\xff", "config.json is damaged"),
        ("metadata.json", b"nothing", "metadata.json is damaged"),
    ],
)
def test_a_summary_of_a_damaged_description_is_an_error(tmp_path, member, text, message):
    saving.save_model(dense(3), tmp_path / "m", zipped=False)
    (tmp_path / "m" / member).write_bytes(text)
    with pytest.raises(ValueError, match=message):
        contents_of(tmp_path / "m")


def test_a_summary_shows_folders_and_does_not_steer_the_terminal(tmp_path):
    saving.save_model(dense(3), tmp_path / "m", zipped=False)
    assert describe(contents_of(tmp_path / "m")).startswith("folder of a Keras archive, made by Keras 3")
    config = {
        "class_name": "Sequential\x1b[31m",
        "config": {"name": "m", "layers": [3, {"config": 4}, {"config": {"name": "\x1b[2J\n"}}]},
    }
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    lines = describe(contents_of(tmp_path / "m")).split("\n")
    assert lines[1:5] == [
        "model 'm', a Sequential\\x1b[31m of 3 layers",
        "  ? (?)",
        "  ? (?)",
        "  \\x1b[2J\\n (?)",
    ]
    config["config"]["layers"] = 5
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    assert "of 0 layers" in describe(contents_of(tmp_path / "m"))


def test_an_editor_takes_arrays_of_numbers_alone(tmp_path):
    dense(3).save_weights(tmp_path / "m.weights.h5")
    editor = saving.KerasFileEditor(tmp_path / "m.weights.h5")
    for add in (editor.add_weights, editor.add_object):
        with pytest.raises(ValueError, match="expected an array of numbers for '0'"):
            add("layers/dense", {"0": "text"})


class Unregistered(layers.Layer):
    table = 1.0

    def call(self, x):
        return x * self.table

    def save_own_variables(self, store):
        store["table"] = np.asarray(self.table)

    def load_own_variables(self, store):
        self.table = float(store["table"])


def test_what_is_not_registered_is_written_by_its_own_name(tmp_path):
    model = cnnrs.Sequential([cnnrs.Input((4,)), Unregistered()])
    model.layers[0].table = 3.0
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        config = json.loads(archive.read("config.json"))
    # Keras looks for a class by its registered name, which then is that of the class.
    assert config["config"]["layers"][1]["registered_name"] == "Unregistered"
    with pytest.raises(TypeError, match="cannot find class 'Unregistered'"):
        saving.load_model(tmp_path / "m.keras")
    again = saving.load_model(tmp_path / "m.keras", custom_objects={"Unregistered": Unregistered})
    assert again.layers[0].table == 3


def test_legacy_hdf5_says_what_it_leaves_out(tmp_path):
    model = cnnrs.Sequential([cnnrs.Input((4,)), Unregistered(name="table"), layers.Dense(2)])
    with pytest.warns(
        UserWarning, match=r"table: .* what Unregistered.save_own_variables stores is left out"
    ):
        model.save(tmp_path / "m.h5")


def test_a_clone_keeps_lambdas_and_what_is_not_registered():
    model = cnnrs.Sequential([cnnrs.Input((4,)), layers.Lambda(lambda x: x * 2), Unregistered()])
    model.add(layers.Dense(2, activation=own_activation))
    inputs = cnnrs.Input((4,))
    for source in (model, cnnrs.Model(inputs, layers.Dense(2)(layers.Lambda(lambda x: x + 1)(inputs)))):
        clone = cnnrs.models.clone_model(source)
        clone.set_weights(source.get_weights())
        assert np.array_equal(clone.predict(X, verbose=0), source.predict(X, verbose=0))

"""Keras's networks: what they are made of, for each option, is what Keras makes them of.

`tests/fixtures/keras_networks.json.xz` has Keras's models; `make fixtures` writes it.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnrs
from cnnrs import applications, layers
from cnnrs.applications import building, imagenet_utils
from cnnrs.applications.networks import NETWORKS as TABLE
from cnnrs.applications.networks import File, Weights

sys.path.insert(0, str(Path(__file__).parents[1] / "fixtures"))

from network_cases import NETWORKS, Case, cases, describe, read

KERAS = read()


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
        _, name, _, config = layer
        found.append(((name, set(config)), (name, set(other[3]))))
        found += [((name, key, config.get(key)), (name, key, value)) for key, value in other[3].items()]
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


def tiny(x: Any) -> Any:
    """Features that take no time."""
    x = layers.AveragePooling2D(32, name="small")(x)
    return layers.Conv2D(4, 1, name="mix")(x)


def assembled(files: Weights | None = None, **options: Any) -> cnnrs.Model:
    """A model of a network whose trained weights are `files`."""
    given = {"include_top": True, "weights": "imagenet", "input_tensor": None, "input_shape": None}
    given |= {"pooling": None, "classes": 1000, "classifier_activation": "softmax", "name": "tiny"}
    top = building.Top(building.classifier(None))
    return building.assemble("VGG16", tiny, top, files=files, **given | options)


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store with the weights of `tiny`, and the models that they are of."""
    monkeypatch.setenv("CNNRS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    models, files = [], []
    for top in (True, False):
        models.append(assembled(include_top=top, weights=None))
        path = tmp_path / f"tiny_{top}.weights.safetensors"
        models[-1].save_weights(path)
        files.append(File(path.name, path.as_uri(), hashlib.md5(path.read_bytes()).hexdigest()))
    return models, Weights(*files)


def same_weights(one: cnnrs.Model, other: cnnrs.Model) -> bool:
    pairs = zip(one.get_weights(), other.get_weights(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def test_trained_weights_are_fetched_once(store, tmp_path):
    (whole, features), files = store
    for options in ({}, {"classifier_activation": None}, {"name": "mine"}):
        assert same_weights(assembled(files, **options), whole)
    assert same_weights(assembled(files, include_top=False, input_shape=(64, 96, 3)), features)
    assert {path.name for path in (tmp_path / "home" / "models").iterdir() if path.name[0] != "."} == {
        files.top.name,
        files.no_top.name,
    }
    # From now on nothing is fetched.
    gone = Weights(*(file._replace(address="http://127.0.0.1:9/gone") for file in files))
    assert same_weights(assembled(gone), whole)


def test_weights_of_a_path_are_loaded(store, tmp_path):
    (whole, _), files = store
    path = tmp_path / files.top.name
    assert same_weights(assembled(weights=path), whole)
    assert same_weights(assembled(weights=str(path)), whole)
    with pytest.raises(ValueError):
        assembled(weights=path, classes=10)
    with pytest.raises(ValueError, match="classifier_activation"):
        assembled(weights=path, classifier_activation="relu")


def test_weights_that_are_not_to_be_had_are_no_others(store, tmp_path, monkeypatch):
    _, files = store
    wrong = Weights(*(file._replace(checksum="0" * 32) for file in files))
    with pytest.raises(ValueError, match="0{32}"):
        assembled(wrong)
    gone = Weights(*(file._replace(address="http://127.0.0.1:9/gone.h5") for file in files))
    monkeypatch.setattr(sys.modules[__name__], "tiny", None)  # nothing is built in vain
    with pytest.raises(OSError, match=r"http://127\.0\.0\.1:9/gone\.h5") as caught:
        assembled(gone)
    assert str(tmp_path / "home" / "models" / files.top.name) in str(caught.value)
    assert not any((tmp_path / "home" / "models").glob("tiny*"))


@pytest.fixture
def asked(monkeypatch):
    """What networks ask `get_file` for, which gives nothing."""
    found = []

    def get_file(fname: str, origin: str, **options: Any) -> str:
        found.append((fname, origin, options["cache_subdir"], options["file_hash"]))
        raise OSError("nothing is fetched here")

    monkeypatch.setattr(cnnrs.utils, "get_file", get_file)
    return found


@pytest.mark.parametrize(
    ("network", "options", "folder", "name", "has_checksum"),
    [
        ("MobileNet", {}, "mobilenet", "mobilenet_1_0_224_tf.h5", False),
        ("MobileNet", {"alpha": 0.25, "input_shape": (128, 128, 3), "include_top": False}, "mobilenet",
         "mobilenet_2_5_128_tf_no_top.h5", False),
        ("MobileNetV2", {"alpha": 1.4}, "mobilenet_v2",
         "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.4_224.h5", False),
        ("MobileNetV2", {"alpha": 1, "input_shape": (96, 96, 3), "include_top": False}, "mobilenet_v2",
         "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_96_no_top.h5", False),
        ("MobileNetV3Small", {}, "mobilenet_v3", "weights_mobilenet_v3_small_224_1.0_float.h5", True),
        ("MobileNetV3Large", {"minimalistic": True, "include_top": False}, "mobilenet_v3",
         "weights_mobilenet_v3_large_minimalistic_224_1.0_float_no_top_v2.h5", True),
        ("NASNetMobile", {"include_top": False, "input_shape": (224, 224, 3)}, "nasnet",
         "nasnet_mobile_no_top.h5", True),
        ("Xception", {}, "xception", "xception_weights_tf_dim_ordering_tf_kernels.h5", True),
    ],
)  # fmt: skip
def test_networks_ask_for_the_files_of_keras(network, options, folder, name, has_checksum, asked):
    with pytest.raises(OSError, match="nothing is fetched here"):
        getattr(applications, network)(**options)
    ((fname, origin, subdir, checksum),) = asked
    assert (fname, subdir, checksum is not None) == (name, "models", has_checksum)
    assert origin.startswith(f"https://storage.googleapis.com/tensorflow/keras-applications/{folder}/")


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        ("MobileNet", {"alpha": 0.3}, "alpha: expected one of 0.25, 0.5, 0.75, 1.0 .*received 0.3"),
        ("MobileNet", {"depth_multiplier": 2}, "depth_multiplier: expected 1 .*received 2"),
        ("MobileNet", {"depth_multiplier": 0, "weights": None}, "depth_multiplier: .*received 0"),
        ("MobileNetV2", {"alpha": "1"}, "alpha: expected a finite number > 0, received '1'"),
        ("MobileNetV3Small", {"alpha": 0.5}, "alpha: expected 0.75 or 1.0 .*received 0.5"),
        ("MobileNetV3Large", {"alpha": 0.75, "minimalistic": True}, "alpha: expected 1.0 .*received 0.75"),
        ("Xception", {"input_shape": (70, 90, 3), "include_top": False}, "height and width of at least 71"),
        ("InceptionV3", {"input_shape": (74, 90, 3), "include_top": False}, "at least 75"),
        ("InceptionV3", {"input_shape": (224, 224, 3)}, r"expected \(299, 299, 3\)"),
    ],
)
def test_options_without_weights_are_refused(network, options, message, asked):
    with pytest.raises(ValueError, match=f"{network}: .*{message}"):
        getattr(applications, network)(**options)
    assert asked == []


def test_weights_of_another_size_are_warned_of(asked):
    with (
        pytest.warns(UserWarning, match="MobileNetV2: there are weights for square images.*those for 224"),
        pytest.raises(OSError),
    ):
        applications.MobileNetV2(include_top=False, input_shape=(150, 150, 3))
    assert asked[0][0].endswith("_1.0_224_no_top.h5")


def test_predictions_have_names(monkeypatch, tmp_path):
    path = tmp_path / "index.json"
    path.write_text(json.dumps({str(n): [f"n{n:08}", f"thing_{n}"] for n in range(1000)}))
    asked = []

    def get_file(fname: str, origin: str, **options: Any) -> str:
        asked.append((fname, options["file_hash"]))
        return str(path)

    monkeypatch.setattr(cnnrs.utils, "get_file", get_file)
    imagenet_utils._class_index.cache_clear()
    scores = np.zeros((2, 1000), np.float32)
    scores[0, [7, 3, 999]] = 0.5, 0.3, 0.2
    scores[1, 0] = 1
    try:
        for preds in (scores, cnnrs.ops.convert_to_tensor(scores), scores.tolist()):
            first, second = applications.vgg16.decode_predictions(preds, top=3)
            assert [entry[:2] for entry in first] == [
                ("n00000007", "thing_7"),
                ("n00000003", "thing_3"),
                ("n00000999", "thing_999"),
            ]
            assert [float(entry[2]) for entry in first] == pytest.approx([0.5, 0.3, 0.2])
            assert second[0][:2] == ("n00000000", "thing_0") and len(second) == 3
        assert [len(row) for row in applications.resnet.decode_predictions(scores)] == [5, 5]
        assert len(applications.resnet.decode_predictions(scores, top=1000)[0]) == 1000
    finally:
        imagenet_utils._class_index.cache_clear()
    assert asked == [("imagenet_class_index.json", "c2c37ea517e94d9795004a39431a14cb")]
    for preds in (scores[0], scores[:, :10], np.zeros(())):
        with pytest.raises(ValueError, match=r"preds: expected shape \(batch, 1000\).*received shape"):
            applications.vgg16.decode_predictions(preds)
    for top in (0, 1001, 2.5):
        with pytest.raises(ValueError, match="top: expected an integer >= 1 and <= 1000"):
            applications.vgg16.decode_predictions(scores, top)

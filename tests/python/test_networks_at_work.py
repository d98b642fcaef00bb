"""Keras's newer networks: copies, training of a head and of all, 16 bits, layers that they bring along."""

import json

import numpy as np
import pytest

import cnnrs
from cnnrs import applications, detection, layers
from cnnrs.applications.convnext import LayerScale, StochasticDepth
from cnnrs.initializers.draws import weights_follow
from cnnrs.saving.keras_config import from_keras, to_keras

# One of each family.
NETWORKS = ["DenseNet121", "NASNetMobile", "EfficientNetB0", "EfficientNetV2B0", "ConvNeXtTiny"]
SHAPE = (64, 64, 3)


def images(count=2):
    return np.random.default_rng(0).uniform(0, 255, (count, *SHAPE)).astype("float32")


def features(network):
    cnnrs.utils.set_random_seed(1)
    build = getattr(applications, network)
    return build(weights=None, include_top=False, input_shape=SHAPE, pooling="avg")


def with_head(base, **options):
    inputs = layers.Input(SHAPE)
    x = layers.Dropout(0.2)(base(inputs, **options))
    return cnnrs.Model(inputs, layers.Dense(3, activation="softmax", dtype="float32")(x))


@pytest.mark.parametrize("network", NETWORKS)
def test_copies_compute_the_same(network):
    model = features(network)
    expected = model.predict(images(), verbose=0)
    assert np.isfinite(expected).all() and expected.std() > 0
    with weights_follow():
        copies = {
            "config": cnnrs.Model.from_config(model.get_config()),
            "json": cnnrs.models.model_from_json(model.to_json()),
            "clone": cnnrs.models.clone_model(model),
        }
    assert json.loads(model.to_json())["config"]["name"] == model.name
    for way, copy in copies.items():
        assert [(type(layer), layer.name) for layer in copy.layers] == [
            (type(layer), layer.name) for layer in model.layers
        ]
        copy.set_weights(model.get_weights())
        np.testing.assert_array_equal(copy.predict(images(), verbose=0), expected, err_msg=way)


@pytest.mark.parametrize("network", ["EfficientNetB0", "ConvNeXtTiny"])
def test_files_of_keras_bring_networks_back(network, tmp_path):
    model = features(network)
    expected = model.predict(images(), verbose=0)
    model.save(tmp_path / "whole.keras")
    np.testing.assert_array_equal(
        cnnrs.models.load_model(tmp_path / "whole.keras").predict(images(), verbose=0), expected
    )
    model.save_weights(tmp_path / "a.weights.h5")
    options = {"include_top": False, "input_shape": SHAPE, "pooling": "avg"}
    again = getattr(applications, network)(weights=tmp_path / "a.weights.h5", **options)
    np.testing.assert_array_equal(again.predict(images(), verbose=0), expected)
    # Weights of another network are refused.
    with pytest.raises(ValueError, match=r"expected|received|shape|layers"):
        applications.DenseNet121(weights=tmp_path / "a.weights.h5", **options)


@pytest.mark.parametrize("network", NETWORKS)
def test_summaries_name_each_layer(network):
    model, lines = features(network), []
    model.summary(print_fn=lambda text, line_break=False: lines.append(text), line_length=150)
    text = "\n".join(lines)
    assert all(layer.name in text for layer in model.layers)
    assert f"{model.count_params():,}" in text


@pytest.mark.parametrize("network", NETWORKS)
def test_a_head_is_trained_and_then_all(network):
    base = features(network)
    base.trainable = False
    model = with_head(base, training=False)
    labels = np.array([0, 1])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    before, head = base.get_weights(), model.layers[-1].get_weights()
    losses = model.fit(images(), labels, epochs=2, verbose=0).history["loss"]
    assert np.isfinite(losses).all() and len(model.trainable_weights) == 2
    assert (model.layers[-1].get_weights()[0] != head[0]).any()
    for weight, value in zip(base.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)
    base.trainable = True
    model.compile(cnnrs.optimizers.Adam(1e-4), "sparse_categorical_crossentropy")
    assert np.isfinite(model.fit(images(), labels, verbose=0).history["loss"]).all()
    # The last dense weights of the base learn; the statistics of a base in inference mode stay.
    last = base.trainable_weights[-1]
    moved = {w.path: (w.numpy() != v).any() for w, v in zip(base.weights, before, strict=True)}
    assert moved[last.path]
    assert not any(moved[w.path] for w in base.non_trainable_weights)


@pytest.mark.parametrize("network", ["EfficientNetB0", "ConvNeXtTiny"])
def test_16_bits_predict_and_train(network):
    whole = features(network)
    cnnrs.config.set_dtype_policy("mixed_float16")
    try:
        model = features(network)
    finally:
        cnnrs.config.set_dtype_policy("float32")
    assert {w.dtype for w in model.trainable_weights} == {"float32"}
    model.set_weights(whole.get_weights())
    found, expected = (m.predict(images(), verbose=0) for m in (model, whole))
    assert found.dtype == "float16"
    np.testing.assert_allclose(found.astype("float32"), expected, atol=0.02 * np.abs(expected).max())
    trained = with_head(model)
    trained.compile(
        cnnrs.optimizers.LossScaleOptimizer(cnnrs.optimizers.Adam()), "sparse_categorical_crossentropy"
    )
    losses = trained.fit(images(4), np.array([0, 1, 2, 1]), epochs=3, verbose=0).history["loss"]
    assert np.isfinite(losses).all()


@pytest.mark.parametrize("network", ["NASNetMobile", "NASNetLarge"])
def test_nasnet_knows_its_size(network):
    # Its cells halve what they read by the sizes that they see.
    build, size = getattr(applications, network), 224 if network == "NASNetMobile" else 331
    assert build(weights=None, include_top=False).input_shape == (None, size, size, 3)
    with pytest.raises(ValueError, match=f"{network}: input_shape: expected .* which the network needs"):
        build(weights=None, include_top=False, input_shape=(None, None, 3))


@pytest.mark.parametrize(
    ("network", "options"),
    [
        *[(n, {"include_top": False}) for n in ("DenseNet121", "NASNetMobile", "ConvNeXtTiny", "LeNet5")],
        *[(n, {}) for n in ("UNet", "FCN", "FCN8s", "DeepLabV3", "DeepLabV3Plus")],
        ("YOLOX", {"classes": 2}),
    ],
)
def test_networks_that_need_channels_at_the_end_say_so(network, options):
    make = detection.YOLOX if network == "YOLOX" else getattr(applications, network)
    options = options if network == "YOLOX" else {"weights": None, **options}
    cnnrs.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ValueError, match="expected .* to be 'channels_last', received 'channels_first'"):
            make(input_shape=(3, 64, 64), **options)
    finally:
        cnnrs.config.set_image_data_format("channels_last")


@pytest.mark.parametrize("network", ["NASNetMobile", "EfficientNetV2S", "ConvNeXtBase"])
def test_arguments_that_a_network_lacks_are_refused(network):
    build = getattr(applications, network)
    with pytest.raises(TypeError, match=f"{network}: unexpected argument 'poling'; did you mean 'pooling'"):
        build(poling="avg")
    with pytest.raises(TypeError, match=f"{network}: .*too many positional arguments"):
        build(*range(12))
    with pytest.raises(TypeError, match=f"{network}: multiple values for argument"):
        build(None, **{"input_shape" if network == "NASNetMobile" else "include_top": None})


@pytest.mark.parametrize("rate", [0.0, 0.25, 0.75])
def test_stochastic_depth_drops_whole_images(rate):
    layer = StochasticDepth(rate)
    x = np.random.default_rng(0).uniform(1, 2, (400, 2, 3)).astype("float32")
    np.testing.assert_array_equal(layer(x), x)
    factors = layer(x, training=True).numpy() / x
    # One factor for each image: 0, or what keeps the mean.
    np.testing.assert_allclose(factors, np.broadcast_to(factors[:, :1, :1], x.shape), rtol=1e-6)
    kept = factors[:, 0, 0] > 0
    np.testing.assert_allclose(factors[kept], 1 / (1 - rate), rtol=1e-6)
    assert abs(kept.mean() - (1 - rate)) < 0.1
    assert StochasticDepth.from_config(layer.get_config()).drop_path_rate == rate


@pytest.mark.parametrize("rate", [-0.1, 1.0, "half", None])
def test_stochastic_depth_refuses_what_is_no_part(rate):
    with pytest.raises(ValueError, match="drop_path_rate: expected a number from 0 to below 1, received"):
        StochasticDepth(rate)


def test_layer_scale_learns_a_factor_for_each_channel():
    layer = LayerScale(0.5, 3)
    x = np.ones((4, 2, 3), "float32")
    np.testing.assert_array_equal(layer(x), 0.5 * x)
    model = cnnrs.Sequential([layers.Input((2, 3)), layer])
    model.compile(cnnrs.optimizers.SGD(1.0), "mse")
    model.fit(x, x * [1.0, 2.0, 3.0], batch_size=4, epochs=200, verbose=0)
    np.testing.assert_allclose(layer.gamma, [1.0, 2.0, 3.0], rtol=1e-3)
    again = LayerScale.from_config(layer.get_config())
    assert (again.init_values, again.projection_dim) == (0.5, 3)


@pytest.mark.parametrize(
    ("layer", "module"),
    [
        (LayerScale(0.5, 3), "convnext"),
        (StochasticDepth(0.5), "convnext"),
        (applications.inception_resnet_v2.CustomScaleLayer(0.1), "inception_resnet_v2"),
    ],
)
def test_files_of_keras_name_the_layers_of_networks_by_where_keras_has_them(layer, module):
    data = to_keras(cnnrs.saving.serialize_keras_object(layer))
    assert data["module"] == f"keras.src.applications.{module}"
    assert data["class_name"] == data["registered_name"] == type(layer).__name__
    assert cnnrs.saving.deserialize_keras_object(from_keras(data)).get_config() == layer.get_config()

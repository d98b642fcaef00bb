"""Models: graphs, names, configs, copies, summaries, and the networks of `applications`."""

from __future__ import annotations

import numpy as np
import pytest

import cnnrs
from cnnrs import Input, Model, Sequential, _core, layers, models, ops
from cnnrs.applications import LeNet5, ResNet18, ResNet34


def sample(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def two_headed():
    image, extra = Input((6, 6, 2), name="image"), Input((3,), name="extra")
    shared = layers.Dense(4, name="shared")
    x = layers.Flatten()(layers.Conv2D(3, 3, name="conv")(image))
    a = shared(layers.Dense(3)(x))
    b = shared(extra)
    total = layers.Concatenate(name="joined")([a, b, a * 2.0 - b])
    return Model(
        {"image": image, "extra": extra},
        {"score": layers.Dense(1, name="score")(total), "sum": ops.sum(total, axis=-1)},
        name="two_headed",
    )


def test_functional_model_computes_what_its_layers_compute():
    x = Input((4,))
    first, second = layers.Dense(3, activation="tanh"), layers.Dense(2)
    model = Model(x, second(first(x)))
    given = sample(5, 4)
    np.testing.assert_array_equal(model(given).numpy(), second(first(given)).numpy())
    assert model.layers[1:] == [first, second]
    assert [tuple(w.shape) for w in model.weights] == [(4, 3), (3,), (3, 2), (2,)]


def test_inputs_and_outputs_keep_their_structure():
    model = two_headed()
    out = model({"image": sample(2, 6, 6, 2), "extra": sample(2, 3)})
    assert set(out) == {"score", "sum"} and out["score"].shape == (2, 1) and out["sum"].shape == (2,)
    predicted = model.predict({"image": sample(2, 6, 6, 2), "extra": sample(2, 3)}, verbose=0)
    np.testing.assert_array_equal(predicted["sum"], out["sum"].numpy())


@pytest.mark.parametrize("nested", [False, True])
def test_dicts_of_inputs_have_the_keys_of_the_model(nested):
    a, b = Input((2,), name="a"), Input((2,), name="b")
    structure = {"c": a, "d": b}
    model = Model([structure] if nested else structure, a - b)
    one, two = np.full((1, 2), 1.0), np.full((1, 2), 2.0)

    def given(**parts):
        return [parts] if nested else parts

    assert model(given(d=two, c=one)).tolist() == [[-1.0, -1.0]]
    with pytest.warns(UserWarning, match="doesn't match the expected structure") as warned:
        for _ in range(2):
            assert model(given(c=one, d=two, e=two)).tolist() == [[-1.0, -1.0]]
    assert len(warned) == 1
    for wrong in ({"a": one, "b": two}, {"c": one, "b": two}, {"c": one}):
        with pytest.raises(ValueError, match=r"expected inputs by the keys \['c', 'd'\], received"):
            model(given(**wrong))
        if not nested:
            with pytest.raises(ValueError, match="expected inputs by the keys"):
                model.predict(wrong, verbose=0)
    # Names of inputs are for models whose inputs are no dict.
    plain = Model([a, b], a - b)
    assert plain({"b": two, "a": one}).tolist() == [[-1.0, -1.0]]


def test_shared_layers_are_listed_once():
    model = two_headed()
    assert [layer.name for layer in model.layers].count("shared") == 1
    assert len(model.get_layer("shared")._inbound_nodes) == 2


def test_config_round_trip_keeps_graph_and_names():
    model = two_headed()
    again = Model.from_config(model.get_config())
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
    again.set_weights(model.get_weights())
    given = {"image": sample(2, 6, 6, 2), "extra": sample(2, 3)}
    for key, value in model(given).items():
        np.testing.assert_array_equal(again(given)[key].numpy(), value.numpy())


def test_json_round_trip():
    model = two_headed()
    again = models.model_from_json(model.to_json())
    assert again.count_params() == model.count_params()


def test_clone_has_weights_of_its_own():
    model = two_headed()
    clone = models.clone_model(model)
    assert clone.count_params() == model.count_params()
    assert not {id(w) for w in clone.weights} & {id(w) for w in model.weights}
    assert clone.get_layer("shared") is not model.get_layer("shared")


def test_part_of_a_model_shares_its_layers():
    model = Sequential(
        [Input((8, 8, 1)), layers.Conv2D(2, 3, name="conv"), layers.Flatten(), layers.Dense(3)]
    )
    part = Model(model.inputs, [model.get_layer("conv").output, model.output])
    given = sample(2, 8, 8, 1)
    features, out = part(given)
    assert features.shape == (2, 6, 6, 2)
    np.testing.assert_array_equal(out.numpy(), model(given).numpy())


def test_models_nest():
    inner = Sequential([Input((4,)), layers.Dense(3), layers.Dropout(0.5, seed=1)], name="inner")
    x = Input((4,))
    outer = Model(x, layers.Dense(2)(inner(x)))
    assert len(outer.weights) == 4 and "inner" in [layer.name for layer in outer.layers]
    y = outer(sample(2, 4), training=True).numpy()
    assert y.shape == (2, 2)
    again = Model.from_config(outer.get_config())
    assert again.count_params() == outer.count_params()


def test_a_mode_set_at_the_call_stays():
    x = Input((3,))
    norm = layers.BatchNormalization()
    model = Model(x, norm(x, training=False))
    before = [w.copy() for w in model.get_weights()]
    model(sample(4, 3), training=True).numpy()
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_missing_last_axis_is_added():
    model = Sequential([Input((28, 28, 1)), layers.Flatten(), layers.Dense(2)])
    given = sample(3, 28, 28)
    np.testing.assert_array_equal(model(given).numpy(), model(given[..., None]).numpy())
    np.testing.assert_array_equal(model.predict(given, verbose=0), model(given).numpy())


@pytest.mark.parametrize("dtype", ["float64", "float16", "int64", "int32", "uint8", "bool"])
def test_inputs_are_cast(dtype):
    model = Sequential([Input((4,)), layers.Dense(2)])
    given = np.arange(8).reshape(2, 4).astype(dtype)
    np.testing.assert_allclose(model(given).numpy(), model(given.astype("float32")).numpy(), rtol=1e-6)
    np.testing.assert_allclose(model.predict(given, verbose=0), model(given).numpy(), rtol=1e-6)


def test_sequential_without_input_is_built_by_the_first_call():
    model = Sequential([layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(3)])
    assert not model.built and model.weights == []
    assert model(sample(2, 8, 8, 1)).shape == (2, 3)
    assert model.built and len(model.weights) == 4 and model.output_shape == (None, 3)


def test_sequential_add_and_pop():
    model = Sequential([Input((4,)), layers.Dense(3)])
    model.add(layers.Dense(2, name="last"))
    assert model.output_shape == (None, 2)
    assert model.pop().name == "last"
    assert model.output_shape == (None, 3) and len(model.weights) == 2
    model.add(layers.Dense(5))
    assert model(sample(1, 4)).shape == (1, 5)


def test_sequential_config_round_trip():
    model = Sequential(
        [Input((8, 8, 1)), layers.Conv2D(2, 3, activation="relu"), layers.Flatten(), layers.Dense(3)]
    )
    again = Sequential.from_config(model.get_config())
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again(sample(2, 8, 8, 1)).numpy(), model(sample(2, 8, 8, 1)).numpy())


def test_subclassed_model():
    class Net(Model):
        def __init__(self):
            super().__init__()
            self.hidden = layers.Dense(4, activation="relu")
            self.out = layers.Dense(1)

        def call(self, inputs, training=None):
            return self.out(self.hidden(inputs))

    net = Net()
    assert net(sample(2, 3)).shape == (2, 1)
    assert len(net.weights) == 4 and [layer.name for layer in net.layers] == [net.hidden.name, net.out.name]
    net.compile("sgd", "mse")
    history = net.fit(sample(16, 3), sample(16, 1, seed=1), epochs=2, verbose=0)
    assert len(history.history["loss"]) == 2


def test_a_model_of_unknown_image_size():
    x = Input((None, None, 3))
    model = Model(x, layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, padding="same", strides=2)(x)))
    assert model.layers[1].output.shape == (None, None, None, 4)
    for size in (9, 16):
        assert model(sample(1, size, size, 3)).shape == (1, 4)


def test_two_models_of_one_structure_do_not_mix():
    first, second = (Sequential([Input((4,)), layers.Dense(3)]) for _ in range(2))
    given = sample(2, 4)
    for model in (first, second):
        model.compile("sgd", "mse")
        model.predict(given, verbose=0)
    second.set_weights([np.zeros((4, 3)), np.ones(3)])
    np.testing.assert_array_equal(second.predict(given, verbose=0), np.ones((2, 3)))
    assert (first.predict(given, verbose=0) != 1).all()


def test_two_models_of_one_structure_share_plans_and_train_alone():
    def make(seed):
        cnnrs.utils.set_random_seed(seed)
        model = Sequential([Input((4,)), layers.Dense(3), layers.BatchNormalization(), layers.Dense(2)])
        model.compile("adam", "mse", metrics=["mae"])
        return model

    def train(model, x, y):
        model.fit(x, y, batch_size=5, shuffle=False, verbose=0)
        return [*model.get_weights(), model.predict(x, verbose=0), np.array(model.evaluate(x, y, verbose=0))]

    data = [(sample(10, 4, seed=i), sample(10, 2, seed=10 + i)) for i in range(2)]
    alone = [train(make(i), *data[i]) for i in range(2)]
    _core.release_memory()
    first, second = make(0), make(1)
    train(first, *data[0])
    plans = _core.cached_plans()
    train(second, *data[1])
    assert _core.cached_plans() == plans > 0
    # What one learned changes nothing in the other, and nothing of it is lost.
    for model, values in ((first, alone[0]), (second, alone[1])):
        for now, then in zip(model.get_weights(), values, strict=False):
            np.testing.assert_array_equal(now, then)
    first, second = make(0), make(1)
    for start in (0, 5):
        for model, (x, y) in ((first, data[0]), (second, data[1])):
            model.train_on_batch(x[start : start + 5], y[start : start + 5])
    for model, values in ((first, alone[0]), (second, alone[1])):
        for now, then in zip(model.get_weights(), values, strict=False):
            np.testing.assert_array_equal(now, then)


def test_symbolic_operators_and_ops():
    x, y = Input((4,)), Input((4,))
    z = (x + 1) * y - 2 / (ops.abs(y) + 1)
    z = ops.concatenate([z[:, :2], ops.where(x > 0, x, -y)[:, 1:]], axis=1)
    model = Model([x, y], z)
    a, b = sample(3, 4), sample(3, 4, seed=1)
    expected = (a + 1) * b - 2 / (np.abs(b) + 1)
    expected = np.concatenate([expected[:, :2], np.where(a > 0, a, -b)[:, 1:]], axis=1)
    np.testing.assert_allclose(model([a, b]).numpy(), expected, rtol=1e-5)
    again = Model.from_config(model.get_config())
    np.testing.assert_array_equal(again([a, b]).numpy(), model([a, b]).numpy())


def test_summary_counts(capsys):
    model = Sequential([Input((8, 8, 1)), layers.Conv2D(2, 3, name="conv"), layers.BatchNormalization()])
    model.summary()
    text = capsys.readouterr().out
    for part in (
        "conv (Conv2D)",
        "(None, 6, 6, 2)",
        "Total params: 28",
        "Trainable params: 24",
        "Non-trainable params: 4",
    ):
        assert part in text
    lines: list[str] = []
    two_headed().summary(print_fn=lines.append, show_trainable=True, expand_nested=True, line_length=100)
    assert "Connected to" in lines[0] and "Trainable" in lines[0]


def test_summary_says_what_packed_filters_take():
    def last_line() -> str:
        texts: list[str] = []
        model.summary(print_fn=texts.append)
        return texts[0].splitlines()[-1]

    model = LeNet5()
    cnnrs.config.release_memory()
    assert last_line().startswith(" Non-trainable params")
    model.predict(sample(2, 28, 28), verbose=0)
    info = cnnrs.config.memory_info()
    assert info["packed"] > 0
    assert last_line().startswith(f" Packed filters in this process: {info['packed']:,} bytes (")
    before = info["packed_limit"]
    try:
        cnnrs.config.set_packed_limit(256 << 20)
        assert last_line().endswith(", at most 256.00 MB")
    finally:
        cnnrs.config.set_packed_limit(before)


@pytest.mark.parametrize("variant", ["classic", "relu"])
def test_lenet(variant):
    model = LeNet5(variant=variant)
    assert model.count_params() == 61706
    probabilities = model.predict(sample(2, 28, 28), verbose=0)
    np.testing.assert_allclose(probabilities.sum(-1), 1, rtol=1e-5)


def test_lenet_has_the_arguments_of_other_networks(tmp_path):
    images = cnnrs.Input((32, 32, 3))
    model = LeNet5(input_tensor=cnnrs.layers.Rescaling(1 / 255)(images), classes=4)
    assert model.inputs[0] is images and model.output_shape == (None, 4)
    plain = LeNet5((32, 32, 3), 4)
    plain.set_weights(model.get_weights())
    x = sample(2, 32, 32, 3)
    np.testing.assert_allclose(plain.predict(x / 255, verbose=0), model.predict(x, verbose=0), atol=1e-6)
    plain.save_weights(tmp_path / "lenet.weights.h5")
    again = LeNet5((32, 32, 3), 4, weights=tmp_path / "lenet.weights.h5")
    np.testing.assert_array_equal(again.get_weights()[-1], plain.get_weights()[-1])
    assert LeNet5(include_top=False).output_shape == (None, 5, 5, 16)
    assert LeNet5((None, None, 1), include_top=False).output_shape == (None, None, None, 16)
    for pooling in ("avg", "max"):
        assert LeNet5(include_top=False, pooling=pooling).output_shape == (None, 16)
    for arguments, words in (
        ({"input_shape": (20, 28, 1)}, "LeNet5: input_shape: .*at least 28.*received .20, 28, 1."),
        ({"input_shape": (None, None, 1)}, "LeNet5: input_shape: .*received .None, None, 1."),
        ({"pooling": "sum"}, "LeNet5: pooling: expected None, 'avg' or 'max', received 'sum'"),
        ({"weights": "imagenet"}, "LeNet5: weights: expected None for random weights, or"),
    ):
        with pytest.raises(ValueError, match=words):
            LeNet5(**arguments)


@pytest.mark.parametrize(
    ("network", "stem", "parameters"),
    [(ResNet18, "imagenet", 11689512), (ResNet34, "imagenet", 21797672), (ResNet18, "cifar", 11173962)],
)
def test_resnet_parameters(network, stem, parameters):
    """Trainable parameters as published; moving statistics come on top."""
    model = network(stem)
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == parameters


def test_resnet_runs():
    assert ResNet18("cifar").predict(sample(2, 32, 32, 3), verbose=0).shape == (2, 10)


def test_resnet_halves_as_published():
    model = ResNet18("imagenet")
    shapes = [model.get_layer(f"conv{stage}_block1_out").output.shape[1:] for stage in (2, 3, 4, 5)]
    assert shapes == [(56, 56, 64), (28, 28, 128), (14, 14, 256), (7, 7, 512)]


def test_model_repr_says_what_it_is():
    assert "Sequential" in repr(Sequential(name="net")) and "net" in repr(Sequential(name="net"))


def test_layers_by_index_and_name():
    model = LeNet5()
    assert model.get_layer(index=0).name == "conv1" and model.get_layer("fc2").units == 84
    assert cnnrs.models.Model is Model


def test_deep_models_are_made_taken_apart_and_kept_without_recursion():
    depth = 3000
    model = cnnrs.Sequential([Input((4,)), *(layers.Dense(4, "tanh") for _ in range(depth))])
    x = np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4)
    expected = model.predict(x, verbose=0)
    again = cnnrs.Sequential.from_config(model.get_config())
    again.set_weights(model.get_weights())
    assert (again.predict(x, verbose=0) == expected).all()
    model.summary(print_fn=lambda *_: None)
    for left in range(depth, 2, -1):
        model.pop()
        assert len(model.layers) == left - 1
    assert model.output is model.layers[-1].output
    first = cnnrs.Sequential([Input((4,)), *again.layers[:2]])
    assert (model.predict(x, verbose=0) == model.layers[1](model.layers[0](x)).numpy()).all()
    assert (first.predict(x, verbose=0) == model.predict(x, verbose=0)).all()


def test_a_layer_that_comes_twice_and_names_that_repeat():
    shared = layers.Dense(4, name="shared")
    model = cnnrs.Sequential([Input((4,)), layers.Dense(4, name="a")])
    model.add(shared)
    with pytest.raises(ValueError, match="another 'shared'"):
        model.add(layers.Dense(4, name="shared"))
    model.add(shared)
    model.pop()
    model.pop()
    model.add(shared)
    assert [layer.name for layer in model.layers] == ["a", "shared"]
    assert model.predict(np.ones((1, 4), np.float32), verbose=0).shape == (1, 4)


def shared_layer_model(given_input):
    shared = layers.Dense(3, activation="tanh", name="shared")
    start = [Input((3,))] if given_input else []
    return Sequential([*start, shared, shared, layers.Dense(1)]), shared


@pytest.mark.parametrize("given_input", [True, False])
def test_a_layer_may_stand_at_several_places_of_a_chain(given_input, tmp_path):
    model, shared = shared_layer_model(given_input)
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    y = model(x).numpy()
    kernel, bias = (w.numpy() for w in shared.weights)
    once = np.tanh(x @ kernel + bias)
    twice = np.tanh(once @ kernel + bias)
    last = [w.numpy() for w in model.layers[-1].weights]
    np.testing.assert_allclose(y, twice @ last[0] + last[1], rtol=1e-5, atol=1e-6)
    assert [layer.name for layer in model.layers[:2]] == ["shared", "shared"]
    assert len(model.weights) == 4 and model.count_params() == 16
    model.compile("sgd", "mse")
    model.fit(x, y + 1, epochs=2, verbose=0)
    expected = model.predict(x, verbose=0)

    configured = Sequential.from_config(model.get_config())
    configured.build((None, 3))
    configured.set_weights(model.get_weights())
    cloned = models.clone_model(model)
    cloned.set_weights(model.get_weights())
    copies = [configured, cloned]
    for name in ("m.keras", "m.h5", "m.safetensors"):
        model.save(tmp_path / name)
        copies.append(models.load_model(tmp_path / name))
    model.save_weights(tmp_path / "m.weights.h5")
    other, _ = shared_layer_model(given_input)
    other.build((None, 3))
    other.load_weights(tmp_path / "m.weights.h5")
    for copy in (*copies, other):
        assert copy.layers[0] is copy.layers[1] and len(copy.weights) == 4
        np.testing.assert_allclose(copy.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-6)


def test_a_layer_that_stands_twice_is_taken_away_once():
    model, shared = shared_layer_model(True)
    model.pop()
    assert model.pop() is shared and model.layers == [shared] and model.output_shape == (None, 3)
    model.add(shared)
    x = np.ones((2, 3), np.float32)
    np.testing.assert_allclose(model(x), shared(shared(x)), rtol=1e-6)
    with pytest.raises(ValueError, match="received another 'shared'"):
        model.add(layers.Dense(3, name="shared"))


def preprocessing():
    steps = Sequential([layers.Resizing(6, 6), layers.Rescaling(1 / 255)])
    image = np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    return steps, image, steps(image)


def test_steps_of_preprocessing_take_an_image_and_then_a_batch():
    steps, image, once = preprocessing()
    assert once.shape == (6, 6, 3)
    np.testing.assert_array_equal(steps(np.stack([image, image]))[1], once)
    # A model with weights says which shape it expects, as before.
    model = Sequential([layers.Flatten(), layers.Dense(2)])
    model(np.ones((3, 4, 4), np.float32))
    with pytest.raises(ValueError, match=r"expected shape \(None, 4, 4\), received \(4, 4\)"):
        model(np.ones((4, 4), np.float32))


def test_a_model_that_begins_with_steps_called_on_one_image_takes_batches():
    steps, image, once = preprocessing()
    flips = Sequential([layers.RandomFlip("horizontal", seed=1)])
    flips(np.zeros((1, 8, 9, 3), np.float32))
    model = Sequential([steps, flips, layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(1)])
    assert not model.built
    batch = np.stack([image, image, image])
    convolved = model.layers[2](once[None])
    expected = model.layers[4](model.layers[3](convolved))
    np.testing.assert_allclose(
        model.predict(batch, verbose=0), np.repeat(expected, 3, 0), rtol=1e-5, atol=1e-6
    )
    model.compile("sgd", "mse")
    model.fit(batch, np.ones((3, 1)), verbose=0)
    assert model.built and model.output_shape == (None, 1) and len(model.layers) == 5


def test_a_model_that_begins_with_a_model_of_a_given_input_says_what_does_not_fit():
    first = Sequential([Input((4,)), layers.Dense(3)])
    with pytest.raises(ValueError, match="received"):
        Sequential([first, layers.Conv2D(2, 3)])
    called = Sequential([layers.Dense(3)])
    called(np.ones((2, 4), np.float32))
    assert Sequential([called, layers.Dense(2)]).output_shape == (None, 2)

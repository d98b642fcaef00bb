"""Initializers, regularizers, settings and utilities that Keras has, each against its meaning."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import scipy.signal

import cnnrs
from cnnrs import backend, config, initializers, regularizers, utils

RANDOM = np.random.default_rng(12)
WINDOWS = "barthann bartlett blackman blackmanharris bohman boxcar flattop hamming hann lanczos nuttall tukey"


@pytest.mark.parametrize("window", [*WINDOWS.split(), None, np.arange(1.0, 9.0)])
@pytest.mark.parametrize("scaling", ["density", "spectrum", None])
@pytest.mark.parametrize("periodic", [True, False])
def test_stft_kernels_are_a_fourier_transform(window, scaling, periodic):
    frame, frequencies = 8, 5
    sides = [
        initializers.STFT(s, window, scaling, periodic)((frame, 1, frequencies)) for s in ("real", "imag")
    ]
    kernel = (sides[0] + 1j * sides[1])[:, 0]
    if window is None:
        weights, scale = np.ones(frame), 1.0
    else:
        if isinstance(window, str):
            weights = scipy.signal.get_window(window, frame, periodic)
        else:
            weights = window
        scale = {"density": np.sqrt((weights**2).sum()), "spectrum": np.abs(weights).sum(), None: 1.0}[
            scaling
        ]
    x = RANDOM.normal(size=frame)
    np.testing.assert_allclose(x @ kernel, np.fft.rfft(x * weights) / scale, atol=1e-5)


def test_stft_kernels_of_one_element():
    assert initializers.STFT("real", "hann")((1, 1, 1)).tolist() == [[[1.0]]]
    with pytest.raises(ValueError, match="window: expected one of .*'hann'.*, received 'kaiser'"):
        initializers.STFT("real", "kaiser")


def test_initializers_by_name_and_value():
    for name, cls in {
        "IdentityInitializer": initializers.Identity,
        "OrthogonalInitializer": initializers.Orthogonal,
        "stft": initializers.STFT,
        "orthogonal": initializers.Orthogonal,
    }.items():
        assert isinstance(initializers.get(name), cls)
    values = RANDOM.normal(size=(2, 3)).astype(np.float32)
    for given in (values, cnnrs.ops.convert_to_tensor(values), cnnrs.Variable(values)):
        np.testing.assert_array_equal(initializers.get(given)((2, 3)), values)
        with pytest.raises(ValueError, match=r"\(2, 3\).*\(3, 2\)"):
            initializers.get(given)((3, 2))
    layer = cnnrs.layers.Dense(3, kernel_initializer=cnnrs.ops.convert_to_tensor(values))
    layer.build((None, 2))
    np.testing.assert_array_equal(layer.kernel.numpy(), values)
    again = cnnrs.models.clone_model(cnnrs.Sequential([cnnrs.Input((2,)), layer])).layers[-1]
    np.testing.assert_array_equal(again.kernel.numpy(), values)
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(3, 2\)"):
        again.kernel_initializer((3, 2))
    for window in (None, "hann", [1.0, 2.0]):
        made = initializers.STFT("imag", window, "spectrum", True)
        again = initializers.deserialize(initializers.serialize(made))
        assert again.get_config() == made.get_config()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"side": "left"}, "side.*'left'"),
        ({"window": "round"}, "window.*'round'"),
        ({"scaling": "big"}, "scaling.*'big'"),
    ],
)
def test_wrong_arguments_of_stft(arguments, message):
    with pytest.raises(ValueError, match=message):
        initializers.STFT(**arguments)
    with pytest.raises(ValueError, match="shape"):
        initializers.STFT()((4, 4))
    with pytest.raises(ValueError, match=r"window.*\(4,\)"):
        initializers.STFT(window=[1.0, 2.0])((4, 1, 3))


@pytest.mark.parametrize("mode", ["rows", "columns"])
@pytest.mark.parametrize("shape", [(4, 3), (3, 5), (1, 4)])
def test_orthogonal_regularizer(mode, shape):
    x = RANDOM.normal(size=shape)
    y = x if mode == "rows" else x.T
    y = y / np.linalg.norm(y, axis=1, keepdims=True)
    cosines = np.abs(y @ y.T)[~np.eye(len(y), dtype=bool)]
    made = regularizers.OrthogonalRegularizer(0.3, mode)
    assert float(made(x)) == pytest.approx(0.3 * cosines.mean() if cosines.size else 0.0, rel=1e-5)
    assert regularizers.deserialize(regularizers.serialize(made)).get_config() == made.get_config()
    model = cnnrs.Sequential(
        [cnnrs.Input((shape[0],)), cnnrs.layers.Dense(shape[1], kernel_regularizer=made)]
    )
    model.compile("sgd", "mse")
    assert np.isfinite(model.train_on_batch(np.ones((2, shape[0])), np.ones((2, shape[1]))))


def test_regularizers_by_name():
    assert isinstance(regularizers.get("l1l2"), regularizers.L1L2)
    assert isinstance(regularizers.get("orthogonal_regularizer"), regularizers.OrthogonalRegularizer)


@pytest.fixture
def limits():
    yield
    config.set_max_epochs(None)
    config.set_max_steps_per_epoch(None)


def test_limits_of_training(limits):
    model = cnnrs.Sequential([cnnrs.Input((2,)), cnnrs.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.ones((12, 2)), np.ones(12)
    config.set_max_epochs(2)
    with pytest.warns(UserWarning, match="epochs to 2"):
        assert len(model.fit(x, y, epochs=5, verbose=0).epoch) == 2
    config.set_max_epochs(None)
    config.set_max_steps_per_epoch(3)
    before = int(model.optimizer.iterations)
    with pytest.warns(UserWarning, match="batches of an epoch to 3"):
        model.fit(x, y, epochs=1, batch_size=2, verbose=0)
    assert int(model.optimizer.iterations) == before + 3
    with pytest.warns(UserWarning, match="batches"):
        assert model.predict(x, batch_size=2, verbose=0).shape == (6, 1)
    assert (config.max_epochs(), config.max_steps_per_epoch()) == (None, 3)


@pytest.mark.parametrize("text", ["0", "-1", "2.5", "many"])
def test_limits_that_the_environment_misspells_are_refused(monkeypatch, text):
    monkeypatch.setattr(config, "_LIMITS", {})
    monkeypatch.setenv("KERAS_MAX_EPOCHS", text)
    with pytest.raises(ValueError, match="KERAS_MAX_EPOCHS"):
        config.max_epochs()
    monkeypatch.setenv("KERAS_MAX_EPOCHS", "3")
    assert config.max_epochs() == 3


def test_epsilon_is_that_of_the_process():
    losses = [
        lambda: cnnrs.losses.categorical_crossentropy([[0.0, 1.0]], [[1.0, 0.0]]),
        lambda: cnnrs.losses.binary_crossentropy([[1.0]], [[0.0]]),
        lambda: cnnrs.losses.poisson([[1.0]], [[0.0]]),
        lambda: cnnrs.losses.kl_divergence([[1.0]], [[0.0]]),
    ]
    before = [float(loss()[0]) for loss in losses]
    config.set_epsilon(1e-3)
    try:
        after = [float(loss()[0]) for loss in losses]
    finally:
        config.set_epsilon(1e-7)
    assert before == pytest.approx([-np.log(1e-7)] * 4, rel=1e-4)
    assert after == pytest.approx([-np.log(1e-3)] * 4, rel=1e-2)
    for wrong in (float("nan"), float("inf"), 0, -1e-3, True, "1e-3"):
        with pytest.raises(ValueError, match="set_epsilon: value"):
            config.set_epsilon(wrong)
    config.set_epsilon(np.float32(1e-7))
    assert config.epsilon() == np.float32(1e-7)
    config.set_epsilon(1e-7)


def test_settings_that_have_one_value():
    config.set_backend("cnnrs")
    config.disable_traceback_filtering()
    config.disable_flash_attention()
    assert not config.is_traceback_filtering_enabled() and not config.is_flash_attention_enabled()
    assert not config.is_nnx_enabled()
    for call in (lambda: config.set_backend("torch"), lambda: config.set_max_epochs(0)):
        with pytest.raises(ValueError, match="expected"):
            call()
    for name in ("enable_traceback_filtering", "enable_flash_attention"):
        with pytest.raises(AttributeError, match="which Keras has"):
            getattr(config, name)


def test_names_of_the_backend():
    for name in ("epsilon", "floatx", "image_data_format", "set_epsilon", "set_floatx", "backend"):
        assert getattr(backend, name) is getattr(config, name)
    backend.clear_session()
    assert [backend.get_uid("thing") for _ in range(2)] == [1, 2]
    assert backend.is_keras_tensor(cnnrs.Input((2,))) and not backend.is_keras_tensor(np.ones(2))
    utils.disable_interactive_logging()
    assert not utils.is_interactive_logging_enabled()
    utils.enable_interactive_logging()
    assert config.is_interactive_logging_enabled()


@pytest.mark.parametrize("axis", [-1, 0])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_tensors_stay_tensors(axis, order):
    x = RANDOM.normal(size=(3, 4)).astype(np.float32)
    found = utils.normalize(cnnrs.ops.convert_to_tensor(x), axis=axis, order=order)
    assert isinstance(found, cnnrs.Tensor)
    np.testing.assert_allclose(found.numpy(), utils.normalize(x, axis=axis, order=order), rtol=1e-5)
    labels = np.array([[0], [2], [1]])
    for count in (None, 5):
        hot = utils.to_categorical(cnnrs.ops.convert_to_tensor(labels), count)
        assert isinstance(hot, cnnrs.Tensor)
        np.testing.assert_array_equal(hot.numpy(), utils.to_categorical(labels, count))


def shown(capsys, **arguments):
    bar = utils.Progbar(3, interval=0, **arguments)
    texts = []
    for step, value in enumerate([1.0, 2.0, 6.0]):
        bar.update(step + 1, [("value", value), ("other", 10 * value)], finalize=False)
        texts.append(capsys.readouterr().out)
    return texts[-1]


def test_values_of_a_progress_bar(capsys):
    assert "value: 3.0000 - other: 30.0000" in shown(capsys)
    assert "value: 6.0000 - other: 30.0000" in shown(capsys, stateful_metrics=["value"])
    assert "value: 3.0000 - other: 60.0000" in shown(capsys, stateless_metrics=["value"])
    assert "value: 6.0000 - other: 60.0000" in shown(capsys, stateless_metrics=[])
    with pytest.raises(ValueError, match="Only one of"):
        utils.Progbar(3, stateful_metrics=[], stateless_metrics=[])


def test_config():
    settings = utils.Config(rate=0.1)
    settings.epochs = 3
    settings["seed"] = 7
    assert (settings.rate, settings["epochs"], settings.seed, len(settings)) == (0.1, 3, 7, 3)
    assert list(settings) == list(settings.keys()) == ["rate", "epochs", "seed"]
    settings.update(rate=0.2, other=1)
    assert settings.pop("other") == 1 and "other" not in settings
    del settings.seed
    settings.freeze()
    for twin in (copy.deepcopy(settings), pickle.loads(pickle.dumps(settings))):
        assert twin.as_dict() == {"rate": 0.2, "epochs": 3} and twin.frozen
    for change in (
        lambda: settings.update(rate=1),
        lambda: settings.pop("rate"),
        lambda: setattr(settings, "rate", 1),
        lambda: settings.__delitem__("rate"),
    ):
        with pytest.raises(ValueError, match="frozen"):
            change()
    settings.unfreeze()
    settings.rate = 1
    with pytest.raises(AttributeError, match="did you mean 'epochs'"):
        _ = settings.epoch

"""`lr_find`, averaged weights with their statistics, and recipes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cnnrs
from cnnrs import callbacks, layers, optimizers, recipes
from cnnrs.training.lr_find import LearningRates

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(128, 6, 6, 3)).astype("float32")
Y = (X.mean((1, 2)) @ RANDOM.normal(size=(3, 4))).argmax(1)


def build(optimizer: Any = None, last: Any = "softmax") -> Any:
    cnnrs.utils.set_random_seed(1)
    model = cnnrs.Sequential(
        [
            cnnrs.Input((6, 6, 3)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.2),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4, activation=last),
        ]
    )
    if optimizer is not None:
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


# ---- lr_find


@pytest.mark.parametrize(
    "make",
    [
        lambda: optimizers.SGD(0.1, momentum=0.9),
        lambda: optimizers.Adam(optimizers.schedules.WarmupCosine(0.01, 3, 1)),
        lambda: optimizers.SAM(optimizers.Lookahead("sgd")),
        lambda: optimizers.LossScaleOptimizer("adam"),
    ],
)
@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.filterwarnings("ignore:lr_find. the loss")
def test_a_range_test_leaves_no_trace(make: Any, trained: bool) -> None:
    results = []
    for tests in (False, True):
        model = build(make())
        if trained:
            model.fit(X, Y, batch_size=16, verbose=0)
        if tests:
            before = [w.copy() for w in model.get_weights()]
            found = model.lr_find(X, Y, batch_size=16, steps=20)
            for a, b in zip(before, model.get_weights(), strict=True):
                np.testing.assert_array_equal(a, b)
            assert len(found.losses) > 5
        history = model.fit(X, Y, batch_size=16, epochs=3, initial_epoch=1, verbose=0).history
        drawn = cnnrs.random.uniform((3,)).numpy().tolist()
        results.append((history, [w.tobytes() for w in model.get_weights()], drawn))
    assert results[0] == results[1]


def test_the_rates_rise_exponentially_and_the_losses_are_those_of_batches() -> None:
    model = build(optimizers.SGD(0.1))
    first = model.test_on_batch(X, Y)[0]
    with pytest.warns(UserWarning, match="the loss does not fall by more than it scatters"):
        found = model.lr_find(
            X, Y, batch_size=128, start_learning_rate=1e-5, end_learning_rate=1e-3, steps=11
        )
    np.testing.assert_allclose(found.learning_rates, 1e-5 * 10 ** (np.arange(11) / 5), rtol=1e-6)
    assert len(found.losses) == 11 and np.isfinite(first)
    # At rates of almost nothing, the losses of one batch differ by what dropout drops.
    assert np.ptp(found.losses) < 0.3


def test_a_range_test_stops_where_the_loss_diverges() -> None:
    model = cnnrs.Sequential([cnnrs.Input((3,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    x = RANDOM.normal(size=(64, 3)).astype("float32") * 10
    found = model.lr_find(x, x.sum(1), end_learning_rate=1e3, steps=60)
    assert len(found.losses) < 60
    # Gradient descent on this parabola diverges above 2 / (largest curvature of about 2 · 100).
    assert 1e-5 < found.suggestion < 1e-2


def test_the_suggestion_of_a_known_curve() -> None:
    rates = list(10.0 ** np.linspace(-5, 1, 61))
    losses = [2.0 - np.tanh(2 * (np.log10(r) + 2)) + (50 * (r - 1) if r > 1 else 0) for r in rates]
    found = LearningRates.of(rates, losses, smoothing=0.0)
    assert found.steepest == pytest.approx(1e-2, rel=0.3)
    assert found.minimum_over_ten == pytest.approx(0.1, rel=0.3)
    assert found.suggestion == found.steepest
    assert "suggestion 0.01" in repr(found)


def test_the_plot_shows_the_suggestion() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    found = LearningRates.of([1e-3, 1e-2, 1e-1, 1.0], [3.0, 2.5, 1.0, 4.0], smoothing=0.0)
    axes = found.plot()
    assert axes.get_xscale() == "log" and len(axes.lines) == 3
    assert axes.lines[2].get_xdata()[0] == found.suggestion
    matplotlib.pyplot.close(axes.figure)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 2}, "steps"),
        ({"start_learning_rate": 1.0, "end_learning_rate": 0.1}, "end_learning_rate.*received 0.1"),
        ({"smoothing": 1.0}, "smoothing"),
        ({"stop_factor": 1.0}, "stop_factor"),
    ],
)
def test_bad_arguments_of_lr_find(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"lr_find: {message}"):
        build("sgd").lr_find(X, Y, **arguments)


def test_data_that_are_not_tested_as_told_are_errors() -> None:
    data = cnnrs.data.Dataset.from_tensor_slices((X, Y)).batch(16)
    with pytest.raises(ValueError, match="lr_find: batch_size: expected None.*received 8"):
        build("sgd").lr_find(data, batch_size=8)
    with pytest.raises(ValueError, match="expected 20 batches.*received 12.*give steps=12"):
        build("sgd").lr_find(((X[:8], Y[:8]) for _ in range(12)), steps=20)
    with pytest.raises(ValueError, match="expected at least one batch, received none"):
        build("sgd").lr_find(iter(()))


def test_weights_that_all_have_rates_of_their_own_are_not_tested() -> None:
    own = optimizers.SGD(0.1, parameter_groups=[optimizers.ParameterGroup(".", learning_rate=0.1)])
    for optimizer in (own, optimizers.Lookahead(own)):
        with pytest.raises(ValueError, match="parameter_groups set the rate of all 6"):
            build(optimizer).lr_find(X, Y, steps=5)
    factor = [optimizers.ParameterGroup(".", learning_rate_multiplier=0.1)]
    with pytest.warns(UserWarning, match="6 batches are too few"):
        assert build(optimizers.SGD(0.1, parameter_groups=factor)).lr_find(X, Y, steps=6).losses


def test_the_drawing_needs_no_library(tmp_path: Any) -> None:
    found = LearningRates.of([1e-3, 1e-2, 1e-1, 1.0], [3.0, 2.5, 1.0, float("inf")], smoothing=0.0)
    found.save(tmp_path / "rates.svg")
    text = (tmp_path / "rates.svg").read_text()
    assert text.startswith("<svg") and f"{found.suggestion:.2g}" in text and "smoothed" in text
    with pytest.raises(ValueError, match=r"expected a name that ends in .svg, received 'rates.png'"):
        found.save("rates.png")


def test_several_optimizers_have_no_one_rate() -> None:
    both = optimizers.MultiOptimizer(optimizers.OptimizerMap(optimizers.SGD(0.1)))
    with pytest.raises(ValueError, match="an optimizer with one learning rate"):
        build(both).lr_find(X, Y)


# ---- averaged weights


class Weights(callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[list[np.ndarray]] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.seen.append([w.numpy() for w in self.model.trainable_weights])


@pytest.mark.parametrize(("start", "frequency", "counted"), [(2, 1, [2, 3, 4]), (0.2, 2, [1, 3])])
def test_swa_gives_the_mean_of_the_last_epochs(start: Any, frequency: int, counted: list[int]) -> None:
    model, weights = build(optimizers.SGD(0.1)), Weights()
    average = callbacks.StochasticWeightAveraging(start, frequency, learning_rate=0.05)
    model.fit(X, Y, batch_size=32, epochs=5, verbose=0, callbacks=[weights, average])
    for i, w in enumerate(model.trainable_weights):
        mean = np.mean([weights.seen[epoch][i].astype(np.float64) for epoch in counted], axis=0)
        np.testing.assert_allclose(w.numpy(), mean, rtol=1e-6, atol=1e-7)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.05)
    moments = convolved(model)
    np.testing.assert_allclose(model.layers[1].moving_mean.numpy(), moments[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.layers[1].moving_variance.numpy(), moments[1], rtol=1e-4, atol=1e-5)


def convolved(model: Any) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of what the first layer gives for all samples, in float64."""
    features = np.asarray(model.layers[0](X)).astype(np.float64)
    return features.mean((0, 1, 2)), features.var((0, 1, 2))


@pytest.mark.parametrize("batch_size", [128, 50])
def test_statistics_are_those_of_all_data(batch_size: int) -> None:
    model = build()
    before = [w.numpy() for w in model.trainable_weights]
    cnnrs.utils.reestimate_batch_norm(model, (X, Y), batch_size=batch_size)
    mean, variance = convolved(model)
    np.testing.assert_allclose(model.layers[1].moving_mean.numpy(), mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.layers[1].moving_variance.numpy(), variance, rtol=1e-4)
    for a, w in zip(before, model.trainable_weights, strict=True):
        np.testing.assert_array_equal(a, w.numpy())
    assert model.layers[1].momentum == 0.99


def test_statistics_of_switchable_normalisation_are_those_of_all_data() -> None:
    parts = [cnnrs.layers.SwitchableNormalization(), cnnrs.layers.SwitchableNormalization(using=["layer"])]
    model = cnnrs.Sequential([cnnrs.Input(X.shape[1:]), *parts])
    cnnrs.utils.reestimate_batch_norm(model, X, batch_size=32)
    found, x = model.layers[0], X.astype(np.float64)
    np.testing.assert_allclose(found.moving_mean.numpy(), x.mean((0, 1, 2)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.moving_variance.numpy(), x.var((0, 1, 2)), rtol=1e-4)
    assert found.momentum == 0.9
    with pytest.raises(
        ValueError, match="reestimate_batch_norm: steps: expected an integer >= 1, received 0"
    ):
        cnnrs.utils.reestimate_batch_norm(model, X, steps=0)


def test_statistics_of_frozen_layers_stay() -> None:
    model = build()
    model.layers[1].trainable = False
    cnnrs.utils.reestimate_batch_norm(model, X)
    assert model.layers[1].moving_mean.numpy().tolist() == [0.0] * 4


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"start": 5}, ValueError, "start: expected an epoch before the last of 2"),
        ({"start": 1.5}, ValueError, "start"),
        ({"frequency": 0}, ValueError, "frequency"),
    ],
)
def test_bad_arguments_of_swa(arguments: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        average = callbacks.StochasticWeightAveraging(**arguments)
        build("sgd").fit(X, Y, epochs=2, verbose=0, callbacks=[average])


def test_swa_says_at_the_beginning_what_it_lacks() -> None:
    def once() -> Any:
        for _ in range(4):
            yield X, Y

    seen = Weights()
    with pytest.raises(ValueError, match="expected data="):
        build("sgd").fit(
            once(),
            epochs=2,
            steps_per_epoch=2,
            verbose=0,
            callbacks=[seen, callbacks.StochasticWeightAveraging(0)],
        )
    assert not seen.seen
    rate = optimizers.schedules.CosineDecay(0.1, 9)
    with pytest.raises(TypeError, match="follows a schedule"):
        average = callbacks.StochasticWeightAveraging(0, learning_rate=0.1)
        build(optimizers.SGD(rate)).fit(X, Y, verbose=0, callbacks=[average])


# ---- recipes


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_trains(name: str, capsys: Any) -> None:
    settings: dict[str, Any] = {"epochs": 4, "batch_size": 32}
    if recipes.get(name).schedule == "cosine":
        settings["warmup_epochs"] = 1
    if recipes.get(name).optimizer == "adamw":
        # In four epochs of four batches.
        settings["learning_rate"] = 0.05
    model = build(last=None if name == "cifar" else "softmax")
    history = cnnrs.train(model, (X, Y), name, validation_data=(X, Y), verbose=0, **settings)
    assert capsys.readouterr().out == ""
    losses = history.history["loss"]
    assert len(losses) == 4 and losses[-1] < losses[0]


def test_a_recipe_tells_what_it_sets(capsys: Any) -> None:
    cnnrs.train(build(), (X, Y), "imagenet-small", epochs=2, warmup_epochs=1, batch_size=64, verbose=2)
    told = capsys.readouterr().out
    assert "recipe 'imagenet-small'" in told and "epochs           2  (instead of 120)" in told
    # Nobody gave the rate: it follows the size of the batches.
    assert "learning_rate    0.025  (0.1 at batches of 256)" in told


def test_a_recipe_sets_what_it_tells() -> None:
    model = build()
    cnnrs.train(
        model, (X, Y), "imagenet-small", epochs=2, warmup_epochs=1, batch_size=64, sam_rho=0.1, verbose=0
    )
    sam = model.optimizer
    sgd = sam.inner_optimizer
    assert isinstance(sam, optimizers.SAM) and sam.rho == 0.1
    assert isinstance(sgd, optimizers.SGD) and sgd.nesterov and sgd.use_ema
    assert sgd.ema_momentum == pytest.approx(1 - 1 / 4) and sgd.weight_decay == pytest.approx(1e-3)
    decays = {v.path.split("/")[-1]: sgd._decay(v) for v in model.trainable_weights}
    assert decays == {"kernel": sgd.weight_decay, "bias": 0.0, "gamma": 0.0, "beta": 0.0}
    assert model.loss.get_config()["label_smoothing"] == 0.1
    assert sgd._schedule.get_config()["warmup_epochs"] == 1


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.0, 0.0), (0.3, 0.0), (0.0, 0.5), (0.8, 1.0)])
def test_a_recipe_mixes_batches_through_fit(monkeypatch: Any, mixup: float, cutmix: float) -> None:
    given: list[Any] = []
    plain = cnnrs.Model.fit

    def fit(model: Any, *args: Any, batch_augmentation: Any = None, **kwargs: Any) -> Any:
        given.extend(batch_augmentation or [])
        return plain(model, *args, batch_augmentation=batch_augmentation, **kwargs)

    monkeypatch.setattr(cnnrs.Sequential, "fit", fit)
    settings: dict[str, Any] = {"epochs": 2, "warmup_epochs": 1, "mixup": mixup, "cutmix": cutmix}
    cnnrs.train(build(), (X, Y), "cifar", verbose=0, **settings)
    found = {type(layer): getattr(layer, "alpha", None) or layer.factor[1] for layer in given}
    pairs = ((layers.MixUp, mixup), (layers.CutMix, cutmix))
    assert found == {kind: value for kind, value in pairs if value}


def test_data_sets_and_one_hot_targets() -> None:
    data = cnnrs.data.Dataset.from_tensor_slices((X, np.eye(4)[Y])).batch(32)
    history = cnnrs.train(build(), data, "cifar", epochs=2, warmup_epochs=1, validation_data=data, verbose=0)
    assert set(history.history) == {"accuracy", "loss", "val_accuracy", "val_loss"}


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: cnnrs.train(build(), (X, Y), "imagenet-smal"), ValueError, "did you mean 'imagenet-small'"),
        (lambda: cnnrs.train(build(), (X, Y), "mnist", epoch=3), TypeError, "did you mean 'epochs'"),
        (lambda: cnnrs.train(build(), X, "mnist"), TypeError, r"data: expected \(x, y\)"),
        (lambda: cnnrs.train(build(), (X, Y + 9), "mnist"), ValueError, r"classes of 0\.\.3"),
        (lambda: cnnrs.train(build(), (X, Y[:3]), "mnist"), ValueError, "as many x as y"),
        (lambda: cnnrs.train(build(last="sigmoid"), (X, Y), "mnist"), ValueError, "received 'sigmoid'"),
        (lambda: cnnrs.train(build(), (X, Y), "cifar", epochs=5), ValueError, "warmup_epochs"),
        (
            lambda: cnnrs.train(build(), (X, Y), "mnist", optimizer="adan"),
            ValueError,
            "optimizer: expected one",
        ),
        (lambda: cnnrs.train(build(), (X, Y), "mnist", warmup_epochs=1), ValueError, "schedule='one_cycle'"),
        (lambda: cnnrs.train(build(), (X, Y), "mnist", mixup=-1), ValueError, "mixup"),
    ],
)
def test_bad_arguments_of_train(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X, Y, "mnist"), "train: recipe: expected a Recipe or one of .* received ndarray; data are one"),
        (((X, Y), ["mnist"]), "train: recipe: expected a Recipe or one of cifar, .* received list"),
    ],
)
def test_what_is_no_recipe_is_an_error(arguments: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        cnnrs.train(build(), *arguments)
    with pytest.raises(TypeError, match="train: model: expected a model, received str"):
        cnnrs.train("m", (X, Y), "mnist")

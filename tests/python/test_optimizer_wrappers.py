"""SAM, Lookahead, LARS and parameter groups against slow forms written from their papers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cnnrs
from cnnrs import layers, optimizers
from cnnrs.optimizers import ParameterGroup, norms_and_biases

RANDOM = np.random.default_rng(5)
X = RANDOM.normal(size=(64, 6, 6, 3)).astype("float32")
Y = (X.mean((1, 2)) @ RANDOM.normal(size=(3, 4))).argmax(1)


def network(optimizer: Any, dropout: float = 0.0, **kwargs: Any) -> Any:
    cnnrs.utils.set_random_seed(1)
    model = cnnrs.Sequential(
        [
            cnnrs.Input((6, 6, 3)),
            layers.Conv2D(4, 3, activation="relu", name="stem"),
            layers.BatchNormalization(name="norm"),
            layers.Dropout(dropout),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4, activation="softmax", name="head"),
        ]
    )
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], **kwargs)
    return model


def weights_after(optimizer: Any, dropout: float = 0.0, **kwargs: Any) -> list[np.ndarray]:
    model = network(optimizer, dropout, **kwargs)
    model.fit(X, Y, batch_size=16, epochs=2, verbose=0)
    return model.get_weights()


def descend(optimizer: Any, start: np.ndarray, matrix: np.ndarray, steps: int) -> np.ndarray:
    """Minimises `wᵀ A w / 2` by `fit`'s way: gradients from the optimizer's own choice of points."""
    w = cnnrs.Variable(start.astype(np.float32))
    a = matrix.astype(np.float32)

    def gradient() -> Any:
        with cnnrs.GradientTape() as tape:
            value = cnnrs.ops.convert_to_tensor(w)
            loss = 0.5 * cnnrs.ops.sum(value * cnnrs.ops.matmul(a, cnnrs.ops.expand_dims(value, 1))[:, 0])
        return tape.gradient(loss, [w])

    for _ in range(steps):
        gradients = gradient()
        if optimizer.passes > 1:
            with optimizer.perturbed(gradients, [w]):
                gradients = gradient()
        optimizer.apply(gradients, [w])
    return w.numpy()


MATRIX = np.diag([1.0, 3.0, 0.2])
START = np.array([1.0, -0.5, 2.0])


@pytest.mark.parametrize("adaptive", [False, True])
def test_sam_is_the_papers_formula(adaptive: bool) -> None:
    w = START.copy()
    for _ in range(4):
        g = MATRIX @ w
        size = np.abs(w) + 0.01 if adaptive else np.ones_like(w)
        e = 0.3 * size**2 * g / np.linalg.norm(size * g)
        w = w - 0.1 * MATRIX @ (w + e)
    optimizer = optimizers.SAM(optimizers.SGD(0.1), rho=0.3, adaptive=adaptive)
    np.testing.assert_allclose(descend(optimizer, START, MATRIX, 4), w, rtol=1e-5)


def test_sam_under_fit_is_two_passes_by_hand() -> None:
    model = network(optimizers.SAM(optimizers.SGD(0.2), rho=0.5))
    reference = network(optimizers.SGD(0.2))
    model.fit(X[:16], Y[:16], batch_size=16, verbose=0, shuffle=False)
    weights = reference.trainable_weights
    loss = cnnrs.losses.SparseCategoricalCrossentropy()

    def gradients() -> list[Any]:
        with cnnrs.GradientTape() as tape:
            value = loss(Y[:16], reference(X[:16], training=True))
        return tape.gradient(value, weights)

    first = [g.numpy() for g in gradients()]
    statistics = [v.numpy() for v in reference.non_trainable_variables]
    norm = np.sqrt(sum(float((g**2).sum()) for g in first))
    before = [w.numpy() for w in weights]
    for w, g in zip(weights, first, strict=True):
        w.assign(w.numpy() + 0.5 * g / norm)
    second = [g.numpy() for g in gradients()]
    for v, value in zip(reference.non_trainable_variables, statistics, strict=True):
        v.assign(value)
    for w, value, g in zip(weights, before, second, strict=True):
        w.assign(value - 0.2 * g)
    for got, expected in zip(model.get_weights(), reference.get_weights(), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)
    assert not np.allclose(before[0], model.trainable_weights[0].numpy())


def test_both_passes_of_sam_drop_the_same_units() -> None:
    # With a radius of almost nothing a step is the inner optimizer's, if the random numbers are the same.
    plain = weights_after(optimizers.SGD(0.1), dropout=0.5)
    sam = weights_after(optimizers.SAM(optimizers.SGD(0.1), rho=1e-6), dropout=0.5)
    for a, b in zip(plain, sam, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_the_second_pass_leaves_metrics_and_statistics_alone() -> None:
    plain, sam = network(optimizers.SGD(0.0)), network(optimizers.SAM(optimizers.SGD(0.0), rho=1.0))
    logs = [model.fit(X, Y, batch_size=16, verbose=0, shuffle=False).history for model in (plain, sam)]
    assert logs[0] == logs[1]
    for a, b in zip(plain.get_weights(), sam.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "make",
    [
        lambda: optimizers.SAM(optimizers.SGD(0.1, momentum=0.9), rho=0.1),
        lambda: optimizers.Lookahead(optimizers.SAM("adam", adaptive=True, rho=0.5), sync_period=3),
        lambda: optimizers.LARS(0.5, weight_decay=1e-3),
    ],
)
def test_recorded_steps_are_those_of_python(make: Any) -> None:
    for a, b in zip(weights_after(make()), weights_after(make(), run_eagerly=True), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-5)


def test_a_train_step_of_ones_own_is_told_what_sam_needs() -> None:
    class Own(cnnrs.Sequential):
        def train_step(self, data: Any) -> Any:
            x, y = data
            with cnnrs.GradientTape() as tape:
                loss = self.compute_loss(x, y, self(x, training=True))
            self.optimizer.apply(tape.gradient(loss, self.trainable_weights), self.trainable_weights)
            return {"loss": loss}

    model = Own([cnnrs.Input((2,)), layers.Dense(1)])
    model.compile(optimizers.SAM("sgd"), "mse")
    with pytest.raises(ValueError, match="SAM|sam.*perturbed"):
        model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)


def test_sam_goes_back_to_the_weights_after_an_error() -> None:
    w = cnnrs.Variable([1.0, 2.0])
    optimizer = optimizers.SAM("sgd")
    with pytest.raises(KeyError), optimizer.perturbed([np.ones(2, "float32")], [w]):
        raise KeyError
    assert w.numpy().tolist() == [1.0, 2.0]


@pytest.mark.parametrize("accumulation", [None, 2])
def test_lookahead_is_the_papers_algorithm(accumulation: int | None) -> None:
    every = accumulation or 1
    fast = slow = START.copy()
    inner = optimizers.SGD(0.1, gradient_accumulation_steps=accumulation)
    w = cnnrs.Variable(START.astype(np.float32))
    optimizer = optimizers.Lookahead(inner, sync_period=2, slow_step_size=0.3)
    updates = 0
    for step in range(10):
        g = np.full(3, 1.0 + step)
        optimizer.apply([g.astype(np.float32)], [w])
        if step % every == every - 1:
            fast = fast - 0.1 * np.mean([np.full(3, 1.0 + step - i) for i in range(every)], axis=0)
            updates += 1
            if updates % 2 == 0:
                slow = slow + 0.3 * (fast - slow)
                fast = slow
        np.testing.assert_allclose(w.numpy(), fast, rtol=1e-5)


def test_lookahead_starts_from_weights_that_are_loaded_after_build() -> None:
    w = cnnrs.Variable([1.0])
    optimizer = optimizers.Lookahead(optimizers.SGD(1.0), sync_period=1, slow_step_size=0.5)
    optimizer.build([w])
    w.assign([10.0])
    optimizer.apply([[2.0]], [w])
    assert w.numpy().tolist() == [9.0]


def test_a_step_that_overflows_changes_nothing_in_wrapped_optimizers() -> None:
    w = cnnrs.Variable([1.0])
    optimizer = optimizers.LossScaleOptimizer(
        optimizers.Lookahead(optimizers.SGD(0.5), sync_period=1), initial_scale=2.0
    )
    optimizer.build([w])
    optimizer.apply([[float("inf")]], [w])
    assert w.numpy().tolist() == [1.0] and int(optimizer.iterations) == 0
    optimizer.apply([[1.0]], [w])
    # The fast weight is at 0.5, and the slow one half of the way there.
    assert w.numpy().tolist() == [0.75]


@pytest.mark.parametrize("nesterov", [False, True])
def test_lars_is_the_papers_algorithm(nesterov: bool) -> None:
    w, b = RANDOM.normal(size=(3, 4)), RANDOM.normal(size=(4,))
    variables = [cnnrs.Variable(value.astype(np.float32)) for value in (w, b)]
    optimizer = optimizers.LARS(
        0.7, momentum=0.9, trust_coefficient=0.02, weight_decay=0.01, nesterov=nesterov
    )
    v, u = np.zeros_like(w), np.zeros_like(b)
    for _ in range(4):
        g, h = RANDOM.normal(size=w.shape), RANDOM.normal(size=b.shape)
        norm = np.linalg.norm(w)
        local = 0.02 * norm / (np.linalg.norm(g) + 0.01 * norm + 1e-8)
        step, plain = 0.7 * local * (g + 0.01 * w), 0.7 * h
        v, u = 0.9 * v + step, 0.9 * u + plain
        w = w - (step + 0.9 * v if nesterov else v)
        b = b - (plain + 0.9 * u if nesterov else u)
        optimizer.apply([g.astype(np.float32), h.astype(np.float32)], variables)
    np.testing.assert_allclose(variables[0].numpy(), w, rtol=1e-5)
    np.testing.assert_allclose(variables[1].numpy(), b, rtol=1e-5)


def test_groups_have_their_rates_and_decays() -> None:
    made = {name: cnnrs.Variable(np.full(2, 1.0, "float32"), name=name) for name in ("a", "b", "c", "d")}
    schedule = optimizers.schedules.PiecewiseConstantDecay([0], [0.5, 0.25])
    optimizer = optimizers.SGD(
        0.1,
        weight_decay=0.2,
        parameter_groups=[
            ParameterGroup("^b$", learning_rate_multiplier=3.0),
            ParameterGroup(made["c"], learning_rate=schedule),
            ParameterGroup(lambda v: v.name in "bc", weight_decay=0.0, name="bc"),
            ParameterGroup(["d"], frozen=True),
        ],
    )
    variables = list(made.values())
    expected = {"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0}
    for step in range(2):
        optimizer.apply([np.full(2, 1.0, "float32")] * 4, variables)
        expected["a"] = expected["a"] * (1 - 0.1 * 0.2) - 0.1
        expected["b"] -= 0.3
        expected["c"] -= (0.5, 0.25)[step]
    for name, value in expected.items():
        np.testing.assert_allclose(made[name].numpy(), value, rtol=1e-6)
    assert optimizer.updates(made["a"]) and not optimizer.updates(made["d"])
    # The step and the rate: SGD without momentum has no slots.
    assert len(optimizer.variables) == 2


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Lion", "Muon", "LARS", "Adafactor"])
def test_every_optimizer_takes_groups_and_files_keep_them(name: str, tmp_path: Any) -> None:
    groups = [
        ParameterGroup(norms_and_biases, weight_decay=0.0),
        ParameterGroup("head", learning_rate_multiplier=2.0),
    ]
    model = network(getattr(optimizers, name)(0.01, parameter_groups=groups))
    model.optimizer.parameter_groups.append(None)
    freeze = ParameterGroup(model.get_layer("stem"), frozen=True)
    model.compile(
        getattr(optimizers, name)(0.01, parameter_groups=[*groups, freeze]), "sparse_categorical_crossentropy"
    )
    stem = model.get_layer("stem").kernel.numpy()
    model.fit(X, Y, batch_size=16, verbose=0)
    np.testing.assert_array_equal(stem, model.get_layer("stem").kernel.numpy())
    assert not any("stem" in v.path.removeprefix(model.optimizer.name) for v in model.optimizer.variables)
    model.save(tmp_path / "model.keras")
    again = cnnrs.models.load_model(tmp_path / "model.keras")
    for one in (model, again):
        one.fit(X, Y, batch_size=16, verbose=0, shuffle=False)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("make", [lambda: optimizers.SAM("adam"), lambda: optimizers.Lookahead("adam")])
def test_files_keep_wrapped_optimizers(make: Any, tmp_path: Any) -> None:
    model = network(make())
    model.fit(X, Y, batch_size=16, verbose=0)
    model.save(tmp_path / "model.keras")
    again = cnnrs.models.load_model(tmp_path / "model.keras")
    for one in (model, again):
        one.fit(X, Y, batch_size=16, verbose=0, shuffle=False)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("make", [lambda: optimizers.SAM("sgd"), lambda: optimizers.Lookahead("sgd")])
def test_wrapped_optimizers_train_in_mixed_precision(make: Any) -> None:
    cnnrs.utils.set_random_seed(2)
    model = cnnrs.Sequential(
        [
            cnnrs.Input((6, 6, 3)),
            layers.Conv2D(4, 3, dtype="mixed_float16"),
            layers.GlobalAveragePooling2D(dtype="mixed_float16"),
            layers.Dense(4, activation="softmax", dtype="float32"),
        ]
    )
    model.compile(optimizers.LossScaleOptimizer(make()), "sparse_categorical_crossentropy")
    losses = model.fit(X, Y, batch_size=16, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0] and int(model.optimizer.iterations) == 12


def test_groups_do_not_split_the_step_and_frozen_weights_have_no_gradients() -> None:
    def explained(groups: Any) -> Any:
        model = network(optimizers.AdamW(1e-3, parameter_groups=groups))
        return cnnrs.utils.explain(model, X[:4], Y[:4])

    plain = explained(None)
    grouped = explained(
        [
            ParameterGroup(norms_and_biases, weight_decay=0.0),
            ParameterGroup("head", learning_rate_multiplier=2.0),
        ]
    )
    frozen = explained([ParameterGroup("stem|norm", frozen=True)])
    assert grouped.num_steps <= plain.num_steps
    assert frozen.flops < 0.75 * plain.flops


def test_layer_wise_decay_falls_towards_the_input() -> None:
    model = network("sgd")
    groups = optimizers.layer_wise_decay(model, 0.5)
    assert [g.learning_rate_multiplier for g in groups] == [0.25, 0.5, 1.0]
    members = [v.path.split("/")[-2] for g in groups for v in g.members(model.trainable_variables)]
    assert members == ["stem", "stem", "norm", "norm", "head", "head"]
    two = optimizers.layer_wise_decay(model, 0.5, blocks=lambda layer: int(layer.name == "head"))
    assert [len(g.members(model.trainable_variables)) for g in two] == [4, 2]
    with pytest.raises(ValueError, match=r"layer_wise_decay: blocks: expected 1\.\.3"):
        optimizers.layer_wise_decay(model, blocks=9)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (lambda: [ParameterGroup("nowhere", frozen=True)], "'nowhere' to match.*matches none"),
        (lambda: [ParameterGroup([".", "stme"], frozen=True)], "of its list 'stme' matches none"),
        (
            lambda: [
                ParameterGroup("kernel", learning_rate_multiplier=2.0),
                ParameterGroup("head", learning_rate=0.1, name="last"),
            ],
            "'kernel' and 'last' both set the learning rate of '.*head/kernel'",
        ),
        (
            lambda: [ParameterGroup("kernel", frozen=True), ParameterGroup("head", learning_rate=0.1)],
            "'kernel' and 'head' both set",
        ),
    ],
)
def test_groups_that_match_nothing_or_overlap_are_errors(groups: Any, message: str) -> None:
    model = network(optimizers.SGD(0.1, parameter_groups=groups()))
    with pytest.raises(ValueError, match=message):
        model.fit(X, Y, verbose=0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ParameterGroup("a"), "expected one of learning_rate, .*received none"),
        (lambda: ParameterGroup("(", frozen=True), "match: expected a regular expression"),
        (lambda: ParameterGroup(3, frozen=True), "match: expected a pattern"),
        (lambda: ParameterGroup("a", 0.1, 2.0), "received both"),
        (lambda: ParameterGroup("a", weight_decay=-1.0), "weight_decay"),
        (lambda: ParameterGroup("a", frozen=True, weight_decay=0.1), "expected frozen alone"),
        (lambda: optimizers.SGD(parameter_groups=["a"]), "expected a list of ParameterGroup"),
        (lambda: optimizers.SAM("sgd", rho=0.0), "rho"),
        (lambda: optimizers.SAM("sgd", momentum=0.9), "no arguments: `momentum`"),
        (lambda: optimizers.SAM("sgd", clipnorm=1.0), "clipnorm: give it to the inner"),
        (lambda: optimizers.SAM("adm"), "SAM: inner_optimizer: nothing is called .adm.; did you mean .adam."),
        (lambda: optimizers.SAM(optimizers.LossScaleOptimizer("sgd")), "goes inside of SAM"),
        (lambda: optimizers.Lookahead("sgd", sync_period=0), "sync_period"),
        (lambda: optimizers.Lookahead("sgd", slow_step_size=1.5), "slow_step_size"),
        (
            lambda: optimizers.MultiOptimizer(lambda v: optimizers.SAM("sgd")).build([cnnrs.Variable([1.0])]),
            "SAM",
        ),
    ],
)
def test_bad_arguments(make: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        make()

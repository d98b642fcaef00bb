"""Schedule-free AdamW, Muon and several optimizers in one; learning rates that Python gives."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import cnnrs
from cnnrs import callbacks, ops, optimizers

RANDOM = np.random.default_rng(8)


def variables() -> list[cnnrs.Variable]:
    return [
        cnnrs.Variable(RANDOM.normal(size=s).astype(np.float32), name=n)
        for s, n in (((3, 4), "w"), ((4,), "b"))
    ]


@pytest.mark.parametrize("warmup", [0, 4])
@pytest.mark.parametrize("beta_1", [0.9, 0.5, 1.0])
def test_schedule_free_adamw_is_the_papers(warmup, beta_1):
    """Defazio et al. 2024, in float64: z takes the steps, x is their mean, gradients are taken at y."""
    v = variables()[0]
    optimizer = optimizers.ScheduleFreeAdamW(0.05, beta_1=beta_1, warmup_steps=warmup)
    x = z = v.numpy().astype(np.float64)
    second = np.zeros_like(x)
    for t in range(1, 11):
        g = RANDOM.normal(size=x.shape)
        optimizer.apply([g.astype(np.float32)], [v])
        rate = 0.05 * (min(t / warmup, 1) if warmup else 1)
        second = 0.999 * second + 0.001 * g**2
        z = z - rate * g / (np.sqrt(second / (1 - 0.999**t)) + 1e-8)
        x = (1 - 1 / t) * x + z / t
        np.testing.assert_allclose(v.numpy(), (1 - beta_1) * z + beta_1 * x, rtol=2e-4, atol=2e-5)


def test_muon_makes_steps_orthogonal():
    muon = optimizers.Muon()
    for shape in ((6, 4), (4, 6), (5, 5)):
        step = muon.zeropower_via_newtonschulz5(RANDOM.normal(size=shape).astype(np.float32), 5).numpy()
        values = np.linalg.svd(step, compute_uv=False)
        assert ((0.5 < values) & (values < 1.3)).all()
    v, b = variables()
    muon.build([v, b])
    # A momentum of the matrix; two moments of the vector, and the two counters.
    assert len(muon.variables) == 2 + 1 + 2
    every = optimizers.Muon(exclude_layers=["^w$"])
    every.build([v, b])
    assert len(every.variables) == 2 + 4


def two(**arguments):
    slow, fast = optimizers.SGD(0.1), optimizers.SGD(0.5, momentum=0.5)
    return optimizers.MultiOptimizer(optimizers.OptimizerMap(slow, {"w.*": fast}), **arguments)


def test_several_optimizers_in_one():
    (w, b), (w2, b2) = variables(), variables()
    for twin, v in ((w2, w), (b2, b)):
        twin.assign(v.numpy())
    both, slow, fast = two(), optimizers.SGD(0.1), optimizers.SGD(0.5, momentum=0.5)
    for _ in range(3):
        g = [RANDOM.normal(size=v.shape).astype(np.float32) for v in (w, b)]
        both.apply(g, [w, b])
        fast.apply(g[:1], [w2])
        slow.apply(g[1:], [b2])
    np.testing.assert_array_equal(w.numpy(), w2.numpy())
    np.testing.assert_array_equal(b.numpy(), b2.numpy())
    assert int(both.iterations) == 3
    assert [int(one.iterations) for one in both.optimizers] == [3, 3]
    again = optimizers.deserialize(optimizers.serialize(both))
    again.build([w2, b2])
    again.set_weights([v.numpy() for v in both.variables])
    for twin in (again, copy.deepcopy(both), pickle.loads(pickle.dumps(both))):
        for target, v in ((w2, w), (b2, b)):
            target.assign(v.numpy())
        twin.build([w2, b2])
        one = copy.deepcopy(twin)
        one.apply([np.ones(w.shape), np.ones(b.shape)], [w2, b2])
        expected = w.numpy() + 0.5 * fast.momentums[0].numpy() - 0.5
        np.testing.assert_allclose(w2.numpy(), expected, rtol=1e-5)
    assert float(two(loss_scale_factor=8.0).scale_loss(2.0)) == 16.0


def test_several_optimizers_in_fit():
    def build():
        cnnrs.utils.set_random_seed(3)
        return cnnrs.Sequential(
            [cnnrs.Input((3,)), cnnrs.layers.Dense(4, name="body"), cnnrs.layers.Dense(1, name="head")]
        )

    x, y = RANDOM.normal(size=(16, 3)), RANDOM.normal(size=(16, 1))
    model, plain = build(), build()
    chosen = optimizers.OptimizerMap(optimizers.SGD(0.1), {".*head/.*": optimizers.SGD(0.0)})
    model.compile(optimizers.MultiOptimizer(chosen), "mse")
    plain.get_layer("head").trainable = False
    plain.compile(optimizers.SGD(0.1), "mse")
    history = model.fit(x, y, epochs=2, verbose=0, shuffle=False)
    plain.fit(x, y, epochs=2, verbose=0, shuffle=False)
    for a, b in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)
    halve = callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5)
    history = model.fit(x, y, epochs=2, verbose=0, callbacks=[halve]).history
    names = sorted(f"learning_rate_{one.name}" for one in model.optimizer.optimizers)
    assert sorted(n for n in history if n.startswith("learning_rate")) == names
    assert sorted(history[n][-1] for n in names) == pytest.approx([0.0, 0.025])
    plateau = callbacks.ReduceLROnPlateau(monitor="loss", patience=1, factor=0.5, min_delta=100.0)
    model.fit(x, y, epochs=3, verbose=0, callbacks=[plateau])
    assert max(float(one.learning_rate) for one in model.optimizer.optimizers) == pytest.approx(0.00625)


def test_a_learning_rate_may_become_a_callable_or_a_schedule():
    rates = iter([0.5, 0.25])
    v = cnnrs.Variable([1.0])
    optimizer = optimizers.SGD(0.1)
    assert len(optimizer.variables) == 2
    optimizer.learning_rate = lambda: next(rates)
    assert len(optimizer.variables) == 1
    optimizer.apply([[1.0]], [v])
    assert v.numpy().tolist() == [0.5]
    optimizer.apply([[1.0]], [v])
    assert v.numpy().tolist() == [0.25]
    with pytest.raises(TypeError, match="follows a schedule"):
        optimizer.learning_rate = 0.1
    optimizer.learning_rate = optimizers.schedules.ExponentialDecay(1.0, 1, 0.5)
    assert float(optimizer.learning_rate) == 0.25
    # A file that an older version wrote keeps the rate, too.
    scheduled = optimizers.SGD(optimizers.schedules.ExponentialDecay(1.0, 1, 0.5), momentum=0.5)
    scheduled.build([v])
    assert len(scheduled.variables) == 2
    scheduled.load_own_variables({"0": np.int32(3), "1": np.float32(1.0), "2": np.ones(1, np.float32)})
    assert int(scheduled.iterations) == 3 and scheduled.variables[1].numpy().tolist() == [1.0]


def test_values_that_are_overwritten_wait_for_the_update_when_gradients_accumulate():
    v, w = cnnrs.Variable([1.0, 2.0]), cnnrs.Variable([1.0, 2.0])
    v.overwrite_with_gradient = True
    optimizer = optimizers.SGD(1.0, gradient_accumulation_steps=2)
    optimizer.apply([[3.0, 1.0], [1.0, 1.0]], [v, w])
    assert (v.numpy().tolist(), w.numpy().tolist()) == ([1.0, 2.0], [1.0, 2.0])
    optimizer.apply([[2.0, 2.0], [2.0, 2.0]], [v, w])
    assert (v.numpy().tolist(), w.numpy().tolist()) == ([3.0, 2.0], [-0.5, 0.5])


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: optimizers.OptimizerMap("sgd"), TypeError, "default_optimizer"),
        (lambda: optimizers.OptimizerMap(optimizers.SGD(), {"w": "sgd"}), ValueError, "'w'.*received 'sgd'"),
        (lambda: optimizers.MultiOptimizer(optimizers.SGD()), ValueError, "optimizer_map"),
        (lambda: optimizers.OptimizerMap(optimizers.SGD(), {"w": two()}), ValueError, "MultiOptimizer"),
        (lambda: two().learning_rate, AttributeError, "optimizers"),
        (lambda: optimizers.Ftrl(learning_rate_power=0.5), ValueError, "learning_rate_power.*<= 0"),
        (lambda: optimizers.Ftrl(l1_regularization_strength=-1), ValueError, "l1_regularization_strength"),
        (lambda: optimizers.ScheduleFreeAdamW(beta_1=0.0), ValueError, "beta_1.*> 0"),
        (lambda: optimizers.Muon(ns_steps=-1), ValueError, "ns_steps"),
        (lambda: optimizers.Adafactor(clip_threshold=0), ValueError, "clip_threshold"),
        (lambda: optimizers.SGD().stateless_apply([], [], []), ValueError, "build"),
        (lambda: optimizers.LossScaleOptimizer("sgd", foo=1), ValueError, "`foo`"),
    ],
)
def test_errors(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_no_optimizer_is_none():
    assert optimizers.get(None) is None


def test_a_loaded_model_has_the_paths_by_which_optimizers_were_chosen(tmp_path):
    model = cnnrs.Sequential(
        [
            cnnrs.Input((3,)),
            cnnrs.Sequential([cnnrs.layers.Dense(4, name="body")], name="inner"),
            cnnrs.layers.Dense(1, name="head"),
        ],
        name="net",
    )
    chosen = optimizers.OptimizerMap(optimizers.Adam(0.1), {"net/head/.*": optimizers.SGD(0.1)})
    model.compile(optimizers.MultiOptimizer(chosen), "mse")
    x, y = RANDOM.normal(size=(16, 3)), RANDOM.normal(size=(16, 1))
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "net.safetensors")
    loaded = cnnrs.saving.load_model(tmp_path / "net.safetensors")
    assert [v.path for v in loaded.weights] == [v.path for v in model.weights]
    assert loaded.weights[0].path == "net/inner/body/kernel"
    for one in (model, loaded):
        one.fit(x, y, verbose=0, shuffle=False)
    for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "callback, logged, last",
    [
        (callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5), [0.25, 0.125], 0.125),
        # The rate that the epoch had is logged.
        (callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=1e9), [0.5, 0.5], 0.25),
    ],
)
def test_the_rates_of_several_optimizers_inside_of_a_scaled_loss_are_set(callback, logged, last):
    model = cnnrs.Sequential([cnnrs.Input((3,)), cnnrs.layers.Dense(1)])
    only = optimizers.SGD(0.5, name="only")
    several = optimizers.MultiOptimizer(optimizers.OptimizerMap(only))
    model.compile(optimizers.LossScaleOptimizer(several), "mse")
    history = model.fit(np.ones((4, 3)), np.ones(4), epochs=2, verbose=0, callbacks=[callback]).history
    assert history["learning_rate_only"] == logged
    assert float(only.learning_rate) == last


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64"])
def test_averages_of_16_bits_follow_weights_in_small_steps(dtype):
    v = cnnrs.Variable(np.ones(2), dtype=dtype)
    optimizer = optimizers.SGD(0.0, use_ema=True, ema_momentum=0.999)
    optimizer.apply([np.zeros(2)], [v])
    v.assign(np.full(2, 2.0))
    for _ in range(300):
        optimizer.apply([np.zeros(2)], [v])
    assert v.dtype == dtype
    optimizer.finalize_variable_values([v])
    np.testing.assert_allclose(v.numpy().astype("float64"), 2 - 0.999**300, rtol=5e-3)
    assert v.dtype == dtype


def test_slots_of_float64_variables_are_float64():
    v = cnnrs.Variable(np.ones(3), dtype="float64")
    optimizer, w, m = optimizers.SGD(0.25, momentum=0.9), np.ones(3), np.zeros(3)
    for _ in range(9):
        gradient = RANDOM.normal(size=3)
        optimizer.apply([cnnrs.ops.convert_to_tensor(gradient, "float64")], [v])
        m = 0.9 * m - 0.25 * gradient
        w = w + m
    np.testing.assert_allclose(v.numpy(), w, rtol=1e-13)
    matrix = cnnrs.Variable(np.ones((3, 2)), dtype="float64")
    adafactor = optimizers.Adafactor()
    adafactor.build([matrix])
    assert [slot.dtype for slot in adafactor.variables[2:]] == ["float64"] * 3


@pytest.mark.parametrize("by_callable", [False, True])
def test_several_optimizers_exclude_from_weight_decay_before_they_are_known(by_callable):
    one = optimizers.SGD(0.5, weight_decay=0.5)
    several = optimizers.MultiOptimizer((lambda v: one) if by_callable else optimizers.OptimizerMap(one))
    kernel, bias, other = (cnnrs.Variable([1.0], name=name) for name in ("kernel", "bias", "other"))
    several.exclude_from_weight_decay(var_list=[other], var_names=["bias"])
    several.apply([[0.0]] * 3, [kernel, bias, other])
    assert [float(v.numpy()[0]) for v in (kernel, bias, other)] == [0.75, 1.0, 1.0]


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "Adagrad", "Adadelta", "Adamax", "Nadam", "Ftrl"])
def test_legacy_names_make_the_optimizers_of_today(name):
    made = getattr(optimizers.legacy, name)(lr=0.5, name="mine")
    assert type(made) is getattr(optimizers, name) is getattr(optimizers.experimental, name)
    assert float(made.learning_rate) == 0.5 and made.name == "mine"
    default = getattr(optimizers, name)().get_config()["learning_rate"]
    assert getattr(optimizers.legacy, name)().get_config()["learning_rate"] == default


def test_decay_of_legacy_optimizers_is_a_schedule():
    weight = cnnrs.Variable([0.0])
    optimizer = optimizers.legacy.SGD(1.0, decay=0.5)
    for rate in (1.0, 1 / 1.5, 1 / 2.0):
        before = float(weight.numpy()[0])
        optimizer.apply_gradients([(ops.ones((1,)), weight)])
        assert before - float(weight.numpy()[0]) == pytest.approx(rate, rel=1e-6)
    with pytest.raises(ValueError, match="decay: expected a learning rate that is a number"):
        optimizers.legacy.Adam(optimizers.schedules.CosineDecay(0.1, 10), decay=0.1)
    with pytest.raises(ValueError, match="SGD: decay"):
        optimizers.legacy.SGD(decay=-1)

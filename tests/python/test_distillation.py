"""`Distiller` and its losses against numpy and against training by hand."""

from __future__ import annotations

import numpy as np
import pytest

import cnnrs
from cnnrs import distillation, layers, losses

Distiller, Features = distillation.Distiller, distillation.FeatureDistillation
Logits = distillation.LogitsDistillation
RANDOM = np.random.default_rng(5)
X = RANDOM.normal(size=(12, 4)).astype(np.float32)
Y = RANDOM.integers(0, 3, 12)


def net(width: int, name: str) -> cnnrs.Model:
    x = cnnrs.Input((4,))
    hidden = layers.Dense(width, activation="relu", name="hidden")(x)
    return cnnrs.Model(x, layers.Dense(3, name="logits")(hidden), name=name)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def distiller(kind, **arguments):
    cnnrs.utils.set_random_seed(1)
    made = Distiller(net(6, "teacher"), net(6, "student"), kind, **arguments)
    made.compile(cnnrs.optimizers.SGD(0.1), losses.SparseCategoricalCrossentropy(from_logits=True))
    return made


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_logits(temperature):
    t, s = RANDOM.normal(size=(5, 3)), RANDOM.normal(size=(5, 3))
    p, q = softmax(t / temperature), softmax(s / temperature)
    expected = temperature**2 * (p * np.log(p / q)).sum(-1).mean()
    for loss in ("kl_divergence", losses.KLDivergence()):
        made = Logits(temperature, loss)
        value = made.compute_loss(cnnrs.ops.array(t), cnnrs.ops.array(s))
        assert float(value) == pytest.approx(expected, rel=1e-4)
    made = Logits(temperature, "mse")
    value = made.compute_loss(cnnrs.ops.array(t), cnnrs.ops.array(s))
    assert float(value) == pytest.approx(((t - s) ** 2).mean() / temperature**2, rel=1e-4)


def test_losses_of_structures():
    t = {"a": cnnrs.ops.array([[1.0]]), "b": cnnrs.ops.array([[2.0]])}
    s = {"a": cnnrs.ops.array([[3.0]]), "b": cnnrs.ops.array([[9.0]])}
    some = Features({"a": "mse", "b": None})
    assert float(some.compute_loss(t, s)) == 4.0
    both = Features({"a": "mse", "b": "mae"})
    assert float(both.compute_loss(t, s)) == 11.0
    for loss in (
        some,
        both,
        Logits(2.0),
        Features("mse", "h", "k"),
    ):
        again = cnnrs.saving.deserialize_keras_object(cnnrs.saving.serialize_keras_object(loss))
        assert again.get_config() == loss.get_config()


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_step_is_that_of_both_losses(share):
    kinds = [
        Logits(2.0),
        Features("mse", "hidden", "hidden"),
        Features("mae", "hidden"),
    ][: 2 if share else 1]
    weights = [0.5, 2.0][: len(kinds)]
    made = distiller(kinds, distillation_loss_weights=weights, student_loss_weight=share)
    twin = cnnrs.models.clone_model(made.student)
    twin.set_weights(made.student.get_weights())
    features = [cnnrs.Model(m.inputs, [m.get_layer("hidden").output, m.output]) for m in (made.teacher, twin)]
    with cnnrs.GradientTape() as tape:
        (hidden_t, logits_t), (hidden_s, logits_s) = (model(X) for model in features)
        own = losses.SparseCategoricalCrossentropy(from_logits=True)(Y, logits_s)
        rest = 0.5 * kinds[0].compute_loss(logits_t, logits_s)
        if len(kinds) > 1:
            rest = rest + 2.0 * kinds[1].compute_loss(hidden_t, hidden_s)
        loss = share * own + (1 - share) * rest
    weights = twin.trainable_weights
    cnnrs.optimizers.SGD(0.1).apply(tape.gradient(loss, weights), weights)
    before = made.teacher.get_weights()
    logs = made.fit(X, Y, batch_size=12, epochs=1, shuffle=False, verbose=0).history
    for a, b in zip(made.student.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    for a, b in zip(made.teacher.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert logs["total_loss"][0] == pytest.approx(float(loss), rel=1e-4)
    assert logs["distillation_loss"][0] == pytest.approx(float(rest) if share < 1 else 0.0, rel=1e-4)
    assert logs["student_loss"][0] == pytest.approx(float(own) if share else 0.0, rel=1e-4)


def test_it_computes_what_the_student_does_and_comes_back_from_a_file(tmp_path):
    made = distiller(Features("mse", "hidden", "hidden"), student_loss_weight=0.25)
    made.fit(X, Y, epochs=1, verbose=0)
    np.testing.assert_array_equal(made.predict(X, verbose=0), made.student.predict(X, verbose=0))
    assert [w.path for w in made.trainable_weights] == [w.path for w in made.student.trainable_weights]
    path = str(tmp_path / "distiller.safetensors")
    made.save(path)
    again = cnnrs.saving.load_model(path)
    assert again.student_loss_weight == 0.25
    np.testing.assert_array_equal(again.predict(X, verbose=0), made.predict(X, verbose=0))
    a, b = (m.evaluate(X, Y, verbose=0, return_dict=True) for m in (again, made))
    assert a == pytest.approx(b)


def test_sample_weights_weigh_the_students_loss():
    made = distiller(Logits(), student_loss_weight=1.0)
    w = RANDOM.uniform(size=12).astype(np.float32)
    expected = float(losses.SparseCategoricalCrossentropy(from_logits=True)(Y, made.student(X), w))
    logs = made.evaluate(X, Y, sample_weight=w, batch_size=12, verbose=0, return_dict=True)
    assert logs["student_loss"] == pytest.approx(expected, rel=1e-5)


WIDE = cnnrs.Sequential([cnnrs.Input((5,)), layers.Dense(3)])


class Own(cnnrs.Model):
    def call(self, x):
        return x


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: distiller(None), "distillation_losses"),
        (lambda: Distiller("t", net(2, "s"), Logits()), "teacher.*'t'"),
        (
            lambda: Distiller(WIDE, net(2, "s"), Logits()),
            "inputs.*shapes",
        ),
        (
            lambda: distiller(Logits(), student_loss_weight=1.5),
            "student_loss_weight",
        ),
        (
            lambda: distiller([Logits()], distillation_loss_weights=[1, 2]),
            "1 numbers.*2",
        ),
        (
            lambda: distiller(Features("mse", "nothing")),
            "teacher_layer_name.*nothing",
        ),
        (
            lambda: Distiller(Own(), Own(), Features("mse", "h")),
            "functional",
        ),
        (lambda: distiller(Logits()).compile("sgd"), "loss.*None"),
        (lambda: Logits(0.0), "temperature"),
        (lambda: Features(None), "loss.*None"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_weight_of_a_single_loss_counts():
    plain, weighted = distiller(Logits()), distiller(Logits(), distillation_loss_weights=3.0)
    assert weighted.distillation_loss_weights == [3.0]
    logs = [one.evaluate(X, Y, verbose=0, return_dict=True) for one in (plain, weighted)]
    assert logs[1]["distillation_loss"] == pytest.approx(3.0 * logs[0]["distillation_loss"], rel=1e-5)
    with pytest.raises(ValueError, match="distillation_loss_weights: expected a finite number"):
        distiller(Logits(), distillation_loss_weights=["a"])
    with pytest.raises(ValueError, match="student's loss"):
        plain.compile("sgd", [None])


def test_a_name_is_no_distillation_loss() -> None:
    models = [cnnrs.Sequential([cnnrs.Input((4,)), layers.Dense(3)]) for _ in range(2)]
    with pytest.raises(ValueError, match="expected a DistillationLoss or a list of them, received 'kl'"):
        distillation.Distiller(*models, "kl")

"""Rules of Keras that single classes follow: names, gradients at 0, arguments that are refused."""

import numpy as np
import pytest

import cnnrs
from cnnrs import constraints, layers, losses, ops


def test_grouped_query_attention_has_the_name_of_keras():
    layer = layers.GroupQueryAttention(2, 2, 2)
    assert layer.name.startswith("grouped_query_attention")
    assert layers.GroupQueryAttention(2, 2, 2, name="mine").name == "mine"
    assert layers.GroupQueryAttention.from_config(layer.get_config()).name == layer.name


@pytest.mark.parametrize("make", [constraints.UnitNorm, constraints.MaxNorm, constraints.MinMaxNorm])
def test_gradients_of_constraints_are_finite_at_zero(make):
    w = cnnrs.Variable(np.array([[0.0, 3.0], [0.0, 4.0]], "float32"))
    with cnnrs.GradientTape() as tape:
        y = ops.sum(make()(w))
    assert np.isfinite(tape.gradient(y, w).numpy()).all()
    assert make()(w).numpy()[:, 0].tolist() == [0.0, 0.0]


def test_cosine_similarity_of_short_vectors():
    # Norms below 1e-7, and not below 1e-6, count as that.
    short = np.array([[3e-7, 4e-7]], "float32")
    assert float(losses.cosine_similarity(short, short)[0]) == pytest.approx(-1.0, rel=1e-5)


@pytest.mark.parametrize(
    ("make", "args"),
    [
        (layers.Dense, (2,)),
        (layers.Embedding, (3, 2)),
        (layers.EinsumDense, ("ab,bc->ac", 2)),
        *((cls, (2, 3)) for cls in (layers.Conv1D, layers.Conv2D, layers.Conv3D)),
    ],
)
def test_low_rank_adaptation_is_refused(make, args):
    named = f"{make.__name__}: lora_rank: expected None, received 4: .*trainable"
    with pytest.raises(ValueError, match=named):
        make(*args, lora_rank=4)
    layer = make(*args, lora_rank=None)
    with pytest.raises(NotImplementedError, match=r"enable_lora .*trainable"):
        layer.enable_lora(4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: layers.BatchNormalization(epsilon=float("nan")),
            "epsilon: .*finite number > 0, received nan",
        ),
        (
            lambda: layers.LayerNormalization(epsilon=float("inf")),
            "epsilon: .*finite number > 0, received inf",
        ),
        (lambda: layers.RMSNormalization(epsilon=-1.0), "epsilon: .*finite number >= 0, received -1.0"),
        (lambda: layers.BatchNormalization(axis=[1]), "axis: expected an integer, received"),
        (lambda: layers.GroupNormalization(1, axis=[1]), "axis: expected an integer, received"),
        (
            lambda: layers.GroupNormalization(1, axis=3)(np.ones((2, 4, 3))),
            "axis: .*from -3 to 2, received 3",
        ),
        (lambda: layers.PReLU(shared_axes=[3])(np.ones((2, 4, 3))), "shared_axes: .*from 1 to 2, received 3"),
        # They were taken modulo the number of axes, and so to be the axis of the heads.
        (lambda: heads(5), "attention_axes: .*from -3 to 2, received 5"),
        (lambda: heads(2), "attention_axes: expected axes before the features, received"),
        (lambda: heads(-1), "attention_axes: expected axes before the features, received"),
    ],
)
def test_arguments_of_no_meaning_are_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def heads(axis):
    return layers.MultiHeadAttention(2, 3, attention_axes=axis)(np.ones((2, 4, 3)), np.ones((2, 4, 3)))


def test_softmax_over_several_axes_of_an_empty_batch():
    assert ops.softmax(np.zeros((0, 3, 4), "float32"), axis=(1, 2)).shape == (0, 3, 4)
    assert ops.log_softmax(np.zeros((0, 3, 4), "float32"), axis=(-1, 1)).shape == (0, 3, 4)

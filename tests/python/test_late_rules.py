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

"""Attention and sparse probabilities by their definitions."""

from __future__ import annotations

import numpy as np
import pytest

import cnnrs
from cnnrs import Input, ops

pytestmark = pytest.mark.filterwarnings("ignore:.*plans have been compiled:RuntimeWarning")


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def attended(query, key, value, bias=None, mask=None, scale=None, causal=False):
    repeats = query.shape[2] // key.shape[2]
    key, value = np.repeat(key, repeats, axis=2), np.repeat(value, repeats, axis=2)
    scores = np.einsum("bqhd,bkhd->bhqk", query, key) * (scale or query.shape[-1] ** -0.5)
    scores = scores if bias is None else scores + bias
    if causal:
        mask = np.tri(*scores.shape[-2:], dtype=bool) & (True if mask is None else mask)
    scores = scores if mask is None else np.where(mask, scores, -1e30)
    return np.einsum("bhqk,bkhd->bqhd", softmax(scores), value)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("options", ["", "bias", "mask", "bias mask scale"])
@pytest.mark.parametrize("heads, groups", [(2, 2), (4, 2), (6, 3), (4, 1)])
def test_heads_of_keys_serve_groups_of_queries(heads, groups, options, causal):
    query, key, value = drawn(2, 5, heads, 4), drawn(2, 5, groups, 4, seed=1), drawn(2, 5, groups, 3, seed=2)
    given = {
        "bias": drawn(2, heads, 5, 5, seed=3),
        "mask": drawn(2, 1, 5, 5, seed=4) + 2 * np.eye(5) > -0.3,
        "scale": 0.7,
    }
    given = {name: given[name] for name in options.split()}
    result = ops.dot_product_attention(query, key, value, is_causal=causal, **given)
    np.testing.assert_allclose(result.numpy(), attended(query, key, value, causal=causal, **given), atol=1e-4)


@pytest.mark.parametrize("options", [{}, {"scale": 0.7}, {"scale": -2.0, "attn_logits_soft_cap": 3.0}])
@pytest.mark.parametrize("queries, keys, depth", [(3, 7, 2), (7, 2, 5), (4, 4, 4), (1, 20, 16)])
@pytest.mark.parametrize("groups", [4, 2])
def test_scores_are_scaled_whichever_is_longer(groups, queries, keys, depth, options):
    query = drawn(2, queries, 4, depth)
    key, value = drawn(2, keys, groups, depth, seed=1), drawn(2, keys, groups, 3, seed=2)
    result = ops.dot_product_attention(query, key, value, **options)
    repeated = [np.repeat(x, 4 // groups, axis=2) for x in (key, value)]
    scores = np.einsum("bqhd,bkhd->bhqk", query, repeated[0]) * options.get("scale", depth**-0.5)
    if "attn_logits_soft_cap" in options:
        scores = 3.0 * np.tanh(scores / 3.0)
    expected = np.einsum("bhqk,bkhd->bqhd", softmax(scores), repeated[1])
    np.testing.assert_allclose(result.numpy(), expected, atol=1e-5)


def test_gradients_reach_each_argument():
    query, key, value = drawn(1, 3, 4, 2), drawn(1, 3, 2, 2, seed=1), drawn(1, 3, 2, 2, seed=2)
    tangents = [drawn(*x.shape, seed=5) for x in (query, key, value)]
    _, slope = ops.jvp(ops.dot_product_attention, [query, key, value], tangents)
    wide = [x.astype(np.float64) for x in (query, key, value)]
    moved = [attended(*(x + step * t for x, t in zip(wide, tangents, strict=True))) for step in (1e-5, -1e-5)]
    np.testing.assert_allclose(slope.numpy(), (moved[0] - moved[1]) / 2e-5, atol=1e-3)


def test_symbolic_lengths_may_be_unknown():
    query, key = Input((None, 4, 8)), Input((6, 2, 8))
    assert ops.dot_product_attention(query, key, key).shape == (None, None, 4, 8)


def test_what_does_not_fit_is_refused():
    x = np.ones((1, 2, 4, 3))
    with pytest.raises(ValueError, match="flash_attention"):
        ops.dot_product_attention(x, x, x, flash_attention=True)
    with pytest.raises(ValueError, match="heads that divide the 4 of query"):
        ops.dot_product_attention(x, x[:, :, :3], x[:, :, :3])
    with pytest.raises(ValueError, match="query: expected shape"):
        ops.dot_product_attention(x[0], x, x)


@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_sparsemax_is_the_nearest_probabilities(axis):
    x = drawn(4, 6, 5) * 2
    y = ops.sparsemax(x, axis).numpy()
    np.testing.assert_allclose(y.sum(axis), 1.0, atol=1e-5)
    assert (y >= 0).all() and (y == 0).any()
    # Optimal: the same t is subtracted wherever something is left, and no more than that elsewhere.
    rows, kept = np.moveaxis(x, axis, -1), np.moveaxis(y, axis, -1)
    t = np.max(np.where(kept > 0, rows - kept, -np.inf), -1, keepdims=True)
    np.testing.assert_allclose(kept, np.maximum(rows - t, 0), atol=1e-5)
    direction = drawn(4, 6, 5, seed=1)
    _, slope = ops.jvp(lambda v: ops.sparsemax(v, axis), [x], [direction])
    active = y > 0
    mean = np.sum(direction * active, axis, keepdims=True) / np.sum(active, axis, keepdims=True)
    np.testing.assert_allclose(slope.numpy(), np.where(active, direction - mean, 0), atol=1e-5)


def test_sparsemax_of_equal_and_single_elements():
    assert ops.sparsemax([[2.0, 2.0], [0.0, 9.0]]).tolist() == [[0.5, 0.5], [0.0, 1.0]]
    assert ops.sparsemax(Input((7, 3)), 1).shape == (None, 7, 3)
    model = cnnrs.Sequential([Input((3,)), cnnrs.layers.Lambda(ops.sparsemax)])
    np.testing.assert_allclose(model.predict(drawn(5, 3), verbose=0).sum(-1), 1.0, rtol=1e-5)


def test_softmax_over_all_axes():
    x = drawn(2, 3)
    np.testing.assert_allclose(
        ops.softmax(x, None).numpy(), softmax(x.reshape(1, 6)).reshape(2, 3), atol=1e-6
    )
    np.testing.assert_allclose(
        ops.log_softmax(x, None).numpy(), np.log(ops.softmax(x, None).numpy()), atol=1e-5
    )


def test_softmax_over_one_element_is_warned_of():
    with pytest.warns(UserWarning, match="softmax over axis 1 of a tensor of shape"):
        ops.softmax([[1.0]], 1)


def test_epsilon_is_the_configured_one():
    x = np.full((1, 2), 1e-3, np.float32) * [1, 3]
    before = cnnrs.config.epsilon()
    for function in (ops.layer_normalization, ops.rms_normalization):
        np.testing.assert_array_equal(function(x).numpy(), function(x, epsilon=1e-7).numpy())
        try:
            cnnrs.config.set_epsilon(1e-2)
            np.testing.assert_array_equal(function(x).numpy(), function(x, epsilon=1e-2).numpy())
        finally:
            cnnrs.config.set_epsilon(before)


def test_rms_scaling_of_older_models_is_deprecated():
    x, gamma = drawn(4, 3), drawn(3, seed=1)
    with pytest.warns(UserWarning, match="rms_scaling=True`, which is deprecated"):
        y = ops.layer_normalization(x, gamma, rms_scaling=True)
    np.testing.assert_allclose(y.numpy(), x / np.sqrt(x.var(-1, keepdims=True) + 1e-7) * gamma, rtol=1e-4)


def test_heads_take_initializers_that_cannot_be_saved():
    layer = cnnrs.layers.MultiHeadAttention(
        2, 3, kernel_initializer=lambda shape, dtype: np.ones(shape, dtype)
    )
    layer.build((1, 4, 6), (1, 4, 6))
    assert layer.query_dense.kernel.numpy().min() == 1.0
    drawn_anew = cnnrs.layers.MultiHeadAttention(2, 3)
    drawn_anew.build((1, 4, 6), (1, 4, 6))
    assert (drawn_anew.query_dense.kernel.numpy() != drawn_anew.key_dense.kernel.numpy()).all()

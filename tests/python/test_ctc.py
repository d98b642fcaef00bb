"""CTC against all ways to spread labels over the steps, and a beam search against their probabilities."""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np
import pytest

import cnnrs
from cnnrs import Input, ops

pytestmark = pytest.mark.filterwarnings("ignore:.*plans have been compiled:RuntimeWarning")


def collapsed(way, blank):
    merged = [c for i, c in enumerate(way) if i == 0 or c != way[i - 1]]
    return tuple(c for c in merged if c != blank)


def probabilities(logits, blank):
    """The probability of every label sequence, by all ways."""
    rows = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    found = defaultdict(float)
    for way in itertools.product(range(rows.shape[1]), repeat=len(rows)):
        found[collapsed(way, blank)] += float(np.prod([rows[t, c] for t, c in enumerate(way)]))
    return found


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("blank", [0, 2])
def test_the_loss_is_that_of_all_ways(blank):
    logits = drawn(5, 4, 3) * 2
    labels = [c for c in range(3) if c != blank]
    target = np.array(
        [
            [labels[0], labels[1]],
            [labels[0], labels[0]],
            [labels[1], blank],
            [blank, blank],
            [labels[1], labels[0]],
        ]
    )
    lengths, steps = np.array([2, 2, 1, 0, 2]), np.array([4, 4, 3, 2, 4])
    loss = ops.ctc_loss(target, logits, lengths, steps, blank).numpy()
    for b in range(5):
        expected = probabilities(logits[b, : steps[b]], blank)[tuple(target[b, : lengths[b]])]
        np.testing.assert_allclose(loss[b], -np.log(expected), rtol=1e-4)


def test_the_gradient_is_differences():
    logits = drawn(2, 6, 4)
    target, lengths, steps = np.array([[1, 1, 2], [3, 2, 0]]), np.array([3, 2]), np.array([6, 5])
    direction = drawn(2, 6, 4, seed=1)

    def loss(x):
        return ops.sum(ops.ctc_loss(target, x, lengths, steps))

    _, slope = ops.jvp(loss, [logits], [direction])
    differences = float(loss(logits + 1e-2 * direction) - loss(logits - 1e-2 * direction)) / 2e-2
    np.testing.assert_allclose(float(slope), differences, rtol=1e-2)


def test_labels_that_do_not_fit_have_a_finite_loss_and_gradient():
    x = cnnrs.Variable(drawn(1, 2, 3))
    with cnnrs.GradientTape() as tape:
        loss = ops.ctc_loss([[1, 1, 2]], x, [3], [2])
    assert 1e4 < float(loss[0]) < 1e6
    assert np.isfinite(tape.gradient(loss, x).numpy()).all()


@pytest.mark.parametrize("blank", [0, 2])
def test_the_beam_finds_the_likeliest_labels(blank):
    logits = drawn(3, 5, 3, seed=4) * 2
    labels, scores = ops.ctc_decode(
        logits, [5, 4, 5], "beam_search", beam_width=50, top_paths=3, mask_index=blank
    )
    assert labels.shape == (3, 3, 5) and scores.shape == (3, 3)
    for b, n in enumerate([5, 4, 5]):
        expected = sorted(probabilities(logits[b, :n], blank).items(), key=lambda item: -item[1])[:3]
        for p, (path, probability) in enumerate(expected):
            assert tuple(c for c in labels.numpy()[p, b] if c >= 0) == path
            np.testing.assert_allclose(scores.numpy()[b, p], np.log(probability), rtol=1e-4)


@pytest.mark.parametrize("merge", [False, True])
def test_greedy_takes_the_largest(merge):
    logits = drawn(4, 7, 4, seed=2)
    lengths = np.array([7, 5, 3, 1])
    labels, scores = ops.ctc_decode(logits, lengths, merge_repeated=merge, mask_index=3)
    for b, n in enumerate(lengths):
        best = logits[b, :n].argmax(-1)
        kept = collapsed(best, 3) if merge else tuple(c for c in best if c != 3)
        assert tuple(labels.numpy()[0, b, : len(kept)]) == kept
        assert (labels.numpy()[0, b, len(kept) :] == -1).all()
        np.testing.assert_allclose(scores.numpy()[b, 0], -logits[b, :n].max(-1).sum(), rtol=1e-5)


def test_models_of_unknown_batch():
    logits, lengths = Input((7, 4)), Input((), dtype="int32")
    labels, scores = ops.ctc_decode(logits, lengths)
    assert labels.shape == (1, None, 7) and scores.shape == (None, 1)
    target, count = Input((3,), dtype="int32"), Input((), dtype="int32")
    assert ops.ctc_loss(target, logits, count, lengths).shape == (None,)


def test_the_beam_says_that_it_reads_values():
    @cnnrs.function
    def traced(x):
        return ops.ctc_decode(x, [3], "beam_search")[0]

    with pytest.raises(RuntimeError, match="beam_search"):
        traced(ops.zeros((1, 3, 2)))


@pytest.mark.parametrize("call, message", [
    (lambda: ops.ctc_loss([[1]], np.ones((2, 3)), [1], [3]), "ctc_loss: output"),
    (lambda: ops.ctc_loss([1], np.ones((1, 2, 3)), [1], [3]), "ctc_loss: target"),
    (lambda: ops.ctc_loss([[1]], np.ones((1, 2, 3)), [1, 1], [3]), "ctc_loss: target_length"),
    (lambda: ops.ctc_loss([[1]], np.ones((1, 2, 3)), [1], [3], 3), "ctc_loss: mask_index"),
    (lambda: ops.ctc_decode(np.ones((1, 2, 3)), [2], "best"), "ctc_decode: strategy"),
    (lambda: ops.ctc_decode(np.ones((1, 2, 3)), [2], "beam_search", beam_width=0), "ctc_decode: beam_width"),
])  # fmt: skip
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()

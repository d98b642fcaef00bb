"""Connectionist temporal classification: labels of sequences whose places are not known."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs.base import context
from cnnrs.base.arguments import integer
from cnnrs.ops.dispatch import apply, as_float, as_tensor, in_float32, op
from cnnrs.ops.indexing import take_along_axis

__all__ = ["ctc_decode", "ctc_loss"]

# The logarithm of a probability that counts as 0. Sums of it stay finite, and so do gradients.
_NEVER = -1e5


def _integers(x: Any, name: str, argument: str, shape: tuple[int, ...]) -> Any:
    x = as_tensor(x).astype("int32")
    if x.shape != shape:
        raise ValueError(f"{name}: {argument}: expected shape {shape}, received {x.shape}")
    return x


def _scores(x: Any, name: str, argument: str) -> Any:
    x = as_float(x)
    if x.ndim != 3:
        raise ValueError(f"{name}: {argument}: expected shape (batch, steps, classes), received {x.shape}")
    return x


@op
@in_float32
def ctc_loss(target: Any, output: Any, target_length: Any, output_length: Any, mask_index: int = 0) -> Any:
    """Computes minus the logarithm of the probability of label sequences (Graves et al., 2006).

    The probability is that of all ways to spread the labels over the steps, with repetitions and with blanks
    between them. Where there is none, the loss is about 1e5.

    Args:
        target: Labels, an integer tensor of shape (batch, labels).
        output: Logits, a tensor of shape (batch, steps, classes); other dtypes are converted to float32.
        target_length: How many labels of each sample count, an integer tensor of shape (batch).
        output_length: How many steps of each sample count, likewise.
        mask_index: The class that means a blank, 0 by default.

    Returns:
        float32 tensor of shape (batch).

    Raises:
        TypeError: An argument is not numeric.
        ValueError: The shapes do not fit, or `mask_index` is no class.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> loss = ops.ctc_loss([[1]], np.zeros((1, 2, 2)), [1], [2])
        >>> print(np.exp(-loss.numpy()).round(4))
        [0.75]
    """
    output = _scores(output, "ctc_loss", "output")
    batch, steps, classes = output.shape
    target = as_tensor(target).astype("int32")
    if target.ndim != 2 or target.shape[0] != batch:
        raise ValueError(f"ctc_loss: target: expected shape ({batch}, labels), received {target.shape}")
    blank = integer(mask_index, "ctc_loss", "mask_index", least=0, most=classes - 1)
    labels = target.shape[1]
    target_length = _integers(target_length, "ctc_loss", "target_length", (batch,))
    output_length = _integers(output_length, "ctc_loss", "output_length", (batch,))
    # Blanks stand around all labels: (batch, 2 * labels + 1) places.
    places = 2 * labels + 1
    blanks = np.full((batch, labels), blank, np.int32)
    both = apply("reshape", apply("stack", blanks, target, axis=2), shape=[batch, 2 * labels])
    extended = apply("concat", both, np.full((batch, 1), blank, np.int32), axis=1)
    log_probabilities = apply("log_softmax", output, axis=2)
    wanted = apply("broadcast_to", apply("expand_dims", extended, axis=1), shape=[batch, steps, places])
    emitted = take_along_axis(log_probabilities, wanted, axis=2)
    # A label may follow the one before without a blank, unless they are equal.
    is_label = np.arange(places) % 2 == 1
    before = _shifted(extended, 2, -1)
    skips = apply("logical_and", apply("not_equal", extended, before), is_label)
    reached = np.arange(places) < 2
    state = apply("where", reached, _step(emitted, 0), _NEVER)
    for t in range(1, steps):
        ways = [state, _shifted(state, 1, _NEVER), apply("where", skips, _shifted(state, 2, _NEVER), _NEVER)]
        summed = apply("logsumexp", apply("stack", *ways, axis=0), axes=[0], keepdims=False)
        moved = apply("add", summed, _step(emitted, t))
        counts = apply("expand_dims", apply("greater", output_length, t), axis=1)
        state = apply("where", counts, moved, state)
    last = apply("mul", apply("expand_dims", target_length, axis=1), 2)
    at = np.arange(places, dtype=np.int32)
    ends = apply("logical_or", apply("equal", at, last), apply("equal", at, apply("sub", last, 1)))
    total = apply("logsumexp", apply("where", ends, state, _NEVER), axes=[1], keepdims=False)
    return apply("neg", total)


def _step(x: Any, t: int) -> Any:
    batch, _, places = x.shape
    step = apply("slice", x, starts=[0, t, 0], stops=[batch, t + 1, places], steps=[1, 1, 1])
    return apply("squeeze", step, axis=1)


def _shifted(x: Any, by: int, value: float) -> Any:
    """Rows moved to higher places, with `value` in front."""
    batch, places = x.shape
    rest = apply("slice", x, starts=[0, 0], stops=[batch, max(places - by, 0)], steps=[1, 1])
    return apply("pad", rest, paddings=[[0, 0], [min(by, places), 0]], value=float(value))


@op
@in_float32
def ctc_decode(
    inputs: Any,
    sequence_lengths: Any,
    strategy: str = "greedy",
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
    mask_index: int = 0,
) -> Any:
    """Finds likely label sequences for the outputs of a network that was trained with `ctc_loss`.

    "beam_search" reads values, so that it works outside of traced functions alone; "greedy" works everywhere.

    Args:
        inputs: Logits, a tensor of shape (batch, steps, classes); other dtypes are converted to float32.
        sequence_lengths: How many steps of each sample count, an integer tensor of shape (batch).
        strategy: "greedy", the default, for the likeliest class of each step; "beam_search" for the label
            sequences that are likeliest as sums over all their ways.
        beam_width: How many sequences are followed, for "beam_search"; 100 by default.
        top_paths: How many are given, for "beam_search"; 1 by default.
        merge_repeated: Whether equal neighbours are one label, for "greedy"; True by default.
        mask_index: The class that means a blank, 0 by default.

    Returns:
        Pair of an int32 tensor of shape (paths, batch, steps), with -1 behind the labels, and a float32
        tensor of shape (batch, paths): minus the sum of the largest logits for "greedy", logarithms of
        probabilities for "beam_search".

    Raises:
        TypeError: An argument is not numeric.
        ValueError: The shapes do not fit, `strategy` is unknown, or an integer is out of range.
        RuntimeError: A function with "beam_search" is being traced.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> logits = 9.0 * np.eye(3)[None, [1, 1, 0, 2]]
        >>> labels, scores = ops.ctc_decode(logits, [4])
        >>> labels.tolist(), scores.tolist()
        ([[[1, 2, -1, -1]]], [[-36.0]])
    """
    inputs = _scores(inputs, "ctc_decode", "inputs")
    batch, steps, classes = inputs.shape
    lengths = _integers(sequence_lengths, "ctc_decode", "sequence_lengths", (batch,))
    blank = integer(mask_index, "ctc_decode", "mask_index", least=0, most=classes - 1)
    if strategy == "greedy":
        return _greedy(inputs, lengths, bool(merge_repeated), blank)
    if strategy != "beam_search":
        raise ValueError(f"ctc_decode: strategy: expected 'greedy' or 'beam_search', received {strategy!r}")
    width = integer(beam_width, "ctc_decode", "beam_width", least=1)
    paths = integer(top_paths, "ctc_decode", "top_paths", least=1, most=width)
    if context.is_tracing():
        raise RuntimeError(
            "ctc_decode: strategy 'beam_search' reads values, which a traced function does not have; use "
            "'greedy', or call it on what the model predicts"
        )
    rows = apply("log_softmax", inputs, axis=2).numpy().astype(np.float64)
    found = [_beam_search(row[:n], blank, width, paths) for row, n in zip(rows, lengths.numpy(), strict=True)]
    labels = np.full((paths, batch, steps), -1, np.int32)
    scores = np.full((batch, paths), -np.inf, np.float32)
    for b, sample in enumerate(found):
        for p, (path, score) in enumerate(sample):
            labels[p, b, : len(path)] = path
            scores[b, p] = score
    return as_tensor(labels), as_tensor(scores)


def _greedy(inputs: Any, lengths: Any, merge: bool, blank: int) -> tuple[Any, Any]:
    batch, steps, _ = inputs.shape
    counts = apply("less", np.arange(steps, dtype=np.int32), apply("expand_dims", lengths, axis=1))
    best = apply("where", counts, apply("argmax", inputs, axis=2), blank)
    sizes = apply("where", counts, apply("max", inputs, axes=[2], keepdims=False), 0.0)
    dropped = apply("equal", best, blank)
    if merge:
        dropped = apply("logical_or", dropped, apply("equal", best, _shifted(best, 1, -1)))
    # Labels go to the front in their order: the rest sorts behind them.
    place = apply("where", dropped, steps, np.arange(steps, dtype=np.int32))
    order = apply("argsort", place, axis=1)
    labels = take_along_axis(apply("where", dropped, -1, best), order, axis=1)
    score = apply("neg", apply("sum", sizes, axes=[1], keepdims=True))
    return apply("expand_dims", labels, axis=0), score


def _beam_search(
    log_probabilities: np.ndarray[Any, Any], blank: int, width: int, paths: int
) -> list[tuple[tuple[int, ...], float]]:
    """The likeliest label sequences with the logarithms of their probabilities, the likeliest first."""
    # For each sequence: the logarithms of the ways that end with its last label, and of those with a blank.
    beams: dict[tuple[int, ...], tuple[float, float]] = {(): (-np.inf, 0.0)}
    for step in log_probabilities:
        further: dict[tuple[int, ...], list[float]] = {}
        for path, (label, pause) in beams.items():
            both = np.logaddexp(label, pause)
            _meet(further, path, 1, both + step[blank])
            last = path[-1] if path else -1
            for c in range(len(step)):
                if c == blank:
                    continue
                if c == last:
                    _meet(further, path, 0, label + step[c])
                    _meet(further, (*path, c), 0, pause + step[c])
                else:
                    _meet(further, (*path, c), 0, both + step[c])
        ranked = sorted(further.items(), key=lambda item: -np.logaddexp(item[1][0], item[1][1]))[:width]
        beams = {path: (score[0], score[1]) for path, score in ranked}
    found = [(path, float(np.logaddexp(*score))) for path, score in beams.items()]
    return sorted(found, key=lambda item: -item[1])[:paths]


def _meet(beams: dict[tuple[int, ...], list[float]], path: tuple[int, ...], which: int, score: float) -> None:
    have = beams.setdefault(path, [-np.inf, -np.inf])
    have[which] = float(np.logaddexp(have[which], score))

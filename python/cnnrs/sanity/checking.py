"""`check`: looks at a model and its data before training."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Any

import numpy as np

from cnnrs.base.arguments import flag, integer, named, number
from cnnrs.sanity import networks
from cnnrs.sanity.findings import Findings
from cnnrs.sanity.sampling import Sampled, parted, sampled

__all__ = ["check", "check_counts", "check_duplicates"]

# A class that is this much rarer than another one is often never predicted.
_IMBALANCE = 10


@named
def check(
    model: Any,
    x: Any,
    y: Any = None,
    validation_data: Any = None,
    shuffle: bool = True,
    class_names: Any = None,
    samples: int = 2000,
    validation_split: float = 0.0,
) -> Findings:
    """Looks for mistakes that training does not report. Nothing is trained, and the model is not changed.

    Args:
        model: The model, compiled or not; None looks at the data alone.
        x: Data as for `fit`: arrays, a data set, a `PyDataset`. An iterator would be used up.
        y: Targets, if x is arrays.
        validation_data: Data to validate on, as for `fit`.
        shuffle: Whether `fit` shuffles, as it does with arrays unless it is told not to.
        class_names: Names of the classes, for messages.
        samples: How many samples are looked at, of labels of arrays all.
        validation_split: The part of the arrays, from their end, that `fit` is told to validate on.

    Returns:
        `Findings`: each has a code, what was found, and what to do.

    Raises:
        TypeError: `x` can be gone through only once.
        ValueError: `validation_split` fits neither the data nor `validation_data`.

    >>> import numpy as np
    >>> from cnnrs import sanity
    >>> x = np.random.default_rng(0).normal(size=(40, 3))
    >>> print(sanity.check(None, x, np.repeat([0, 1], 20), shuffle=False))
    warning: sorted: samples are sorted by class, and not shuffled
      do: shuffle them: fit(shuffle=True), or data.shuffle(len(x))
    """
    owner = "sanity.check"
    samples = integer(samples, owner, "samples", least=1)
    shuffle = flag(shuffle, owner, "shuffle")
    split = number(validation_split, owner, "validation_split", least=0)
    findings = Findings()
    names = class_names if class_names is not None else getattr(x, "class_names", None)
    if split:
        if validation_data is not None:
            raise ValueError(f"{owner}: validation_split: expected no validation_data besides")
        x, validation_data = parted(x, y, split)
        y = None
    training = sampled(x, y, samples)
    other = None if validation_data is None else sampled(validation_data, None, samples)
    if model is not None:
        model = networks.with_shapes(model, training)
    labels = _labels(training.y)
    findings.facts.update(samples=training.total, classes=None if labels is None else len(np.unique(labels)))
    _numbers(training, findings, "")
    if labels is not None and networks.is_classifier(model, training.y):
        _label_range(model, labels, training, findings)
        _order(labels, training, shuffle, findings)
        others = None if other is None else _labels(other.y)
        if other is not None and others is not None:
            _label_range(model, others, other, findings)
            _parts(labels, others, training, other, split, findings)
        # A part that is all of one class is one that comes first: `_order` says so.
        if training.is_whole or not training.batch_sizes or len(np.unique(labels)) > 1:
            _counts(labels, names, findings)
    if model is not None:
        networks.check_ends(model, training, findings)
        networks.check_scaling(model, training, findings)
    if other is not None:
        _numbers(other, findings, "validation ")
        _ranges(training, other, findings)
        if training.x is not None and other.x is not None:
            check_duplicates(_hashes(training.x), _hashes(other.x), findings, other.total)
    if model is not None and training.x is not None and not findings.errors:
        networks.check_outputs(model, training, findings)
    return findings


def _labels(y: np.ndarray | None) -> np.ndarray | None:
    """Targets as integers, if they may be classes."""
    if y is None or not y.size:
        return None
    if y.ndim == 2 and y.shape[1] > 1:
        rows = y.astype(np.float64)
        is_rows = bool(np.all((rows == 0) | (rows == 1)) and np.all(rows.sum(1) == 1))
        return y.argmax(1) if is_rows else None
    flat = y.reshape(len(y), -1)
    if flat.shape[1] != 1:
        return None
    values = flat[:, 0]
    if values.dtype.kind == "f" and not np.all(np.isfinite(values) & (values == np.floor(values))):
        return None
    return values.astype(np.int64)


def _numbers(data: Sampled, findings: Findings, where: str) -> None:
    """NaN, infinity and images that are all alike."""
    for what, array in (("inputs", data.x), ("targets", data.y)):
        if array is not None and array.dtype.kind == "f" and not np.all(np.isfinite(array)):
            rows = int((~np.isfinite(array.reshape(len(array), -1))).any(1).sum())
            findings.add(
                "not-finite", f"{where}{what} hold NaN or infinity in {rows} of {len(array)} samples",
                "find and replace them before training: each makes the loss NaN", True,
            )  # fmt: skip
    if data.x is None or data.x.ndim < 2 or len(data.x) < 2 or not data.x[0].size > 1:
        return
    flat = data.x.reshape(len(data.x), -1)
    constant = int((flat.min(1) == flat.max(1)).sum())
    if constant == len(flat) and np.all(flat == flat[0]):
        findings.add(
            "constant", f"all {where}inputs are the same",
            "look at how they are read: paths, decoding, scaling of integers", True,
        )  # fmt: skip
    elif data.x.ndim == 4 and constant > 0.01 * len(flat):
        findings.add(
            "blank", f"{constant} of {len(flat)} {where}images have one colour alone",
            "look at them: files may be damaged, or pixels rounded to 0 by a division of integers",
        )  # fmt: skip


def _counts(labels: np.ndarray, names: Any, findings: Findings) -> None:
    """How often each class comes; labels below 0 are classes, too, as where there are -1 and 1."""
    if labels.min() < 0:
        values, counts = np.unique(labels, return_counts=True)
        check_counts(counts, list(map(str, values)), findings)
    else:
        check_counts(np.bincount(labels, minlength=len(names or ())), names, findings)


def check_counts(counts: np.ndarray, names: Any, findings: Findings) -> None:
    """One class, classes without samples, and classes that are much rarer than others.

    Args:
        counts: Samples of each class.
        names: Names of the classes; None for their numbers.
        findings: Where findings go.
    """
    called = (
        list(names) if names is not None and len(names) >= len(counts) else list(map(str, range(len(counts))))
    )
    present = np.flatnonzero(counts)
    if len(present) == 1:
        findings.add(
            "one-class", f"all labels are {called[present[0]]!r}",
            "look at how labels are made: a network learns nothing from one class", True,
        )  # fmt: skip
        return
    missing = [called[label] for label in np.flatnonzero(counts == 0)]
    if missing and names is not None:
        findings.add(
            "no-samples", f"classes without samples: {', '.join(missing[:8])}",
            "add samples, or leave these classes out",
        )  # fmt: skip
    least, most = present[counts[present].argmin()], present[counts[present].argmax()]
    if counts[most] >= _IMBALANCE * counts[least]:
        findings.add(
            "imbalance",
            f"{counts[most]} samples of {called[most]!r} and {counts[least]} of {called[least]!r}",
            'fit(class_weight=...), `cnnrs train --class-weight balanced`, or more samples; and look at '
            "recall by class, not at accuracy",
        )  # fmt: skip


def _label_range(model: Any, labels: np.ndarray, data: Sampled, findings: Findings) -> None:
    """Labels that the last layer has no output for."""
    units = networks.output_units(model)
    is_rows = data.y is not None and data.y.ndim == 2 and data.y.shape[1] > 1
    if units is None or is_rows:
        return
    classes = 2 if units == 1 else units
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        advice = f"number classes from 0 to {classes - 1}"
        if low >= 1 and high == classes:
            advice = "number classes from 0: subtract 1 from the labels"
        elif high >= classes:
            advice += f", or give the last layer {high + 1} units"
        findings.add(
            "label-range",
            f"labels go from {low} to {high}, and the model has {classes} classes",
            advice,
            True,
        )


def _runs(labels: np.ndarray) -> int:
    """How often another class begins."""
    return 1 + int((labels[1:] != labels[:-1]).sum())


def _order(labels: np.ndarray, data: Sampled, shuffle: bool, findings: Findings) -> None:
    """Classes one after the other."""
    classes = len(np.unique(labels))
    if len(data.batch_sizes) > 1 and not data.is_whole and classes == 1:
        findings.add(
            "sorted", f"the first {len(labels)} samples are all of one class: they are not shuffled",
            "shuffle them: data.shuffle(as many samples as there are)",
        )  # fmt: skip
        return
    if classes < 2 or len(labels) < 4 * classes:
        return
    is_in_blocks = _runs(labels) == classes
    if data.batch_sizes:
        is_sorted = len(data.batch_sizes) > 1 and (is_in_blocks or _are_alike(labels, data.batch_sizes))
    else:
        is_sorted = not shuffle and is_in_blocks
    if is_sorted:
        findings.add(
            "sorted", "samples are sorted by class, and not shuffled",
            "shuffle them: fit(shuffle=True), or data.shuffle(len(x))",
        )  # fmt: skip


def _are_alike(labels: np.ndarray, sizes: list[int]) -> bool:
    """Whether two samples of a batch differ in class far more rarely than two samples of all.

    Blocks of a class that is longer than a batch do so, however blocks and batches lie to each other.
    """

    def differing(part: np.ndarray) -> float:
        counts = np.unique(part, return_counts=True)[1]
        return 1 - float((counts * (counts - 1)).sum()) / max(len(part) * (len(part) - 1), 1)

    batches = np.split(labels, np.cumsum(sizes)[:-1])
    within = sum((len(batch) - 1) * differing(batch) for batch in batches if len(batch) > 1)
    expected = sum(len(batch) - 1 for batch in batches if len(batch) > 1) * differing(labels)
    # Below 20 chance alone makes a third now and then.
    return expected >= 20 and within < expected / 3


def _parts(
    labels: np.ndarray, others: np.ndarray, training: Sampled, other: Sampled, split: float,
    findings: Findings,
) -> None:  # fmt: skip
    """Classes of the validation that training never sees, and a validation of one class."""
    seen, asked = np.unique(labels), np.unique(others)
    unseen = np.setdiff1d(asked, seen)
    is_all = training.is_whole or not training.batch_sizes
    if split and len(np.union1d(seen, asked)) > 1 and (len(unseen) or len(asked) == 1):
        rest = f"training has no sample of {_listed(unseen)}" if len(unseen) else (
            f"the validation is all of class {asked[0]}"
        )  # fmt: skip
        findings.add(
            "sorted", f"validation_split={split:g} takes the last samples, before shuffling, and they are "
            f"sorted: {rest}",
            "shuffle arrays before fit: order = rng.permutation(len(x)); x, y = x[order], y[order]",
        )  # fmt: skip
    elif len(unseen) and is_all:
        findings.add(
            "unseen-classes", f"the validation has classes that training has not: {_listed(unseen)}",
            "look at how samples were parted, and at the numbers of classes in both parts",
        )  # fmt: skip
    elif len(asked) == 1 and len(seen) > 1 and len(others) >= 8 * len(seen) and (
        other.is_whole or not other.batch_sizes
    ):  # fmt: skip
        findings.add(
            "validation-classes", f"the validation is all of class {asked[0]}",
            "look at how samples were parted: shuffle them before",
        )  # fmt: skip


def _listed(classes: np.ndarray) -> str:
    return ", ".join(map(str, classes[:8])) + (", …" if len(classes) > 8 else "")


def _ranges(training: Sampled, other: Sampled, findings: Findings) -> None:
    """A validation that is scaled in another way."""
    if training.x is None or other.x is None or not training.x.size or not other.x.size:
        return
    if training.x.shape[1:] != other.x.shape[1:]:
        return
    first, second = (float(np.abs(a.astype(np.float64)).max()) for a in (training.x, other.x))
    if min(first, second) > 0 and max(first, second) >= 50 * min(first, second):
        findings.add(
            "ranges", f"inputs reach {first:g} in training and {second:g} in validation",
            "scale both alike",
        )  # fmt: skip


def _hashes(x: np.ndarray) -> list[bytes]:
    """Hashes of samples; those that are one number throughout are alike without being copies."""
    rows = np.ascontiguousarray(x).reshape(len(x), -1)
    return [hashlib.sha256(row.tobytes()).digest() for row in rows if row.size and (row != row[0]).any()]


def check_duplicates(
    training: Collection[bytes], validation: Collection[bytes], findings: Findings, total: int | None = None
) -> None:
    """Samples that are in both parts.

    Args:
        training: Hashes of samples.
        validation: Hashes of samples, one a sample.
        findings: Where findings go.
        total: How many samples the validation has, if not all of them were looked at.
    """
    known = frozenset(training)
    both = sum(digest in known for digest in validation)
    if both:
        rest = "" if total is None or total <= len(validation) else f", of {total} in all,"
        findings.add(
            "duplicates",
            f"{both} of {len(validation)} samples of the validation{rest} are in training, too",
            "take them out of one: the validation measures what was learnt by heart",
        )  # fmt: skip

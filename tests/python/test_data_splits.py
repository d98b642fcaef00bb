"""Parts of data sets without common elements, classes and their weights, hashes, and caches on full disks."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cnnrs
from cnnrs.data import Dataset, class_weights, content_hash
from cnnrs.datasets import shapes

X = np.arange(100)
Y = X % 10 // 7  # 70 of class 0, 30 of class 1


def first(data: Any) -> list[int]:
    return [int(element[0] if isinstance(element, tuple) else element) for element in data]


@pytest.mark.parametrize("fractions", [0.8, (0.8, 0.2), (0.6, 0.3, 0.1)])
def test_parts_have_the_classes_and_no_common_element(fractions: Any) -> None:
    data = Dataset.from_tensor_slices((X, Y))
    parts = data.split(fractions, seed=4)
    given_ = [0.8, 0.2] if isinstance(fractions, float) else list(fractions)
    assert sorted(sum(map(first, parts), [])) == list(range(100))
    for part, fraction in zip(parts, given_, strict=True):
        assert part.class_counts() == {0: round(70 * fraction), 1: round(30 * fraction)}
        assert first(part) == sorted(first(part)) and len(part) == len(first(part))
    assert [first(p) for p in data.split(fractions, seed=4)] == [first(p) for p in parts]
    assert [first(p) for p in data.split(fractions, seed=5)] != [first(p) for p in parts]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 4), min_size=8, max_size=120),
    st.lists(st.integers(1, 9), min_size=2, max_size=4),
    st.integers(0, 2**31),
)
def test_each_class_is_cut_by_the_fractions(labels: list[int], sizes: list[int], seed: int) -> None:
    from cnnrs.data.partition import partition

    fractions = np.array(sizes) / sum(sizes)
    classes = np.array(labels)
    chosen = partition(fractions, classes, None, seed)
    for label in set(labels):
        counts = np.bincount(chosen[classes == label], minlength=len(sizes))
        wanted = fractions * (classes == label).sum()
        # Within one of the share, in each class; and so in all together within the number of classes.
        assert (np.abs(counts - wanted) < 1 + 1e-6).all()
    totals = np.bincount(chosen, minlength=len(sizes))
    assert (np.abs(totals - fractions * len(labels)) <= len(set(labels))).all()
    groups = np.array(labels) * 3 + np.arange(len(labels)) % 3
    of_groups = partition(fractions, classes, groups, seed)
    assert all(len(set(of_groups[groups == group].tolist())) == 1 for group in set(groups.tolist()))


def test_shuffled_data_stay_apart_in_all_passes() -> None:
    data = Dataset.from_tensor_slices((X, Y)).shuffle(100)
    train, test = data.split(0.75)
    orders = [first(train) for _ in range(3)]
    assert orders[0] != orders[1] and len({frozenset(order) for order in orders}) == 1
    assert all(not set(first(test)) & set(order) for order in orders)
    taken = Dataset.from_tensor_slices((X, Y)).skip(40).take(20).split((0.5, 0.5))
    assert [len(part) for part in taken] == [10, 10] and set(sum(map(first, taken), [])) == set(range(40, 60))


def test_elements_without_an_index() -> None:
    data = Dataset.from_tensor_slices((X, Y)).map(lambda x, y: (x * 2, y))
    train, test = data.split(0.8, stratified=True, seed=1)
    assert train.class_counts() == {0: 56, 1: 24} and test.class_counts() == {0: 14, 1: 6}
    assert sorted(first(train) + first(test)) == (X * 2).tolist() and len(test) == 20
    given_, rest = data.split(0.5, labels=Y, seed=1)
    assert given_.class_counts() == {0: 35, 1: 15} and len(first(rest)) == 50
    plain = Dataset.range(50).filter(lambda x: x < 40).split((0.5, 0.5), seed=2)
    assert [len(first(part)) for part in plain] == [20, 20]
    with pytest.raises(ValueError, match="expected elements in one order.*shuffle the parts"):
        data.shuffle(10).split(0.5)


def test_groups_stay_together() -> None:
    patients = X // 5
    train, test = Dataset.from_tensor_slices((X, Y)).split(0.8, groups=patients, seed=3)
    assert not {x // 5 for x in first(train)} & {x // 5 for x in first(test)}
    assert 70 <= len(train) <= 90
    names = np.array([f"video {i // 10}" for i in X])
    parts = Dataset.from_tensor_slices(X).split((0.5, 0.5), groups=names)
    assert [len(part) % 10 for part in parts] == [0, 0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: d.split((0.5, 0.4)), r"fractions: expected a sum of 1, received \(0.5, 0.4\)"),
        (lambda d: d.split(1.5), "fractions: expected a finite number > 0 and < 1, received 1.5"),
        (lambda d: d.take(1).split(0.5), "expected parts with elements, found sizes"),
        (lambda d: d.take(0).split(0.5), r"found sizes \[0, 0\] of 0 elements"),
        (lambda d: d.split(0.5, labels=[1, 2]), "labels: expected one for each of 100 elements, received 2"),
        (lambda d: d.split(0.5, groups=[1, 2]), "groups: expected one for each of 100 elements, received 2"),
        (
            lambda d: d.split(0.5, labels=np.zeros((100, 2))),
            "labels: expected single integers, one an element",
        ),
        (lambda d: d.batch(5).split(0.5, stratified=True), "of batches, ask before batch"),
        (lambda d: Dataset.range(9).split(0.5, stratified=True), "expected elements that are pairs"),
        (lambda d: d.map(lambda x, y: x).balance(), "rejection_resample balances others"),
        (lambda d: d.balance(labels=[1]), "labels: expected one for each of 100 elements, received 1"),
        (lambda d: class_weights([]), "expected at least one label, received none"),
        (lambda d: class_weights(["a"]), "labels: expected single integers"),
    ],
)
def test_what_is_no_split(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(Dataset.from_tensor_slices((X, Y)))


def test_class_weights_are_those_of_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn.utils.class_weight")
    labels = np.random.default_rng(0).choice(5, 200, p=[0.5, 0.3, 0.1, 0.06, 0.04])
    expected = sklearn.compute_class_weight("balanced", classes=np.arange(5), y=labels)
    found = class_weights(labels)
    assert list(found) == list(range(5)) and list(found.values()) == pytest.approx(expected.tolist())
    assert class_weights(labels.tolist()) == found
    assert Dataset.from_tensor_slices((labels, labels)).shuffle(9).class_weights() == found
    assert class_weights([3, 3]) == {3: 1.0}
    model = cnnrs.Sequential([cnnrs.Input((1,)), cnnrs.layers.Dense(5, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    x = labels[:, None].astype(np.float32)
    data = Dataset.from_tensor_slices((x, labels))
    model.fit(data.batch(50), class_weight=data.class_weights(), verbose=0)


def test_balance() -> None:
    data = Dataset.from_tensor_slices((X, Y)).balance(seed=2)
    assert len(data) == 140 and data.class_counts() == {0: 70, 1: 70}
    passes = [first(data) for _ in range(2)]
    assert passes[0] != passes[1]
    for order in passes:
        counts = np.bincount(order, minlength=100)
        # 70 of 30 elements: each two or three times.
        assert set(counts[Y == 0]) == {1} and set(counts[Y == 1]) == {2, 3}
    assert [first(Dataset.from_tensor_slices((X, Y)).balance(seed=2)) for _ in range(1)] == passes[:1]
    # Rows of a part come several times in it, and in no other one.
    train, test = Dataset.from_tensor_slices((X, Y)).split(0.8, seed=1)
    assert not set(first(train.balance())) & set(first(test))


def test_parts_of_files_know_their_files(tmp_path: Path) -> None:
    folder = shapes.write_folder(tmp_path / "shapes", size=16, n=40)
    train, test = Dataset.from_folder(folder, 16).split(0.75, seed=1)
    assert train.class_counts() == dict.fromkeys(range(10), 3) and test.class_counts() == dict.fromkeys(
        range(10), 1
    )
    assert not set(train.file_paths) & set(test.file_paths) and len(train.file_paths) == 30
    assert train.class_names == test.class_names == sorted(shapes.class_names)
    assert train.shuffle(30).batch(8).class_names == train.class_names


def test_hashes(tmp_path: Path) -> None:
    x, y = np.arange(12, dtype=np.int16).reshape(4, 3), np.array(["a", "b", "c", "dd"])
    base = content_hash((x, y))
    assert base == "fe76b9a9b8561624ebbc75ef29b8af39ba3404401051aaf3a01405ec45336161"
    assert content_hash((x.copy(order="F"), y)) == base == content_hash([x, y])
    others = [
        (x.astype(np.int32), y),
        (x.reshape(3, 4), y),
        (x + 1, y),
        (y, x),
        {"x": x, "y": y},
        (x, y[::-1]),
    ]
    assert len({base, *map(content_hash, others)}) == 7
    assert content_hash((x.astype(x.dtype.newbyteorder(">")), y)) == base
    data = Dataset.from_tensor_slices((x, np.arange(4)))
    assert data.content_hash() == data.shuffle(4).map(lambda a, b: a).batch(2).prefetch(1).content_hash()
    assert Dataset.range(3).map(lambda x: x).content_hash() != Dataset.range(4).content_hash()
    for i in range(3):
        (tmp_path / f"{i}.png").write_bytes(bytes([i]))
    files = sorted(tmp_path.glob("*.png"))
    of_folder = content_hash(tmp_path)
    assert content_hash(files) == of_folder == content_hash(str(tmp_path))
    os.rename(tmp_path, tmp_path.with_name("moved"))
    assert content_hash(tmp_path.with_name("moved")) == of_folder
    (tmp_path.with_name("moved") / "1.png").write_bytes(b"x")
    assert content_hash(tmp_path.with_name("moved")) != of_folder
    with pytest.raises(ValueError, match="expected a data set with an end"):
        Dataset.counter().content_hash()
    with pytest.raises(FileNotFoundError):
        content_hash(tmp_path / "gone")


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """Files may not grow beyond `room` bytes: the system then says that there is no more of it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def test_a_full_disk_leaves_no_half_of_a_cache(tmp_path: Path) -> None:
    data = Dataset.from_tensor_slices(np.zeros((50, 1000), np.float32)).cache(tmp_path / "cache")
    with full_disk(1 << 14):
        with pytest.raises(OSError, match=r"Dataset.cache: .*cache: .*nothing of it is left"):
            list(data)
    assert os.listdir(tmp_path) == []
    assert len(list(data)) == 50 and os.listdir(tmp_path) == ["cache"]
    with full_disk(1 << 10):
        assert len(list(data)) == 50
        with pytest.raises(OSError, match=r"Dataset.save: .*saved: .*nothing of it is left"):
            data.save(tmp_path / "saved")
    assert os.listdir(tmp_path) == ["cache"]


def test_a_pass_that_is_left_keeps_no_cache(tmp_path: Path) -> None:
    data = Dataset.range(10).cache(tmp_path / "cache")
    elements = iter(data)
    next(elements)
    del elements
    assert os.listdir(tmp_path) == []
    assert first(data) == list(range(10))


def test_data_sets_without_elements() -> None:
    empty = Dataset.from_tensor_slices((X[:0], Y[:0]))
    assert first(empty.shuffle(3).batch(2).prefetch(1).cache()) == [] and empty.class_counts() == {}
    model = cnnrs.Sequential([cnnrs.Input((1,)), cnnrs.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="x: expected at least one batch, received none"):
        model.fit(empty.batch(2), verbose=0)
    with pytest.raises(ValueError, match="expected at least one label"):
        empty.class_weights()

"""Orders and draws depend on seed, pass and element alone, with any threads and when taken up."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import cnnrs
from cnnrs import callbacks, layers, ops, random
from cnnrs.data import Dataset

X = np.arange(150 * 4, dtype=np.float32).reshape(150, 2, 2, 1)
Y = np.arange(150) % 3


def augment(x: Any, y: Any) -> Any:
    return x + random.uniform((2, 2, 1)), y


def in_python(x: Any, y: Any) -> Any:
    """Reads a value, so that Python runs it for each element."""
    return x + random.uniform((2, 2, 1)) * (1.0 + int(y)), y


def stream(workers: Any) -> Any:
    def rows() -> Any:
        yield from zip(X, Y, strict=True)

    spec = (cnnrs.data.TensorSpec((2, 2, 1), "float32"), cnnrs.data.TensorSpec((), "int64"))
    return Dataset.from_generator(rows, output_signature=spec).shuffle(40).map(augment, workers).batch(8)


def mixed(workers: Any) -> Any:
    arrays = Dataset.from_tensor_slices((X, Y))
    both = Dataset.sample_from_datasets([arrays.take(60).shuffle(60), arrays.skip(60)], [0.5, 0.5])
    return both.map(augment, workers).batch(8)


def rows() -> Any:
    return Dataset.from_tensor_slices((X, Y))


def zipped(workers: Any) -> Any:
    images = Dataset.from_tensor_slices(X).map(lambda x: x + random.uniform(()), workers)
    return Dataset.zip(images, Dataset.from_tensor_slices(Y).shuffle(9)).batch(8)


STEPS: dict[str, Callable[[Any], Any]] = {
    "arrays": lambda n: rows().shuffle(150).map(augment, n).batch(8),
    "python": lambda n: rows().shuffle(150).map(in_python, n).batch(8, num_parallel_calls=n),
    "buffer": lambda n: rows().shuffle(20).map(augment, n).batch(8, drop_remainder=True),
    "prefetch": lambda n: rows().shuffle(150).map(augment, n).batch(8).prefetch(3),
    "repeat": lambda n: rows().shuffle(150).repeat(3).map(augment, n).batch(8),
    "endless": lambda n: rows().shuffle(150).map(augment, n).repeat().batch(8),
    "cache": lambda n: rows().map(augment, n).cache().shuffle(150).batch(8),
    "parts": lambda n: rows().shuffle(150).skip(7).take(120).shard(2, 1).map(augment, n).batch(8),
    "after": lambda n: (
        rows().map(augment, n).shuffle(50).take(130).batch(8).enumerate().map(lambda i, pair: pair)
    ),
    "generator": stream,
    "mixed": mixed,
    "zip": zipped,
}


def made(name: str, workers: Any = None) -> Any:
    cnnrs.utils.set_random_seed(5)
    return STEPS[name](workers)


def passes(data: Any, count: int = 3) -> list[list[Any]]:
    """The batches of some passes; of one without end, the first ones."""
    if int(data.cardinality()) == cnnrs.data.INFINITE_CARDINALITY:
        return [list(itertools.islice(data.as_numpy_iterator(), 60))]
    return [list(data.as_numpy_iterator()) for _ in range(count)]


def assert_same(a: Any, b: Any) -> None:
    assert len(a) == len(b)
    for (x, y), (u, v) in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, u)
        np.testing.assert_array_equal(y, v)


@pytest.mark.parametrize("name", STEPS)
def test_any_number_of_threads_gives_the_same_bits(name: str) -> None:
    expected = passes(made(name))
    assert len(expected) == 1 or not np.array_equal(expected[0][0][0], expected[1][0][0]) or name == "cache"
    for workers in (1, 2, 7):
        data = made(name, workers)
        for one, other in zip(expected, passes(data.prefetch(2) if workers == 2 else data), strict=True):
            assert_same(one, other)


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("taken", [0, 5, 13])
def test_an_interrupted_pass_goes_on_in_another_data_set(name: str, taken: int) -> None:
    data = made(name, 2)
    if name == "endless":
        elements, taken = iter(data), 19 * 2 + taken
    else:
        list(data)
        elements = iter(data)
    list(itertools.islice(elements, taken))
    state = json.loads(json.dumps(elements.state()))
    rest = list(itertools.islice(elements, 30))
    following = [] if name == "endless" else list(data)
    cnnrs.utils.set_random_seed(77)
    other = STEPS[name](2)
    assert_same(rest, list(itertools.islice(other.restore(state), 30)))
    if name != "endless":
        assert_same(following, list(other))


def test_elements_before_the_place_are_not_computed() -> None:
    seen: list[int] = []

    def read(index: int) -> Any:
        seen.append(index)
        return np.float32(index)

    data = Dataset.of_function(read, 100).shuffle(100, seed=1).batch(10).repeat().prefetch(1)
    elements = iter(data)
    for _ in range(25):
        next(elements)
    state = elements.state()
    expected = next(elements).tolist()
    del elements
    seen.clear()
    rest = Dataset.of_function(read, 100).shuffle(100).batch(10).repeat().restore(state)
    assert next(rest).tolist() == expected and len(seen) == 10


def test_a_state_of_other_steps_is_an_error() -> None:
    state = Dataset.range(5).shuffle(5).state()
    with pytest.raises(ValueError, match="expected the state of this data set, with 0 steps"):
        Dataset.range(5).restore(state)
    with pytest.raises(ValueError, match=r"expected what state\(\) gave, received 3"):
        Dataset.range(5).restore(3)  # type: ignore[arg-type]


class Interrupt(callbacks.Callback):
    def __init__(self, epoch: int, batch: int):
        super().__init__()
        self.at, self.epoch = (epoch, batch), 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if (self.epoch, batch) == self.at:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("name", "steps", "save_freq"),
    [
        ("arrays", None, 2),
        ("prefetch", None, 3),
        ("cache", None, 5),
        ("endless", 7, 2),
        ("generator", None, 19),
        ("repeat", 7, 4),
        # The backup falls on the last batch of an epoch.
        ("arrays", None, 19),
        ("cache", None, 19),
        ("buffer", None, 18),
        ("parts", None, 8),
    ],
)
def test_fit_goes_on_with_the_same_bits(tmp_path: Any, name: str, steps: Any, save_freq: int) -> None:
    def model() -> Any:
        cnnrs.utils.set_random_seed(1)
        made = cnnrs.Sequential(
            [cnnrs.Input((2, 2, 1)), layers.Flatten(), layers.Dropout(0.2), layers.Dense(3)]
        )
        made.compile(
            "adam", cnnrs.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
        )
        return made

    def fit(net: Any, data: Any, *others: Any) -> Any:
        held = Dataset.from_tensor_slices((X, Y)).map(augment).batch(50)
        return net.fit(
            data, epochs=4, steps_per_epoch=steps, verbose=0, validation_data=held, callbacks=[*others]
        )

    def data() -> Any:
        return STEPS[name](2).map(lambda x, y: (ops.cast(x, "float32") / 600.0, y))

    whole = model()
    history = fit(whole, data())
    with pytest.raises(KeyboardInterrupt):
        backup = callbacks.BackupAndRestore(tmp_path / "backup", save_freq=save_freq)
        fit(model(), data(), backup, Interrupt(2, 4))
    second = model()
    cnnrs.utils.set_random_seed(99)
    rest = fit(second, data(), callbacks.BackupAndRestore(tmp_path / "backup", save_freq=save_freq))
    for a, b in zip(whole.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for key, values in history.history.items():
        assert values[-len(rest.epoch) :] == rest.history[key], key


def test_a_pass_that_ends_with_the_epoch_is_kept_by_cache() -> None:
    """Elements that a batch does not look behind: the pass ends only where somebody asks for one more."""
    seen: list[int] = []

    def read(index: int) -> Any:
        seen.append(index)
        return np.float32([index]), np.float32([0.0])

    model = cnnrs.Sequential([cnnrs.Input((1,)), layers.Dense(1)])
    model.compile(cnnrs.optimizers.SGD(0.0), "mse")
    model.fit(Dataset.of_function(read, 8).cache().batch(4), epochs=3, shuffle=False, verbose=0)
    assert sorted(seen) == sorted(range(8))


@pytest.mark.parametrize("workers", [None, 2])
def test_errors_of_workers_name_the_element_and_the_pass(workers: Any) -> None:
    def fails(x: Any) -> Any:
        if int(x) == 7:
            raise KeyError("seven")
        return x

    data = Dataset.range(20).map(fails, num_parallel_calls=workers).batch(4)
    for number in range(2):
        with pytest.raises(KeyError, match="seven") as caught:
            list(data)
        notes = getattr(caught.value, "__notes__", [])
        assert notes == [f"Dataset.map: element 7 of pass {number}, both from 0"]


@pytest.mark.parametrize("workers", [1, 3])
def test_errors_of_a_function_of_indices_name_the_index(workers: int) -> None:
    data = Dataset.of_function(lambda index: 1 // (index - 5), 9, workers).shuffle(9, seed=1).batch(3)
    with pytest.raises(ZeroDivisionError) as caught:
        list(data)
    assert caught.value.__notes__ == ["Dataset.of_function: index 5"]


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_of_a_py_dataset_name_the_batch(workers: int) -> None:
    class Batches(cnnrs.utils.PyDataset):
        def __len__(self) -> int:
            return 5

        def __getitem__(self, index: int) -> Any:
            if index == 3:
                raise OSError("no such file")
            return np.zeros((2, 4), np.float32), np.zeros(2)

    model = cnnrs.Sequential([cnnrs.Input((4,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(OSError, match="no such file") as caught:
        model.fit(Batches(workers=workers), verbose=0, shuffle=False)
    assert "Batches: batch 3" in caught.value.__notes__[0]

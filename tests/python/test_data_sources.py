"""What yields batches: datasets with workers, generators, loaders of other libraries; weights of classes."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import cnnrs
from cnnrs import Input, Sequential, layers, ops
from cnnrs.training.py_dataset import batches_of
from cnnrs.utils import PyDataset


class Numbers(PyDataset):
    """Batches whose numbers say who made them."""

    def __init__(self, count: int | None = 6, **kwargs: Any):
        super().__init__(**kwargs)
        self.count = count

    @property
    def num_batches(self):
        return self.count

    def __getitem__(self, index):
        if index == 99:
            raise KeyError("no such batch")
        drawn = np.random.rand()  # noqa: NPY002 what datasets of users draw from
        return np.full((2, 1), index, np.float32), np.full((2, 1), drawn + random.random(), np.float32)


def test_errors_of_a_data_set_of_batches_name_its_function():
    class Broken(Numbers):
        def __getitem__(self, index):
            raise KeyError("no such batch") if index == 2 else ValueError

    for workers in (None, 2):
        with pytest.raises((KeyError, ValueError)) as raised:
            list(cnnrs.data.Dataset.from_py_dataset(Broken(), num_parallel_calls=workers))
        assert raised.value.__notes__ == ["Dataset.from_py_dataset: index 0"]


WORKERS = [
    {},
    {"workers": 3, "max_queue_size": 2},
    {"workers": 2, "use_multiprocessing": True},
    {"use_multiprocessing": True, "max_queue_size": 1},
]


class TestWorkers:
    @pytest.mark.parametrize("given", WORKERS)
    def test_batches_come_in_order(self, given):
        assert [x[0, 0] for x, _ in batches_of(Numbers(**given), None)] == [0, 1, 2, 3, 4, 5]
        order = np.array([4, 0, 2])
        assert [x[0, 0] for x, _ in batches_of(Numbers(**given), order)] == [4, 0, 2]
        endless = batches_of(Numbers(None, **given), None)
        assert [next(endless)[0][0, 0] for _ in range(4)] == [0, 1, 2, 3]
        endless.close()

    @pytest.mark.parametrize("given", WORKERS)
    def test_errors_come_through(self, given):
        with pytest.raises(KeyError, match="no such batch"):
            list(batches_of(Numbers(**given), np.array([1, 99, 2])))

    def test_processes_draw_the_same_however_many_there_are(self):
        drawn = []
        for workers in (1, 3):
            np.random.seed(5)  # noqa: NPY002
            dataset = Numbers(workers=workers, use_multiprocessing=True)
            drawn.append([y[0, 0] for _, y in batches_of(dataset, None)])
        assert drawn[0] == drawn[1] and len(set(drawn[0])) == 6

    def test_processes_are_processes(self):
        class Where(Numbers):
            def __getitem__(self, index):
                return os.getpid()

        assert os.getpid() not in batches_of(Where(workers=2, use_multiprocessing=True), None)
        assert set(batches_of(Where(workers=2), None)) == {os.getpid()}

    @pytest.mark.parametrize("given", WORKERS)
    def test_training(self, given):
        model = Sequential([Input((1,)), layers.Dense(1)])
        model.compile("sgd", "mse")
        history = model.fit(Numbers(**given), validation_data=Numbers(**given), epochs=2, verbose=0)
        assert len(history.history["val_loss"]) == 2
        assert model.predict(Numbers(**given), verbose=0).shape == (12, 1)
        assert model.fit(Numbers(None, **given), steps_per_epoch=3, verbose=0).history["loss"]

    def test_tensors_from_processes(self):
        class Tensors(Numbers):
            def __getitem__(self, index):
                return ops.full((2, 1), float(index)), ops.zeros((2, 1))

        model = Sequential([Input((1,)), layers.Dense(1)])
        model.compile("sgd", "mse")
        assert model.fit(Tensors(workers=2, use_multiprocessing=True), verbose=0).history["loss"]

    def test_a_missing_init_is_warned_of(self):
        class Forgetful(Numbers):
            def __init__(self):
                self.count = 2

        with pytest.warns(UserWarning, match=r"Forgetful: expected super\(\)\.__init__"):
            assert len(list(batches_of(Forgetful(), None))) == 2


class ForeignTensor:
    """A tensor of another library, which numpy reads by `numpy()`."""

    def __init__(self, values):
        self._values = np.asarray(values, np.float32)
        self.shape = self._values.shape

    def numpy(self):
        return self._values

    def __len__(self):
        return len(self._values)


class Loader:
    """What torch's DataLoader looks like: batches are lists of tensors, and the length may be unknown."""

    batch_size = 4

    def __init__(self, length=True, once=False):
        self.length = length

    def __iter__(self):
        for _ in range(3):
            yield [ForeignTensor(np.ones((4, 1))), ForeignTensor(np.zeros((4, 1)))]

    def __len__(self):
        if not self.length:
            raise TypeError("this loader has no length")
        return 3


@pytest.mark.parametrize("length", [True, False])
def test_loaders_of_other_libraries(length):
    model = Sequential([Input((1,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    loader = Loader(length)
    history = model.fit(loader, validation_data=loader, epochs=2, verbose=0)
    assert len(history.history["loss"]) == len(history.history["val_loss"]) == 2
    assert model.predict(loader, verbose=0).shape == (12, 1)
    assert isinstance(model.evaluate(loader, verbose=0), float)


def test_no_other_library_is_imported():
    code = (
        "import sys, numpy as np, cnnrs; m = cnnrs.Sequential([cnnrs.Input((1,)), cnnrs.layers.Dense(1)]); "
        "m.compile('sgd', 'mse'); m.fit([(np.ones((2, 1)), np.ones((2, 1)))], verbose=0); "
        "print([n for n in ('torch', 'tensorflow', 'jax', 'pandas', 'scipy') if n in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


LABELS = np.array([0, 1, 2, 1])


@pytest.mark.parametrize("targets", ["indices", "column", "one_hot"])
@pytest.mark.parametrize("source", ["arrays", "batches", "generator", "dataset", "train_on_batch"])
def test_weights_of_classes(source, targets):
    x = np.eye(4, dtype=np.float32)
    y: Any = {"indices": LABELS, "column": LABELS[:, None], "one_hot": np.eye(3)[LABELS]}[targets]
    loss = "categorical_crossentropy" if targets == "one_hot" else "sparse_categorical_crossentropy"
    model = Sequential([Input((4,)), layers.Dense(3, activation="softmax", kernel_initializer="zeros")])
    model.compile("sgd", loss)
    weights = {0: 2.0, 1: 0.5}
    wanted = np.log(3) * np.mean([2.0, 0.5, 1.0, 0.5])
    if source == "train_on_batch":
        assert model.train_on_batch(x, y, class_weight=weights) == pytest.approx(wanted, rel=1e-5)
        return

    class OneBatch(PyDataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return x, y

    given: Any = {
        "arrays": (x, y),
        "batches": ([(x, y)],),
        "generator": (iter([(x, y)]),),
        "dataset": (OneBatch(),),
    }[source]
    history = model.fit(*given, class_weight=weights, verbose=0).history
    assert history["loss"] == pytest.approx([wanted], rel=1e-5)
    with pytest.raises(ValueError, match="class_weight: expected None together with sample_weight"):
        model.fit([(x, y, np.ones(4))], class_weight=weights, verbose=0)


def test_a_seed_makes_runs_with_processes_the_same():
    results = []
    for _ in range(2):
        cnnrs.utils.set_random_seed(3)
        model = Sequential([Input((1,)), layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(Numbers(workers=2, use_multiprocessing=True), epochs=2, verbose=0)
        results.append(model.get_weights()[0].item())
    assert results[0] == results[1]


def test_a_batch_size_beside_batches_has_no_effect_and_says_so():
    model = Sequential([Input((1,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    data = cnnrs.data.Dataset.from_tensor_slices((np.ones((8, 1)), np.ones((8, 1)))).batch(2)
    with pytest.warns(UserWarning, match="batch_size=5 has no effect: x yields batches"):
        model.fit(data, batch_size=5, verbose=0)
    assert model.optimizer.iterations == 4
    with pytest.warns(UserWarning, match="batch_size=3 has no effect"):
        assert model.predict(data.map(lambda x, y: x), batch_size=3, verbose=0).shape == (8, 1)

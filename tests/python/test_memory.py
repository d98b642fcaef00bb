"""Memory of the process over many fits and after models are gone."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import cnnrs

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads /proc/self/statm")

PRELUDE = """
import gc
import numpy as np
import cnnrs
from cnnrs import Input, Sequential, layers

def resident():
    "MiB of the process in memory, after a collection."
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20

def peak():
    "The most bytes that the process had in memory so far."
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:"))
"""


# The C library's allocator raises the size from which it maps blocks whenever one is freed, in the order in
# which threads get there: 40 MiB more or less stay with it. With a fixed size what is freed is gone.
FIXED = {"MALLOC_MMAP_THRESHOLD_": "262144", "MALLOC_ARENA_MAX": "1"}


def run_apart(program: str, **environment: str) -> list[float]:
    """The numbers that `program` prints in a process of its own, where no other test has left anything."""
    source = PRELUDE + textwrap.dedent(program)
    done = subprocess.run(
        [sys.executable, "-c", source],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return [float(word) for word in done.stdout.split()]


def test_ten_thousand_fits_do_not_grow():
    before, after = run_apart("""
        x, y = np.ones((4, 3), np.float32), np.zeros((4, 1), np.float32)
        model = Sequential([Input((3,)), layers.Dense(1)])
        model.compile("sgd", "mse")
        for step in range(10_000):
            model.fit(x, y, verbose=0)
            if step == 500:
                before = resident()
        print(before, resident())
        """)
    assert after - before < 4


def test_models_that_are_made_and_dropped_do_not_add_up():
    before, after = run_apart("""
        x, y = np.ones((4, 8, 8, 3), np.float32), np.zeros((4, 2), np.float32)
        for step in range(600):
            model = Sequential(
                [Input((8, 8, 3)), layers.Conv2D(4, 3), layers.BatchNormalization(), layers.Flatten()]
            )
            model.add(layers.Dense(2))
            model.compile("adam", "mse")
            model.fit(x, y, verbose=0)
            model.predict(x, verbose=0)
            if step == 100:
                before = resident()
        print(before, resident())
        """)
    assert after - before < 8


def test_memory_returns_when_a_model_is_dropped():
    before, during, after = run_apart("""
        from cnnrs.applications import ResNet18
        x, y = np.zeros((1, 32, 32, 3), np.float32), np.zeros(1, np.int32)

        def train(batch):
            model = ResNet18(stem="cifar", classes=10)
            model.compile(cnnrs.optimizers.SGD(0.01, momentum=0.9), "sparse_categorical_crossentropy")
            model.train_on_batch(x.repeat(batch, 0), y.repeat(batch, 0))
            model.predict(x, verbose=0)
            return resident()

        train(1)
        cnnrs.utils.clear_session()
        before = resident()
        during = train(32)
        cnnrs.utils.clear_session()
        print(before, during, resident())
        """)
    # Weights and momentum alone are 85 MiB.
    assert during - before > 150
    assert after - before < 16


RESNET = """
from cnnrs import config
from cnnrs.applications import ResNet18

def predict(model, *shapes):
    "The model's answers to images of each shape, which are zeros but for one pixel."
    answers = []
    for shape in shapes:
        x = np.zeros((*shape, 3), np.float32)
        x[:, shape[1] // 2, shape[2] // 2] = 1
        answers.append(model.predict(x, batch_size=shape[0], verbose=0))
    return answers
"""


def test_64_sizes_of_batch_take_little_more_than_the_largest(capsys):
    program = """
        model = ResNet18(input_shape=(112, 112, 3), stem="imagenet")
        start = resident()
        predict(model, (64, 112, 112))
        one = peak()
        predict(model, *((n, 112, 112) for n in range(1, 65)))
        print(one, peak(), config.memory_info()["packed"] / 2**20)
        config.release_memory()
        print(resident() - start, config.memory_info()["packed"])
        """
    one, many, packed, released, nothing = run_apart(RESNET + textwrap.dedent(program), **FIXED)
    with capsys.disabled():
        print(f"\npeak: {many:,.0f} bytes for 64 sizes of batch, {many / one:.2f} times that of the largest")
    # All weights have 45 MiB; of most convolutions there are filters for two kernels.
    assert many <= 1.5 * one
    assert packed < 300 and nothing == 0 and released < 120, (packed, nothing, released)


def test_40_sizes_of_image_take_little_more_than_the_largest(capsys):
    program = """
        model = ResNet18(input_shape=(None, None, 3), stem="imagenet")
        sizes = [(1, 64 + 4 * k, 128) for k in range(40)]
        predict(model, sizes[-1])
        one = peak()
        predict(model, *sizes)
        print(one, peak())
        """
    one, many = run_apart(RESNET + textwrap.dedent(program), **FIXED)
    with capsys.disabled():
        print(f"\npeak: {many:,.0f} bytes for 40 sizes of image, {many / one:.2f} times that of the largest")
    assert many <= 1.3 * one


def test_packed_filters_stay_below_their_bound_and_answers_the_same():
    program = """
        models = [ResNet18(input_shape=(64, 64, 3), stem="imagenet", name=f"net_{k}") for k in range(4)]
        answers = [predict(model, (1, 64, 64), (8, 64, 64)) for model in models]
        free = config.memory_info()["packed"]
        config.set_packed_limit(free // 3)
        for _ in range(2):
            for model, expected in zip(models, answers):
                for one, other in zip(predict(model, (1, 64, 64), (8, 64, 64)), expected):
                    assert (one == other).all()
        print(free, config.memory_info()["packed"])
        """
    free, bounded = run_apart(RESNET + textwrap.dedent(program))
    assert bounded <= free // 3


@pytest.mark.parametrize("limit", [0, 10 << 20])
def test_one_model_stays_below_the_bound_too(limit):
    program = """
        model = ResNet18(input_shape=(64, 64, 3), stem="imagenet")
        (expected,) = predict(model, (1, 64, 64))
        predict(model, (2, 64, 64), (3, 64, 64))
        before = config.memory_info()["packed"]
        config.set_packed_limit(LIMIT)
        lowered = config.memory_info()["packed"]
        (again,) = predict(model, (1, 64, 64))
        assert (again == expected).all()
        print(before, lowered, config.memory_info()["packed"])
        """
    before, lowered, after = run_apart(RESNET + textwrap.dedent(program).replace("LIMIT", str(limit)))
    assert before > 10 << 20 and lowered <= limit and after <= limit


def test_a_model_keeps_the_steps_of_the_shapes_used_last():
    from cnnrs import Input, Sequential, layers

    model = Sequential([Input((None, 3)), layers.Dense(2)])
    for n in range(1, 70):
        model.predict(np.zeros((1, n, 3), np.float32), verbose=0)
    steps = model._recorded
    shapes = [facts[0][0][1] for _, _, facts, *_ in steps]
    assert shapes == list(range(6, 70))


def test_a_function_keeps_the_recordings_used_last():
    @cnnrs.function
    def double(x):
        return x + x

    with pytest.warns(RuntimeWarning, match="recorded for 9 signatures"):
        for n in range(1, 101):
            assert double(np.ones(n, np.float32)).shape == (n,)
    assert double.traces == 100
    double(np.ones(100, np.float32))
    assert double.traces == 100
    double(np.ones(1, np.float32))
    assert double.traces == 101

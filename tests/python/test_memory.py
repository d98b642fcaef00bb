"""Memory of the process over many fits and after models are gone."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

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
"""


def run_apart(program: str) -> list[float]:
    """The numbers that `program` prints in a process of its own, where no other test has left anything."""
    source = PRELUDE + textwrap.dedent(program)
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=300)
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

"""Threads that train, predict, save, load, build and assign at once: no error, no hang, every answer finite.

`python tests/faults/threads.py --seconds 60 --threads 16` prints one line of figures, and exits with 1 after
a finding.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import sys
import tempfile
import threading
import time
from collections import Counter

import numpy as np

import cnnrs
from cnnrs import Input, Sequential, layers, ops

# Seconds without an end after which the threads count as hanging.
PATIENCE = 60


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    faulthandler.dump_traceback_later(options.seconds + PATIENCE, exit=True)
    rng = np.random.default_rng(options.seed)
    x = rng.standard_normal((32, 8, 8, 2)).astype(np.float32)
    y = rng.standard_normal((32, 3)).astype(np.float32)

    def build() -> Sequential:
        model = Sequential([Input((8, 8, 2)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3)])
        model.compile("adam", "mse")
        return model

    shared, folder = build(), tempfile.mkdtemp()
    path = os.path.join(folder, "shared.safetensors")
    shared.fit(x, y, verbose=0)
    shared.save(path)
    total = cnnrs.Variable(0.0, trainable=False)

    def predict(k: int) -> None:
        n = 1 + k % 32
        assert np.isfinite(shared.predict(x[:n], batch_size=n, verbose=0)).all()

    def make(k: int) -> None:
        model = build()
        model.train_on_batch(x, y)
        assert len(model.optimizer.variables) == 10

    def load(k: int) -> None:
        assert np.isfinite(cnnrs.models.load_model(path).predict(x[:2], verbose=0)).all()

    def compute(k: int) -> None:
        assert float(ops.sum(ops.ones((k % 7 + 1, 3)))) == 3 * (k % 7 + 1)

    works = {
        "fit": lambda k: shared.fit(x, y, verbose=0),
        "predict": predict,
        "save": lambda k: shared.save(path),
        "load": load,
        "build": make,
        "compute": compute,
        "assign": lambda k: total.assign(float(k)),
        "release": lambda k: cnnrs.config.release_memory(),
    }
    done: Counter[str] = Counter()
    findings: list[str] = []
    end = time.monotonic() + options.seconds

    def run(name: str) -> None:
        k = 0
        while time.monotonic() < end:
            try:
                works[name](k)
            except BaseException as error:
                findings.append(f"{name}: {type(error).__name__}: {error}")
                return
            k += 1
            done[name] += 1

    names = list(works)
    threads = [threading.Thread(target=run, args=(names[i % len(names)],)) for i in range(options.threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    faulthandler.cancel_dump_traceback_later()
    for line in findings[:10]:
        print(line)
    print(f"threads: {sum(done.values())} calls ({dict(done)}), {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())

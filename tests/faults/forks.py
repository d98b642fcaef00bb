"""Forks from two threads while a third trains and a fourth predicts: every child works, and none hangs.

`python tests/faults/forks.py --forks 1000` prints one line of figures, and exits with 1 after a finding.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time

import numpy as np

import cnnrs
from cnnrs import Input, Sequential, layers, ops

# Seconds after which a child counts as hanging.
PATIENCE = 30


def child(model: Sequential, x: np.ndarray, y: np.ndarray) -> int:
    """What a child does: predicts, trains, computes; 0 if all of it worked."""
    signal.alarm(PATIENCE)
    if not np.isfinite(model.predict(x, verbose=0)).all():
        return 2
    before = int(model.optimizer.iterations)
    model.train_on_batch(x, y)
    if int(model.optimizer.iterations) != before + 1:
        return 3
    return 0 if float(ops.sum(ops.ones((3, 4)))) == 12 else 4


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--forks", type=int, default=1000)
    options = parser.parse_args(arguments)
    model = Sequential([Input((8, 8, 2)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3)])
    model.compile("adam", "mse")
    rng = np.random.default_rng(0)
    x, y = (
        rng.standard_normal((16, 8, 8, 2)).astype(np.float32),
        rng.standard_normal((16, 3)).astype(np.float32),
    )
    model.fit(x, y, verbose=0)
    model.predict(x, verbose=0)
    stop = threading.Event()
    outcomes: dict[str, int] = {}
    lock = threading.Lock()

    def keep(work) -> None:
        while not stop.is_set():
            work()

    def fork(count: int) -> None:
        for _ in range(count):
            pid = os.fork()
            if pid == 0:
                code = 5
                try:
                    code = child(model, x, y)
                finally:
                    os._exit(code)
            _, status = os.waitpid(pid, 0)
            code = os.waitstatus_to_exitcode(status)
            name = "worked" if code == 0 else "hung" if code == -signal.SIGALRM else f"ended with {code}"
            with lock:
                outcomes[name] = outcomes.get(name, 0) + 1

    others = [
        threading.Thread(target=keep, args=(lambda: model.fit(x, y, verbose=0),)),
        threading.Thread(target=keep, args=(lambda: model.predict(x, verbose=0),)),
        threading.Thread(target=keep, args=(lambda: np.asarray(cnnrs.Variable(np.ones(3)) * 2.0),)),
    ]
    forkers = [threading.Thread(target=fork, args=(options.forks // 2,)) for _ in range(2)]
    start = time.monotonic()
    for thread in others + forkers:
        thread.start()
    for thread in forkers:
        thread.join()
    stop.set()
    for thread in others:
        thread.join()
    bad = sum(count for name, count in outcomes.items() if name != "worked")
    print(f"forks: {outcomes} in {time.monotonic() - start:.0f} s, {bad} findings")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

"""SIGINT at random moments of training: the process goes on, and every run is whole or absent.

`python tests/faults/signals.py --signals 300` prints one line of figures, and exits with 1 after a finding.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time

import numpy as np

from cnnrs import Input, Sequential, layers


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--signals", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    rng = np.random.default_rng(options.seed)
    model = Sequential(
        [Input((16, 16, 3)), layers.Conv2D(16, 3), layers.BatchNormalization(), layers.Flatten()]
    )
    model.add(layers.Dense(5))
    model.compile("adam", "mse")
    x = rng.standard_normal((256, 16, 16, 3)).astype(np.float32)
    y = rng.standard_normal((256, 5)).astype(np.float32)
    model.fit(x, y, verbose=0)
    findings: list[str] = []
    interrupted, latest = 0, 0.0
    for k in range(options.signals):
        sent: list[float] = []

        def send(delay: float, sent: list[float] = sent) -> None:
            time.sleep(delay)
            sent.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)

        sender = threading.Thread(target=send, args=(rng.uniform(0, 0.03),))
        before = int(model.optimizer.iterations)
        try:
            sender.start()
            model.fit(x, y, batch_size=8, epochs=1000, verbose=0)
        except KeyboardInterrupt:
            interrupted += 1
            latest = max(latest, time.monotonic() - sent[0])
        sender.join()
        # All variables of the optimizer are of one step: moments are finite, and the count says how many.
        if int(model.optimizer.iterations) < before:
            findings.append(f"signal {k}: fewer iterations than before")
        if not all(np.isfinite(v.numpy()).all() for v in [*model.weights, *model.optimizer.variables]):
            findings.append(f"signal {k}: a variable is not finite")
        if not np.isfinite(model.predict(x[:8], verbose=0)).all():
            findings.append(f"signal {k}: no prediction afterwards")
    for line in findings[:10]:
        print(line)
    print(
        f"signals: {interrupted} of {options.signals} interrupted training, within {latest * 1e3:.0f} ms, "
        f"{len(findings) + options.signals - interrupted} findings"
    )
    return 1 if findings or interrupted < options.signals else 0


if __name__ == "__main__":
    sys.exit(main())

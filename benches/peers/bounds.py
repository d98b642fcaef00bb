"""How much of the processor's multiply-adds the training steps of `zoo.py` take, and what is left to gain.

    .venv/bin/python benches/peers/bounds.py                    # all networks
    .venv/bin/python benches/peers/bounds.py vit_ti_224 mlp     # these

A step's operations are those of its formulas. Convolutions by Winograd's forms take fewer, so that a row may
be above 100 %. The peak is that of large products of float32 matrices, measured before and behind the rows.
"At the peak" is the fastest peer's time, as kept in `benches/results`, over the time that the operations
take at the peak: the ratio of an engine that multiplies tap by tap and does nothing else.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

import numpy as np
import zoo_keras
from run import file_name, processor
from zoo import NETS, samples

import cnnrs

RESULTS = Path(__file__).parent.parent / "results"
SIZE = 1536


def peak() -> float:
    """Operations a second of a product of large matrices."""
    inputs = cnnrs.Input((SIZE,))
    model = cnnrs.Model(inputs, cnnrs.layers.Dense(SIZE, use_bias=False)(inputs))
    data = cnnrs.utils.profile(model, np.ones((SIZE, SIZE), np.float32), repeats=20).data
    return data["flops"] / data["seconds"]


def fastest_peers(threads: int) -> dict[str, float]:
    """Seconds of the fastest peer by the title of a row, of this machine, as far as they are kept."""
    path = RESULTS / file_name(threads)
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    found: dict[str, float] = {}
    for row in rows:
        peers = [engine["median_ms"] for name, engine in row["engines"].items() if name != "cnnrs"]
        found[row["title"]] = min(peers) * 1e-3
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("nets", nargs="*", help="networks of zoo.py; all by default")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    cnnrs.config.set_num_threads(options.threads)
    peers = fastest_peers(options.threads)
    before = peak()
    rows = []
    for name in options.nets or NETS:
        net = NETS[name]
        x, y = samples(net, net.batch)
        data = cnnrs.utils.profile(zoo_keras.compiled(cnnrs, name), x, y, repeats=6).data
        rows.append((net, data["flops"], data["seconds"]))
    most = max(before, peak())
    print(f"{processor()}, {options.threads} threads: {most / 1e9:.0f} GFLOP/s in large products")
    bounds = []
    for net, flops, seconds in rows:
        line = f"{net.title:32}{flops / 1e9:8.2f} GFLOP {seconds * 1e3:8.1f} ms"
        line += f"{flops / seconds / most:6.0%} of the peak"
        found = peers.get(f"{net.title} training, batch {net.batch}")
        if found is not None:
            bounds.append(found / net.steps / (flops / most))
            line += f"   at the peak {bounds[-1]:.2f} x the fastest peer"
        print(line)
    if bounds:
        print(f"geometric mean at the peak: {statistics.geometric_mean(bounds):.2f}")


if __name__ == "__main__":
    main()

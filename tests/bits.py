"""The bits that cnnrs computes, to be compared before and after a change that must not alter any.

Networks are trained and asked, and random programs are run, on each instruction set of this machine
and with 1, 2 and 7 threads. Each value that comes out is kept as a hash:

    python tests/bits.py --record build/bits.json     # before the change
    python tests/bits.py --compare build/bits.json    # after it, with the new build installed

Results must not depend on the number of threads either, so that a corpus has one hash for all three.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

THREADS = (1, 2, 7)
STEPS = 3


def _hash(value: Any) -> str:
    array = np.ascontiguousarray(value)
    body = f"{array.dtype} {array.shape} ".encode() + array.tobytes()
    return hashlib.sha256(body).hexdigest()[:16]


def _lenet() -> tuple[Any, tuple[int, ...], int]:
    import cnnrs

    return cnnrs.applications.LeNet5(), (28, 28, 1), 64


def _resnet18() -> tuple[Any, tuple[int, ...], int]:
    import cnnrs

    return cnnrs.applications.ResNet18(input_shape=(48, 48, 3), classes=10), (48, 48, 3), 16


def _mobilenet_v2() -> tuple[Any, tuple[int, ...], int]:
    import cnnrs

    return cnnrs.applications.MobileNetV2(weights=None, input_shape=(64, 64, 3), classes=10), (64, 64, 3), 8


def _unet() -> tuple[Any, tuple[int, ...], int]:
    """Two levels down and up, with a transposed convolution, a resizing and both skips."""
    from cnnrs import Input, Model, layers

    def block(x: Any, filters: int) -> Any:
        for _ in range(2):
            x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
            x = layers.ReLU()(layers.BatchNormalization()(x))
        return x

    image = Input((40, 40, 3))
    first = block(image, 8)
    second = block(layers.MaxPooling2D()(first), 12)
    x = block(layers.MaxPooling2D()(second), 16)
    x = layers.Concatenate()([layers.Conv2DTranspose(12, 2, strides=2)(x), second])
    x = block(x, 12)
    x = layers.Concatenate()([layers.UpSampling2D(interpolation="bilinear")(x), first])
    x = layers.Dropout(0.2)(block(x, 8))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(10, 1)(x))
    return Model(image, layers.Softmax()(x)), (40, 40, 3), 6


NETWORKS: dict[str, Callable[[], tuple[Any, tuple[int, ...], int]]] = {
    "LeNet5": _lenet,
    "ResNet18": _resnet18,
    "MobileNetV2": _mobilenet_v2,
    "U-Net": _unet,
}


def _network(name: str) -> Iterator[tuple[str, Any]]:
    """Losses, weights and predictions of some steps; the last batch is a short one."""
    import cnnrs

    cnnrs.utils.set_random_seed(5)
    model, shape, batch = NETWORKS[name]()
    rng = np.random.default_rng(3)
    x = rng.normal(size=(STEPS * batch + batch // 2, *shape)).astype("float32")
    y = rng.integers(0, 10, len(x))
    model.compile(cnnrs.optimizers.Adam(0.002), "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, batch_size=batch, epochs=2, verbose=0)
    yield "history", [history.history[key] for key in sorted(history.history)]
    for index, weights in enumerate(model.get_weights()):
        yield f"weight {index}", weights
    yield "prediction", model.predict(x, batch_size=batch, verbose=0)
    yield "one image", model.predict(x[:1], verbose=0)
    yield "evaluation", model.evaluate(x, y, batch_size=batch, verbose=0)


def _programs(count: int) -> Iterator[tuple[str, Any]]:
    """Results of random programs, or the text of their errors."""
    from fuzz.draw import program

    for seed in range(count):
        drawn, _ = program(seed)
        if drawn.hostile:
            continue
        names: dict[str, Any] = {}
        try:
            exec(compile(drawn.text(run=False), "program", "exec"), names)
        except Exception as error:
            yield f"program {seed}", np.frombuffer(f"{type(error).__name__}".encode(), np.uint8)
            continue
        for run, result in enumerate(names["results"]):
            for key in sorted(result):
                if result[key] is not None:
                    yield f"program {seed} run {run} {key}", result[key]


def _corpus(threads: int, programs: int) -> dict[str, str]:
    import warnings

    import cnnrs

    warnings.simplefilter("ignore")
    cnnrs.config.set_num_threads(threads)
    found = {}
    for name in NETWORKS:
        found.update({f"{name} {what}": _hash(value) for what, value in _network(name)})
    found.update({what: _hash(value) for what, value in _programs(programs)})
    return found


def _tiers() -> list[str]:
    from cnnrs import _core

    return list(_core.cpu_info()["tiers"])


def _collect(programs: int) -> dict[str, dict[str, str]]:
    """The corpus of each tier, each computed by a process of its own for each number of threads."""
    collected: dict[str, dict[str, str]] = {}
    for tier in _tiers():
        for threads in THREADS:
            environment = {**os.environ, "CNNRS_ISA": tier, "PYTHONPATH": _path()}
            command = [sys.executable, __file__, "--worker", str(threads), "--programs", str(programs)]
            answer = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
            corpus = json.loads(answer.stdout)
            print(f"{tier}, {threads} threads: {len(corpus)} values", flush=True)
            first = collected.setdefault(tier, corpus)
            if differing := _differences(first, corpus):
                sys.exit(f"{tier}: 1 and {threads} threads differ: {differing[:5]}")
    return collected


def _path() -> str:
    return os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))


def _differences(a: dict[str, str], b: dict[str, str]) -> list[str]:
    return [key for key in [*a, *(b.keys() - a.keys())] if a.get(key) != b.get(key)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--record", type=Path, metavar="FILE", help="write the hashes")
    what.add_argument("--compare", type=Path, metavar="FILE", help="compare with hashes written before")
    what.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--programs", type=int, default=400, help="random programs")
    arguments = parser.parse_args()
    if arguments.worker:
        json.dump(_corpus(arguments.worker, arguments.programs), sys.stdout)
        return
    if arguments.record:
        arguments.record.parent.mkdir(parents=True, exist_ok=True)
        arguments.record.write_text(json.dumps(_collect(arguments.programs)))
        return
    recorded = json.loads(arguments.compare.read_text())
    found = _collect(arguments.programs)
    failed = False
    for tier in recorded.keys() | found.keys():
        differing = _differences(recorded.get(tier, {}), found.get(tier, {}))
        failed |= bool(differing)
        print(f"{tier}: {len(differing)} of {len(recorded.get(tier, {}))} values differ {differing[:8]}")
    sys.exit(int(failed))


if __name__ == "__main__":
    main()

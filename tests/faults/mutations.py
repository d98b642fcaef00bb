"""Mutated files: each loads, or is refused by an error that names it, and no damage passes for content.

Kinds, in turn:
- bytes: flipped bits, cuts, excess, zeroed, doubled and exchanged ranges of a file with checksums. All
  must be refused.
- old: the same of a file without checksums, which may load with other numbers.
- header: the parts of the JSON header mutated, without checksums.
- config: architecture, order of weights and shuffling mutated, with checksums that fit.
- idx: a gzipped file of images, or what it unpacks to, damaged as in bytes. What loads must be the images.

Cases run in children with an alarm and a bound on memory, so that a crash or a hang is a finding too. A case
depends on the seed and its number alone: `--first 123 --count 1` runs one of them again.

`python tests/faults/mutations.py --count 20000` prints one line of figures, and exits with 1 after a finding.
"""

from __future__ import annotations

import argparse
import copy
import gzip
import hashlib
import json
import math
import random
import resource
import struct
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from campaign import child, ended, report

import cnnrs
from cnnrs import _core, layers
from cnnrs.datasets import idx
from cnnrs.models import load_model

# What errors of the engine say that are defects of its own.
REPORT = "please report"
# Cases of a child, its seconds, and the bytes that it may take beyond those of its parent.
BATCH = 50
PATIENCE = 120
MEMORY = 4 << 30

JUNK: list[Any] = [
    None, True, -1, 0, 1, 2, 3, 0.5, 2**31, 2**32, 2**62, 2**63, 2**64, 10**30, -(2**63), 1e-45, 1e308,
    math.inf, math.nan, "", "a", "relu", "same", "Dense", "function", "conv", "é", "\ud800", "a\0b", "/",
    [], [1], [1, 2], [2**40, 2**40], [None, -1], [[]], {}, {"a": 1}, {"class_name": "Dense", "config": {}},
    {"class_name": "__tuple__", "items": [1, 2]},
    {"class_name": "__numpy__", "config": {"value": [1], "dtype": "float32"}},
    {"class_name": "function", "config": "load_model", "module": "cnnrs.models", "registered_name": None},
    "x" * 100_000,
]  # fmt: skip


def models() -> list[cnnrs.Model]:
    """A chain and a graph with branches, trained for a step."""
    chain = cnnrs.Sequential(
        [
            cnnrs.Input((6, 6, 2)),
            layers.Conv2D(3, 3, padding="same", kernel_regularizer="l2", name="conv"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dropout(0.3),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    inputs = cnnrs.Input((6, 6, 2))
    x = layers.DepthwiseConv2D(3, padding="same")(inputs)
    x = layers.Add()([x, inputs]) * 2.0
    x = layers.GlobalAveragePooling2D()(x[:, 1:])
    graph = cnnrs.Model(inputs, layers.Dense(3, activation="softmax", kernel_constraint="non_neg")(x))
    rng = np.random.default_rng(0)
    images, labels = rng.standard_normal((8, 6, 6, 2)).astype(np.float32), np.arange(8) % 3
    for model in (chain, graph):
        model.compile(
            cnnrs.optimizers.Adam(cnnrs.optimizers.schedules.CosineDecay(0.01, 20)),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
        model.fit(images, labels, batch_size=4, verbose=0)
    return [chain, graph]


# ---- mutations


def header_bytes(content: bytes) -> int:
    """The length of a safetensors file before its tensors."""
    return 8 + int(struct.unpack("<Q", content[:8])[0])


def mutate_bytes(content: bytes, header: int, rng: random.Random) -> bytes:
    """The content with one kind of damage, half of it in the first `header` bytes; never as it was."""
    data = bytearray(content)
    while data == content:
        begin, end = (0, header) if rng.random() < 0.5 else (header, len(content))
        at, length = rng.randrange(begin, end), rng.choice([1, 2, 8, 64, 512])
        kind = rng.randrange(7)
        if kind <= 1:
            for _ in range(1 if kind == 0 else rng.randrange(2, 9)):
                place = rng.randrange(begin, end)
                data[place] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del data[at:]
        elif kind == 3:
            data += rng.randbytes(length)
        elif kind == 4:
            data[at : at + length] = bytes(len(data[at : at + length]))
        elif kind == 5:
            data[at:at] = data[at : at + length]
        else:
            other = rng.randrange(begin, end)
            first, second = data[at : at + 8], data[other : other + 8]
            if len(first) == len(second) == 8 and abs(at - other) >= 8:
                data[at : at + 8], data[other : other + 8] = second, first
    return bytes(data)


def places(tree: Any) -> list[tuple[Any, Any]]:
    """Every container of a tree with a key in it."""
    found: list[tuple[Any, Any]] = []
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
        for key in keys:
            found.append((node, key))
            waiting.append(node[key])
    return found


def mutate_tree(tree: Any, rng: random.Random) -> Any:
    """A copy of JSON data with one to three parts replaced, removed, doubled, renamed or exchanged."""
    root = [copy.deepcopy(tree)]
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        at = places(root)
        node, key = rng.choice(at)
        kind = rng.randrange(8)
        if kind <= 3:
            node[key] = copy.deepcopy(rng.choice(JUNK))
        elif kind == 4:
            if node is not root:
                del node[key]
        elif kind == 5:
            other, place = rng.choice(at)
            node[key] = copy.deepcopy(other[place])
        elif kind == 6:
            if isinstance(node, dict):
                node[rng.choice(["a", "name", "class_name", "config", "", "\ud800"])] = node.pop(key)
            else:
                node.insert(key, copy.deepcopy(node[key]))
        else:
            for _ in range(rng.choice([2, 2000])):
                node[key] = [node[key]] if rng.random() < 0.5 else {"config": node[key]}
    return root[0]


def without_checksum(content: bytes) -> bytes:
    """The file as releases wrote it that knew no checksums."""
    header, data = split(content)
    del header["__metadata__"]["checksum"]
    header["__metadata__"]["cnnrs_format"] = "1"
    return join(header, data)


def split(content: bytes) -> tuple[Any, bytes]:
    (size,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def join(header: Any, data: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


class Corpus:
    def __init__(self, folder: Path):
        self.path = folder / "mutated.safetensors"
        self.whole: list[bytes] = []
        self.parts: list[tuple[dict[str, np.ndarray], dict[str, str]]] = []
        for model in models():
            model.save(self.path)
            self.whole.append(self.path.read_bytes())
            self.parts.append(_core.load_safetensors(self.path)[:2])
            # What is mutated below loads as it is.
            self.path.write_bytes(without_checksum(self.whole[-1]))
            load_model(self.path)
        self.images = np.random.default_rng(0).integers(0, 9, (20, 5, 7), np.uint8)
        self.unpacked = struct.pack(">4B3I", 0, 0, 8, 3, *self.images.shape) + self.images.tobytes()
        self.digest = hashlib.sha256(self.unpacked).hexdigest()
        self.path.write_bytes(gzip.compress(self.unpacked))
        self.read_images()

    def read_images(self) -> None:
        """Raises `AssertionError` where damage passes for images."""
        loaded = idx.read_gzip(self.path, self.images.shape, self.digest)
        np.testing.assert_array_equal(loaded, self.images)

    def write(self, kind: str, rng: random.Random) -> None:
        index = rng.randrange(len(self.whole))
        content = self.whole[index]
        if kind == "bytes":
            self.path.write_bytes(mutate_bytes(content, header_bytes(content), rng))
        elif kind == "old":
            content = without_checksum(content)
            self.path.write_bytes(mutate_bytes(content, header_bytes(content), rng))
        elif kind == "idx":
            packed = gzip.compress(self.unpacked)
            if rng.random() < 0.5:
                self.path.write_bytes(mutate_bytes(packed, 10, rng))
            else:
                self.path.write_bytes(gzip.compress(mutate_bytes(self.unpacked, 16, rng)))
        elif kind == "header":
            header, data = split(without_checksum(content))
            self.path.write_bytes(join(mutate_tree(header, rng), data))
        else:
            tensors, metadata = self.parts[index]
            key = rng.choice(["model"] * 8 + ["weights", "shuffle"])
            text = json.dumps(mutate_tree(json.loads(metadata[key]), rng))
            _core.save_safetensors(self.path, tensors, {**metadata, key: text})


KINDS = ("bytes", "old", "header", "config", "idx")


def judge(corpus: Corpus, kind: str, case: str) -> tuple[str, str | None]:
    """What became of a case, and what is wrong about it."""
    try:
        if kind == "idx":
            corpus.read_images()
            return "loaded", None
        model = load_model(corpus.path)
    except (MemoryError, TypeError, ValueError) as error:
        named = corpus.path.name in str(error) and REPORT not in str(error)
        refused = not isinstance(error, TypeError) or "cannot find" in str(error)
        return "refused", None if named and refused else f"{case}: {type(error).__name__}: {error}"
    except BaseException as error:
        return "refused", f"{case}: {type(error).__name__}: {error}"
    if kind == "bytes":
        return "loaded", f"{case}: damage that no checksum found"
    try:
        model.predict(np.zeros((2, 6, 6, 2), np.float32), verbose=0)
    except Exception as error:
        # The mutated model takes other inputs, perhaps, or has layers whose numbers do not go together.
        if REPORT in str(error):
            return "loaded", f"{case}: predict: {type(error).__name__}: {error}"
    except BaseException as error:
        return "loaded", f"{case}: predict: {type(error).__name__}: {error}"
    return "loaded", None


def bound_memory() -> None:
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))


def work(corpus: Corpus, seed: int, cases: range, tell: Callable[[str], None]) -> None:
    warnings.simplefilter("ignore")
    if sys.platform == "linux":
        bound_memory()
    for number in cases:
        kind = KINDS[number % len(KINDS)]
        case = f"{kind} {number}"
        tell(f"start {case}")
        # Deep data is made here; loading has to bear it with what users have.
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(100 * limit)
        corpus.write(kind, random.Random(f"{seed} {number}"))
        sys.setrecursionlimit(limit)
        outcome, wrong = judge(corpus, kind, case)
        tell(f"{outcome} {kind}")
        if wrong is not None:
            tell("wrong " + wrong.encode("unicode_escape").decode()[:400])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=math.inf, help="begins no further cases after them")
    options = parser.parse_args(arguments)
    findings: list[str] = []
    outcomes = {f"{outcome} {kind}": 0 for kind in KINDS for outcome in ("refused", "loaded")}
    cases = 0
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        corpus = Corpus(Path(name))
        log = Path(name) / "log"
        number, end = options.first, options.first + options.count
        while number < end and time.monotonic() - began < options.seconds:
            batch = range(number, min(number + BATCH, end))
            with open(log, "w") as file:

                def tell(line: str, file: Any = file) -> None:
                    file.write(line + "\n")
                    file.flush()

                outcome = ended(child(partial(work, corpus, options.seed, batch, tell), PATIENCE))
            lines = log.read_text().splitlines()
            done = 0
            for line in lines:
                done += line.startswith("start ")
                if line in outcomes:
                    outcomes[line] += 1
                if line.startswith("wrong "):
                    findings.append(line.removeprefix("wrong "))
            if outcome is not None:
                last = [line for line in lines if line.startswith("start ")][-1:]
                findings.append(f"{(last or ['start ?'])[0].removeprefix('start ')}: the child {outcome}")
            cases += done
            number += max(done, 1)
    figures: dict[str, object] = {"cases": cases, **outcomes}
    return report("mutations", figures, findings)


if __name__ == "__main__":
    sys.exit(main())

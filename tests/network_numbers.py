"""Compares the numbers of Keras's networks with Keras's own: `make networks-compare`.

    python tests/network_numbers.py --keras PYTHON [--write] [NETWORK...]

Each network gets the same weights in both libraries, and the same images; compared are the logits, and the
features of the network without its classifier. The table is printed; --write puts it into docs/keras.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "fixtures"))

from network_cases import FAMILIES, NETWORKS, Case, read

DOCS = Path(__file__).parents[1] / "docs" / "keras.md"
BEGIN, END = "<!-- networks-compare: begin -->", "<!-- networks-compare: end -->"
SIZE = 128
PARTS: dict[str, dict[str, Any]] = {
    "logits": {"classes": 10, "classifier_activation": None},
    "features": {"include_top": False},
}
# Largest difference over the largest value. Networks of 500 layers round that often in a row.
TOLERANCE = 1e-4
# What two images must differ by, over the largest value: weights must not drown them.
SPREAD = 1e-3
# The variance of kernels times their fan-in. These networks add up many residuals, without a ReLU: with 2
# they grow so far that a change of the last bit of the images changes all digits of what comes out.
GAIN = {
    **dict.fromkeys(["EfficientNetB5", "EfficientNetB6"], 1.7),
    "EfficientNetB7": 1.5,
    **{f"EfficientNetV2B{i}": 1.4 for i in range(4)},
    "EfficientNetV2S": 1.25,
    "EfficientNetV2M": 1.2,
    "EfficientNetV2L": 1.12,
}


def weights_of(model: Any, gain: float = 2) -> list[np.ndarray]:
    """Values for the weights of a model: the same in both libraries, and so that signals keep their size."""
    rng = np.random.default_rng(0)
    by_channel = {
        weight.path
        for layer in model.layers
        for weight in layer.weights
        if "depthwise" in weight.path.rsplit("/", 1)[-1] or type(layer).__name__ == "DepthwiseConv2D"
    }
    values = []
    for weight in model.weights:
        shape, name = tuple(weight.shape), weight.path.rsplit("/", 1)[-1]
        if name.endswith("kernel"):
            fan_in = np.prod(shape[:2] if weight.path in by_channel else shape[:-1])
            value = rng.standard_normal(shape, np.float32) * np.float32(np.sqrt(gain / fan_in))
        elif name in ("moving_variance", "gamma", "variance"):
            value = rng.uniform(0.7, 1.3, shape)
        else:
            value = rng.uniform(-0.2, 0.2, shape)
        values.append(np.asarray(value, str(weight.dtype)))
    return values


def images_for(model: Any) -> np.ndarray:
    """Two images of patches as the model expects them: around 0, or 0 to 255 if it scales them itself."""
    rng = np.random.default_rng(1)
    patches = rng.standard_normal((2, 8, 8, 3)).repeat(SIZE // 8, 1).repeat(SIZE // 8, 2)
    images = patches + 0.3 * rng.standard_normal(patches.shape)
    if any(type(layer).__name__ in ("Rescaling", "Normalization") for layer in model.layers):
        images = np.clip(127.5 + 60 * images, 0, 255)
    return images.astype(np.float32)


def outputs(keras: Any, network: str) -> dict[str, np.ndarray]:
    """What a network computes, by its parts."""
    found = {}
    for part, options in PARTS.items():
        model = Case(network, {**options, "input_shape": (SIZE, SIZE, 3)}).build(keras)
        model.set_weights(weights_of(model, GAIN.get(network, 2)))
        for layer in model.layers:
            if type(layer).__name__ == "Normalization":
                layer.finalize_state()  # Keras's goes on with the statistics that it had before
        found[part] = np.asarray(model.predict(images_for(model), verbose=0))
    return found


def worker(path: str, networks: list[str]) -> None:
    """Writes what Keras computes to a file."""
    os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")
    import keras

    found = {}
    for network in networks:
        for part, value in outputs(keras, network).items():
            found[f"{network}/{part}"] = value
    np.savez(path, **found)


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference over the largest value; infinite for other shapes, or if values say nothing."""
    if ours.shape != theirs.shape or not np.isfinite(ours).all() or not np.isfinite(theirs).all():
        return float("inf")
    largest = np.abs(theirs).max()
    if np.abs(theirs[0] - theirs[1]).max() < SPREAD * largest:
        return float("inf")
    return float(np.abs(ours - theirs).max() / largest)


def table(rows: dict[str, str]) -> str:
    """The page's table, of lines by networks."""
    lines = ["| network | parameters | layers | logits | features |", "|---|---|---|---|---|"]
    return "\n".join([*lines, *(rows[network] for network in NETWORKS if network in rows)])


def line(network: str, found: dict[str, float]) -> str:
    """A line of the table."""
    model = read()[Case(network, {}).key]
    figures = " | ".join(f"{found[part]:.0e}" for part in PARTS)
    return f"| {network} | {model['count'][0]:,} | {len(model['layers'])} | {figures} |"


def write(rows: dict[str, str]) -> None:
    """Puts lines into the page's table; those of other networks stay."""
    before, rest = DOCS.read_text().split(BEGIN)
    old, after = rest.split(END)
    kept = {text.split()[1]: text for text in old.split("\n") if text.startswith("| ")}
    DOCS.write_text(f"{before}{BEGIN}\n{table({**kept, **rows})}\n{END}{after}")


def compared(networks: list[str], keras_python: str) -> dict[str, dict[str, float]]:
    """The differences of networks by their parts; a process of its own has Keras."""
    import cnnrs

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "keras.npz")
        subprocess.run([keras_python, __file__, "--worker", path, *networks], check=True)
        found = {}
        with np.load(path) as theirs:
            for network in networks:
                ours = outputs(cnnrs, network)
                found[network] = {part: difference(ours[part], theirs[f"{network}/{part}"]) for part in PARTS}
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--keras", help="the Python of an environment that has Keras")
    parser.add_argument("--write", action="store_true", help="write the table into docs/keras.md")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help="all of Keras's by default")
    given = parser.parse_args()
    networks = given.networks or NETWORKS
    if given.worker:
        worker(given.worker, networks)
        return 0
    rows, worst = {}, 0.0
    for family in FAMILIES:
        chosen = [network for network in family.split() if network in networks]
        for network, found in (compared(chosen, given.keras) if chosen else {}).items():
            rows[network] = line(network, found)
            worst = max(worst, *found.values())
            print(rows[network], flush=True)
        if given.write and chosen:
            write(rows)
    print(f"the largest difference is {worst:.0e}, {TOLERANCE:.0e} is allowed")
    return int(not worst <= TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())

"""Trains a network on MNIST under precisions of kernels and dtype policies, and prints what each reaches.

    make accuracy
    make accuracy ACCURACY_ARGS="--samples 60000 --epochs 2 --seeds 0 1 2"
    make accuracy ACCURACY_ARGS="--precisions fast --policies float32 mixed_bfloat16 mixed_float16"
    make accuracy ACCURACY_ARGS="--network lenet5 --samples 60000 --test-samples 10000 --epochs 3"

For ResNet-18 images are padded to 32x32. A seed fixes the weights at the start and the order of the
samples, so that the runs of a seed differ in rounding alone.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

import cnnrs
from cnnrs import applications, config, datasets, optimizers

# What makes each network, and the pixels that its images are padded by.
NETWORKS: dict[str, tuple[Callable[[], cnnrs.Model], int]] = {
    "resnet18": (lambda: applications.ResNet18(stem="cifar", input_shape=(32, 32, 1), classes=10), 2),
    "lenet5": (applications.LeNet5, 0),
}


def images(pixels: np.ndarray, pad: int) -> np.ndarray:
    padded = np.pad(pixels, ((0, 0), (pad, pad), (pad, pad)))
    return padded[..., None].astype("float32") / 255


def train(
    precision: str, policy: str, seed: int, arguments: argparse.Namespace, data: tuple
) -> tuple[float, float, float]:
    """Last training loss, accuracy on the test images, and seconds."""
    (x, y), (x_test, y_test) = data
    config.set_precision(precision)
    config.set_dtype_policy(policy)
    cnnrs.utils.set_random_seed(seed)
    model = NETWORKS[arguments.network][0]()
    model.compile(
        optimizer=optimizers.SGD(learning_rate=arguments.learning_rate, momentum=0.9),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    start = time.perf_counter()
    history = model.fit(x, y, batch_size=arguments.batch_size, epochs=arguments.epochs, verbose=0)
    seconds = time.perf_counter() - start
    _, accuracy = model.evaluate(x_test, y_test, batch_size=arguments.batch_size, verbose=0)
    return history.history["loss"][-1], accuracy, seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", choices=sorted(NETWORKS), default="resnet18", help="(default: resnet18)")
    parser.add_argument("--samples", type=int, default=4096, help="training images (default: 4096)")
    parser.add_argument("--test-samples", type=int, default=2048, help="test images (default: 2048)")
    parser.add_argument("--epochs", type=int, default=1, help="passes over them (default: 1)")
    parser.add_argument("--batch-size", type=int, default=32, help="images per step (default: 32)")
    parser.add_argument("--learning-rate", type=float, default=0.02, help="of SGD (default: 0.02)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="(default: 0 1 2)")
    parser.add_argument("--precisions", nargs="+", default=["fast", "strict"], help="(default: fast strict)")
    parser.add_argument("--policies", nargs="+", default=["float32"], help="(default: float32)")
    arguments = parser.parse_args()

    (x, y), (x_test, y_test) = datasets.mnist.load_data()
    pad = NETWORKS[arguments.network][1]
    data = (
        (images(x[: arguments.samples], pad), y[: arguments.samples].astype("int32")),
        (images(x_test[: arguments.test_samples], pad), y_test[: arguments.test_samples].astype("int32")),
    )
    runs = [(precision, policy) for precision in arguments.precisions for policy in arguments.policies]
    accuracies: dict[tuple[str, str], list[float]] = {run: [] for run in runs}
    print(f"{'seed':>4}  {'precision':9}  {'policy':14}  {'loss':>8}  {'accuracy':>8}  {'seconds':>7}")
    for seed in arguments.seeds:
        for (precision, policy), reached in accuracies.items():
            loss, accuracy, seconds = train(precision, policy, seed, arguments, data)
            reached.append(accuracy)
            figures = f"{loss:8.5f}  {accuracy:8.2%}  {seconds:7.1f}"
            print(f"{seed:4}  {precision:9}  {policy:14}  {figures}", flush=True)
    for (precision, policy), reached in accuracies.items():
        spread = f" (lowest {min(reached):.2%}, highest {max(reached):.2%})" if len(reached) > 1 else ""
        print(f"{precision}, {policy}: mean accuracy {statistics.mean(reached):.2%}{spread}")


if __name__ == "__main__":
    main()

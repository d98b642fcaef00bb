"""`cnnrs train mnist` without `--out`: LeNet-5 on MNIST, saved as one file."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnrs.cli.signals import terminable, undisturbed

if TYPE_CHECKING:
    import numpy as np

__all__ = ["MODELS", "train"]


def _lenet5() -> Any:
    from cnnrs.applications import LeNet5

    return LeNet5()


MODELS: dict[str, Callable[[], Any]] = {"lenet5": _lenet5}


@terminable()
def train(options: argparse.Namespace) -> int:
    """Adam with a cosine decay from `--learning-rate` to 0 over the whole run.

    What stops it before the file is written leaves the model as of the end of the last whole epoch, which is
    the same in each run of the same seed.
    """
    from cnnrs import callbacks, config, datasets, losses, optimizers, utils
    from cnnrs.saving import files

    _require_writable(options.output)
    if options.device is not None:
        config.set_device(options.device)
    seed = int.from_bytes(os.urandom(4), "little") if options.seed is None else options.seed
    utils.set_random_seed(seed)
    (x_train, y_train), (x_test, y_test) = datasets.mnist.load_data()
    x_train, x_test = _scaled(x_train), _scaled(x_test)

    model = MODELS[options.model]()
    steps = options.epochs * -(-len(x_train) // options.batch_size)
    schedule = optimizers.schedules.CosineDecay(options.learning_rate, steps)
    model.compile(
        optimizer=optimizers.Adam(schedule),
        loss=losses.SparseCategoricalCrossentropy(),
        metrics=["accuracy"],
    )
    print(f"{options.model}, {model.count_params():,} parameters, seed {seed}")
    done: tuple[int, Any] = 0, None

    def keep(epoch: int, logs: Any) -> None:
        nonlocal done
        done = epoch + 1, files.content(model, str(options.output))

    keeping = callbacks.LambdaCallback(on_epoch_end=keep)
    start = time.perf_counter()
    try:
        model.fit(x_train, y_train, batch_size=options.batch_size, epochs=options.epochs, callbacks=[keeping])
        seconds = time.perf_counter() - start
        rate = options.epochs * len(x_train) / seconds
        print(f"trained in {seconds:.1f} s, {rate:,.0f} images/s")
        loss, accuracy = model.evaluate(x_test, y_test, batch_size=1000, verbose=0)
        print(f"test accuracy {accuracy:.4f}, test loss {loss:.4f} ({len(x_test):,} images)")
        model.save(options.output)
    except (KeyboardInterrupt, BrokenPipeError):
        with undisturbed():
            print(f"\nstopped; {_save_done(options, *done)}", file=sys.stderr)
        raise
    print(f"saved {options.output} ({options.output.stat().st_size:,} bytes)")
    return 0


def _save_done(options: argparse.Namespace, epochs: int, content: Any) -> str:
    """Saves what there is after so many whole epochs, and says what was saved."""
    from cnnrs.saving import files

    if content is None:
        return f"nothing saved: epoch 1 of {options.epochs} was not over"
    files.write(str(options.output), content)
    return f"saved {options.output} as of the end of epoch {epochs} of {options.epochs}"


def _require_writable(path: Path) -> None:
    """Finds out before the training, not after it, that the model cannot be saved."""
    from cnnrs import _core
    from cnnrs.serialization.formats import check_model_path

    folder = path.parent
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"--output: no folder {str(folder)!r}")
    if os.path.isdir(path):
        raise IsADirectoryError(f"--output: {str(path)!r} is a folder; expected a file name")
    try:
        check_model_path(path)
        _core.check_writable(path)
    except OSError as error:
        raise type(error)(error.errno, f"--output: {error.strerror}", error.filename) from error
    except ValueError as error:
        raise ValueError(f"--output: {error}") from error


def _scaled(images: np.ndarray) -> np.ndarray:
    """uint8 images of shape (n, 28, 28) as float32 in 0 to 1 of shape (n, 28, 28, 1)."""
    return images[..., None].astype("float32") / 255

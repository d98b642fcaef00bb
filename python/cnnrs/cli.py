"""The command line: `cnnrs train mnist`, `cnnrs profile resnet18`, `cnnrs check script.py`, and so on."""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import math
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

__all__ = ["main"]

# As of programs that SIGINT, SIGPIPE and SIGTERM end.
_INTERRUPTED = 130
_CLOSED_PIPE = 141
_TERMINATED = 143


class _Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a training as SIGINT does."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        arguments: What follows the program's name; `None` takes it from `sys.argv`.

    Returns:
        The exit status: 0, 1 if the command failed, 130 if it was interrupted, 141 if nobody reads its output
        any more, 143 if SIGTERM ended a training. A wrong argument exits with status 2 and a message, as
        `argparse` does.
    """
    try:
        try:
            options = _parser().parse_args(arguments)
            return options.run(options)
        finally:
            # Here, where what it raises is caught.
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has seen enough, as in `cnnrs doctor | head -1`. What is left in the buffer
        # goes nowhere, also when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _CLOSED_PIPE
    except _Terminated:
        print("\ncnnrs: terminated", file=sys.stderr)
        return _TERMINATED
    except KeyboardInterrupt:
        print("\ncnnrs: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except (OSError, ValueError, MemoryError) as error:
        print(f"cnnrs: error: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    defaults = argparse.ArgumentDefaultsHelpFormatter
    parser = argparse.ArgumentParser(prog="cnnrs", description="A CNN engine.")
    parser.add_argument("--version", action="version", version=f"cnnrs {_version('cnnrs')}")
    commands = parser.add_subparsers(required=True, metavar="command")

    train = commands.add_parser("train", help="train a network and save it", formatter_class=defaults)
    train.add_argument("dataset", choices=["mnist"], help="the data set")
    train.add_argument("--model", choices=sorted(_MODELS), default="lenet5", help="the network")
    train.add_argument("--epochs", type=_positive, default=10, help="passes over the training images")
    train.add_argument("--batch-size", type=_positive, default=64, help="images per step")
    train.add_argument("--learning-rate", type=_rate, default=0.002, help="of the first step; it decays to 0")
    train.add_argument("--seed", type=_seed, help="makes the run repeatable; drawn and printed if left out")
    train.add_argument(
        "--output", type=Path, default=Path("mnist.safetensors"), help="the file that the model is saved to"
    )
    train.add_argument("--device", help='"cpu" or "gpu"; left out, what CNNRS_DEVICE names, or else "cpu"')
    train.set_defaults(run=_train)

    profile = commands.add_parser("profile", help="show where the time goes", formatter_class=defaults)
    profile.add_argument("model", choices=sorted(_PROFILED), help="the network")
    profile.add_argument("--batch", type=_positive, default=1, help="images of a batch")
    profile.add_argument("--training", action="store_true", help="a step of training instead of inference")
    profile.add_argument("--repeats", type=_positive, default=10, help="runs; the fastest times are shown")
    profile.set_defaults(run=_profile)

    check = commands.add_parser(
        "check",
        help="list the names of Keras and TensorFlow that scripts use",
        description="List the names of Keras and TensorFlow that scripts and notebooks use, and which cnnrs "
        "has. Nothing of them is executed. The exit status is 1 if one is missing.",
    )
    check.add_argument("paths", nargs="+", metavar="path", help="a script, a notebook, or a folder of them")
    check.add_argument("--all", action="store_true", help="list the names that work, too")
    check.add_argument("--json", action="store_true", help="write what was found as JSON")
    check.set_defaults(run=_check)

    summary = commands.add_parser("summary", help="show what a file of a model or of weights holds")
    summary.add_argument("path", help="a .keras, .h5, .weights.h5, .weights.json or .safetensors file")
    summary.set_defaults(run=_summary)

    doctor = commands.add_parser("doctor", help="show what cnnrs sees of this machine")
    doctor.set_defaults(run=_doctor)
    return parser


def _positive(text: str) -> int:
    if not text.strip().isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a positive integer, received {text!r}")
    return int(text)


def _rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a positive number, received {text!r}")
    return value


def _seed(text: str) -> int:
    if not text.strip().isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"expected an integer from 0 to 2**32 - 1, received {text!r}")
    return int(text)


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _lenet5() -> Any:
    from cnnrs.applications import LeNet5

    return LeNet5()


_MODELS: dict[str, Callable[[], Any]] = {"lenet5": _lenet5}


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM raises `_Terminated`, unless somebody has chosen already what it does."""
    chosen = signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    if chosen or threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(*_: object) -> None:
        raise _Terminated

    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """SIGINT and SIGTERM do nothing: the second Ctrl-C does not lose what is saved upon the first."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@_terminable()
def _train(options: argparse.Namespace) -> int:
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

    model = _MODELS[options.model]()
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
        with _undisturbed():
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


_PROFILED: dict[str, tuple[str, dict[str, Any]]] = {
    "lenet5": ("LeNet5", {}),
    "resnet18": ("ResNet18", {}),
    "resnet18-cifar": ("ResNet18", {"stem": "cifar"}),
    "resnet34": ("ResNet34", {}),
    "resnet50": ("ResNet50", {}),
    "mobilenetv2": ("MobileNetV2", {}),
}


def _profile(options: argparse.Namespace) -> int:
    """The table of `utils.profile` for random images; training is SGD with momentum, LeNet-5's with Adam."""
    import numpy as np

    from cnnrs import applications, losses, optimizers, utils

    name, arguments = _PROFILED[options.model]
    model = getattr(applications, name)(classifier_activation=None, **arguments)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((options.batch, *model.input_shape[1:]), dtype=np.float32)
    y = None
    if options.training:
        y = rng.integers(0, model.output_shape[-1], options.batch)
        optimizer = optimizers.Adam() if name == "LeNet5" else optimizers.SGD(0.01, momentum=0.9)
        model.compile(optimizer, losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    print(utils.profile(model, x, y, options.repeats), end="")
    return 0


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


def _check(options: argparse.Namespace) -> int:
    """Files one after the other; with several, their number at the end."""
    import json

    from cnnrs import checking

    checked: list[checking.Checked] = []
    unreadable: list[str] = []
    for given in options.paths:
        try:
            for path in checking.programs(given):
                try:
                    checked.append(checking.check(path))
                    if not options.json:
                        print(checking.as_text(checked[-1], options.all))
                except checking.Unreadable as error:
                    unreadable.append(str(error))
                    if not options.json:
                        print(error)
        except checking.Unreadable as error:
            unreadable.append(str(error))
            if not options.json:
                print(error)
    fine = sum(file.is_fine for file in checked)
    if options.json:
        print(json.dumps(checking.as_json(checked, unreadable), indent=1))
    elif len(checked) + len(unreadable) > 1:
        print(f"{fine} of {len(checked) + len(unreadable)} files find all their names")
    return 0 if fine == len(checked) and not unreadable else 1


def _summary(options: argparse.Namespace) -> int:
    """The layers and the arrays. The model is not made, and the classes of its layers are not needed."""
    from cnnrs.saving.contents import contents_of, describe

    print(describe(contents_of(options.path)))
    return 0


def _doctor(options: argparse.Namespace) -> int:
    """Versions, processor features, tier, threads, memory's bound, and where each choice came from."""
    from cnnrs import _core, config
    from cnnrs.base.devices import devices

    memory = config.memory_info()
    rows = {
        "cnnrs": _version("cnnrs"),
        "Python": f"{platform.python_version()} ({sys.executable})",
        "numpy": _version("numpy"),
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        **{key.replace("_", " "): _text(value) for key, value in _core.cpu_info().items()},
        "packed filters": f"{memory['packed']:,} bytes, at most {memory['packed_limit']:,}: those used last",
    }
    gpus = [device for device in devices() if device.name.startswith("gpu")]
    for device in gpus:
        rows[device.name] = f"{device.description} ({device.kind}; {device.driver})"
        for what, text in _core.device_details(device.name):
            rows[f"{device.name} {what}"] = text
    if not gpus:
        rows["gpu"] = _why_no_gpu()
    rows["device"] = config.get_device()
    for name, value in os.environ.items():
        if name.startswith("CNNRS_"):
            rows[name] = value
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:{width}}  {value}")
    return 0


def _why_no_gpu() -> str:
    """What keeps this process from a GPU, and what to install."""
    from cnnrs.base.devices import device

    try:
        with device("gpu"):
            return "none"
    except ValueError as error:
        return str(error)


def _text(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return " ".join(map(str, value)) or "none"
    return str(value)

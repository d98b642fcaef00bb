"""Runs one script to its end in this process, on stand-in data, with little of everything.

    python worker.py cnnrs|keras SCRIPT [PACKAGES]

The script's code is what it is, but for the numbers of `CAPS`: how many epochs and steps, and how large.
`fit` and `evaluate` are bounded by `config.set_max_epochs` and `config.set_max_steps_per_epoch`, which Keras
and cnnrs have.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import os
import re
import sys
import traceback
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from keras_examples import files, imgaug, tfds

# Numbers that are made smaller wherever a script assigns them or puts them into a dict: the name, and the
# most that it may be.
CAPS = {
    r"(.*_)?(epochs|num_epochs|EPOCHS|NUM_EPOCHS)": 1,
    r"(.*_)?(batch_size|BATCH_SIZE)": 8,
    r"(meta_iters|iterations|num_iterations|NUM_ITERATIONS|total_timesteps)": 4,
    r"(MAX_TRAIN_IMAGES|NUM_TRAIN_IMAGES|NUM_VAL_IMAGES|num_val_images)": 8,
    r"(eval_interval|plot_interval)": 2,
}

# Numbers of single scripts, where the above would take hours or fit no stand-in.
OF_SCRIPTS: dict[str, dict[str, Any]] = {
    "captcha_ocr": {"batch_size": 16},
    "deeplabv3_plus": {"IMAGE_SIZE": 128},
    "depth_estimation": {"HEIGHT": 64, "WIDTH": 64},
    "edsr": {"BATCH_SIZE": 16},
    "fixres": {"BATCH_SIZE": 32, "batch_size": 32},
    "semisupervised_simclr": {"unlabeled_dataset_size": 100, "labeled_dataset_size": 100, "batch_size": 20},
    "handwriting_recognition": {"batch_size": 16},
    "mirnet": {"IMAGE_SIZE": 64},
    "nnclr": {"unlabelled_images": 100, "labelled_train_images": 100, "steps_per_epoch": 10},
    "oxford_pets_image_segmentation": {"max_dataset_len": 16, "val_samples": 12},
    "temporal_latent_bottleneck": {"train_slice": 4000},
    "vivit": {"BATCH_SIZE": 25},
    "tfrecord": {"BATCH_SIZE": 25, "IMAGE_SIZE": [128, 128]},
}

# Where scripts fetch from; what lies there is made in the working folder.
PLACES = {
    "gs://kds-b38ce1b823c3ae623f5691483dbaa0f0363f04b0d6a90b63cf69946e": ".",
    "gs://": "",
    "/tmp/.keras": ".keras",
}


def _is_literal(value: ast.expr) -> bool:
    try:
        ast.literal_eval(value)
    except ValueError:
        return False
    return True


class _Cap(ast.NodeTransformer):
    def __init__(self, script: str):
        self.own = OF_SCRIPTS.get(script, {})

    def visit_Assign(self, node: ast.Assign) -> ast.Assign:
        self.generic_visit(node)
        for target in node.targets:
            if isinstance(target, ast.Name):
                node.value = self._capped(target.id, node.value)
        return node

    def visit_Dict(self, node: ast.Dict) -> ast.Dict:
        self.generic_visit(node)
        for place, key in enumerate(node.keys):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                node.values[place] = self._capped(key.value, node.values[place])
        return node

    def _capped(self, name: str, value: ast.expr) -> ast.expr:
        if name in self.own and _is_literal(value):
            return ast.copy_location(ast.parse(repr(self.own[name]), mode="eval").body, value)
        if isinstance(value, ast.Constant) and type(value.value) is int:
            for pattern, most in CAPS.items():
                if re.fullmatch(pattern, name) and value.value > most:
                    return ast.copy_location(ast.Constant(most), value)
        return value

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        if isinstance(node.value, str):
            for place, here in PLACES.items():
                if node.value.startswith(place):
                    return ast.copy_location(ast.Constant(here + node.value.removeprefix(place)), node)
        return node


def _namespaces(engine: str) -> list[str]:
    """The packages under which scripts find Keras."""
    return ["cnnrs"] if engine == "cnnrs" else ["keras", "keras._tf_keras.keras"]


def _module(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _patch(engine: str, script: str) -> None:
    """Data sets, files and weights from the net become stand-ins."""
    for root in _namespaces(engine):
        for name, shapes in DATA_SETS.items():
            module = _module(f"{root}.datasets.{name}")
            if module is not None:
                module.load_data = _loader(*shapes, 1 if script in WHOLE or name.endswith("mnist") else 10)
        utils: Any = _module(f"{root}.utils")
        utils.get_file = _get_file
        applications = _module(f"{root}.applications")
        modules = (applications, *_below(applications))
        # What is loaded when it is first used is loaded before anything is replaced.
        for module in modules:
            for name in dir(module):
                getattr(module, name, None)
        for module in modules:
            _without_weights(module)
    _shorten(importlib.import_module(_namespaces(engine)[0]))
    import urllib.request

    urllib.request.urlretrieve = lambda url, filename=None, *args: (files.some_file(filename or url), None)
    urllib.request.urlopen = lambda url, *args, **kwargs: _response(_address(url))


def _shorten(keras: Any) -> None:
    """`fit` and `evaluate` take few batches; what `predict` gives is indexed, and so it takes all."""

    def with_limit(method: Any, steps: int | None) -> Any:
        @functools.wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            before = keras.config.max_steps_per_epoch()
            keras.config.set_max_epochs(1)
            keras.config.set_max_steps_per_epoch(steps)
            try:
                return method(*args, **kwargs)
            finally:
                keras.config.set_max_steps_per_epoch(before)

        return call

    for name, steps in {"fit": 2, "evaluate": 2, "predict": None}.items():
        setattr(keras.Model, name, with_limit(getattr(keras.Model, name), steps))


# Scripts that ask for images by numbers which only the whole data set has.
WHOLE = {"masked_image_modeling", "metric_learning", "patch_convnet", "token_learner"}

DATA_SETS = {
    "mnist": ((60000, 28, 28), (10000, 28, 28), 10, 1),
    "fashion_mnist": ((60000, 28, 28), (10000, 28, 28), 10, 1),
    "cifar10": ((50000, 32, 32, 3), (10000, 32, 32, 3), 10, 2),
    "cifar100": ((50000, 32, 32, 3), (10000, 32, 32, 3), 100, 2),
}


def _loader(train: Any, test: Any, classes: int, rank: int, part: int) -> Any:
    """`load_data` of random images, as many as the data set has, or a part of them."""

    def load_data(*args: Any, **kwargs: Any) -> Any:
        rng = np.random.default_rng(0)
        parts = []
        for shape in (train, test):
            few = rng.integers(0, 256, (500, *shape[1:]), dtype=np.uint8)
            count = shape[0] // part
            labels = rng.integers(0, classes, count).astype(np.uint8)
            images = np.tile(few, (count // 500, *[1] * (len(shape) - 1)))
            parts.append((images, labels if rank == 1 else labels[:, None]))
        return tuple(parts)

    return load_data


def _get_file(fname: Any = None, origin: Any = None, *args: Any, **kwargs: Any) -> str:
    return files.some_file(str(fname or origin))


def _address(url: Any) -> str:
    """The last part of an address, or of that of a request."""
    return Path(getattr(url, "full_url", url)).name


def _response(address: str) -> Any:
    from email.message import Message
    from urllib.response import addinfourl

    return addinfourl(open(files.some_file(address), "rb"), Message(), address)


def _below(module: Any) -> list[Any]:
    import pkgutil

    names = [found.name for found in pkgutil.iter_modules(module.__path__)]
    return [m for m in (_module(f"{module.__name__}.{name}") for name in names) if m is not None]


def _without_weights(module: Any) -> None:
    """Networks have random weights, and class names are made up."""
    for name in dir(module):
        function = getattr(module, name, None)
        if name == "decode_predictions":
            module.decode_predictions = _decode
        elif inspect.isfunction(function) and "weights" in inspect.signature(function).parameters:
            setattr(module, name, _random(function))


def _random(function: Any) -> Any:
    def network(*args: Any, **kwargs: Any) -> Any:
        bound = inspect.signature(function).bind(*args, **kwargs)
        bound.arguments["weights"] = None
        return function(*bound.args, **bound.kwargs)

    return network


def _decode(preds: Any, top: int = 5) -> Any:
    return [[(f"n{i:08d}", f"thing {i}", float(row[i])) for i in range(top)] for row in np.asarray(preds)]


def _displays() -> None:
    """Packages that show results in a notebook, and those that are too old to install."""
    docs: Any = ModuleType("tensorflow_docs")
    docs.vis = ModuleType("tensorflow_docs.vis")
    docs.vis.embed = SimpleNamespace(embed_file=lambda *args: None)
    medmnist: Any = ModuleType("medmnist")
    medmnist.INFO = {
        "organmnist3d": {
            "url": "organmnist3d.npz",
            "MD5": None,
            "label": {str(i): f"organ {i}" for i in range(11)},
        }
    }
    imutils: Any = ModuleType("imutils")
    imutils.paths = SimpleNamespace(list_images=lambda folder: [str(p) for p in Path(folder).rglob("*.jpg")])
    pyplot: Any = _module("matplotlib.pyplot")
    if pyplot is not None:
        # As in a notebook, a figure that was shown is done with.
        pyplot.show = lambda *args, **kwargs: pyplot.close("all")
    for name, owner, method in (
        ("imageio", "", "mimsave"),
        ("imageio", "v2", "mimwrite"),
        ("imageio", "", "mimwrite"),
        ("trimesh", "Trimesh", "show"),
    ):
        # They open windows, write videos, or take pictures of one channel no more.
        module = _module(name)
        if module is not None:
            setattr(getattr(module, owner, module), method, lambda *args, **kwargs: None)
    names = {
        "tensorflow_docs": docs,
        "tensorflow_docs.vis": docs.vis,
        "medmnist": medmnist,
        "imutils": imutils,
    }
    sys.modules.update(names)


def main(engine: str, script: str, packages: str | None = None) -> int:
    path = Path(script)
    if packages is not None:
        sys.path.append(packages)
    if engine == "cnnrs":
        from cnnrs.keras import aliases

        aliases.install(quiet=True)
    _displays()
    # Scripts of the time of NumPy 1 use names that NumPy 2 has no more.
    for name, value in {"Inf": np.inf, "float_": np.float64, "product": np.prod, "in1d": np.isin}.items():
        if name not in np.__dict__:
            setattr(np, name, value)
    tfds.install()
    imgaug.install()
    _patch(engine, path.stem)
    files.prepare(path.stem)
    tree = ast.fix_missing_locations(_Cap(path.stem).visit(ast.parse(path.read_bytes())))
    program = ModuleType("__main__")
    program.__dict__.update({"__file__": str(path), "__annotations__": {}})
    sys.modules["__main__"] = program
    sys.argv[:] = [script]
    try:
        exec(compile(tree, str(path), "exec"), program.__dict__)
    except SystemExit as error:
        if error.code in (None, 0):
            return 0
        raise
    except BaseException as error:
        traceback.print_exc()
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = frames[-1].lineno if frames else 0
        first = (str(error).strip().splitlines() or [""])[0]
        print(f"FAILED\t{line}\t{type(error).__name__}: {first}"[:500], file=sys.stderr, flush=True)
        return 1
    print("RAN", file=sys.stderr, flush=True)
    return 0


if __name__ == "__main__":
    os.environ.setdefault("MPLBACKEND", "Agg")
    code = main(*sys.argv[1:4])
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of data pipelines and viewers that are still at work are of no interest.
    os._exit(code)

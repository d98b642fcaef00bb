"""Which scripts of a tree of keras-team/keras-io are counted."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import NamedTuple

__all__ = ["Script", "scripts"]

FOLDERS = ("examples/vision", "examples/generative", "examples/keras_recipes", "guides")

# Packages that are no part of Keras, and that make layers or models of their own.
OTHERS = {
    "datasets",
    "flax",
    "gdown",
    "grpc",
    "jax",
    "keras_core",
    "keras_cv",
    "keras_nlp",
    "keras_tuner",
    "official",
    "optax",
    "rdkit",
    "tensorflow_addons",
    "tensorflow_decision_forests",
    "tensorflow_hub",
    "tensorflow_probability",
    "tensorflow_serving",
    "tensorflow_similarity",
    "tensorflow_text",
    "torch",
    "torchvision",
    "transformers",
}

# Those that train on text, and those for several machines.
LEFT_OUT = {
    "distributed_training",
    "distributed_training_with_tensorflow",
    "distribution",
    "lstm_character_level_text_generation",
    "tensorflow_numpy_models",
    "text_generation_fnet",
    "text_generation_with_miniature_gpt",
    "tf_serving",
}


class Script(NamedTuple):
    """An example.

    Attributes:
        path: The file.
        name: Its path from the tree, without the suffix.
        uses_tf: Whether it imports TensorFlow itself beside Keras.
    """

    path: Path
    name: str
    uses_tf: bool


def scripts(tree: Path) -> list[Script]:
    """The scripts that are counted: images, generative networks of images, recipes and guides.

    Args:
        tree: The source tree.

    Raises:
        SystemExit: There are none.
    """
    found = []
    for folder in FOLDERS:
        for path in sorted((tree / folder).glob("*.py")):
            imported = _imported(path)
            if path.stem in LEFT_OUT or imported & OTHERS or not imported & {"keras", "tensorflow"}:
                continue
            found.append(Script(path, f"{folder}/{path.stem}", _uses_tf(path)))
    if not found:
        sys.exit(f"{tree}: no examples; expected a source tree of keras-team/keras-io")
    return found


def _imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


def _uses_tf(path: Path) -> bool:
    """Whether more than `tensorflow.keras` is imported of TensorFlow."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            if any(
                a.name.split(".")[0] == "tensorflow" and not a.name.startswith("tensorflow.keras")
                for a in node.names
            ):
                return True
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tensorflow":
            if node.module == "tensorflow" and any(alias.name != "keras" for alias in node.names):
                return True
    return False

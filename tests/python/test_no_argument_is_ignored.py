"""Each argument of each public signature is read by the code behind it, or refused there: none is ignored.

The test reads code. An argument must be loaded by the function that takes it; one that a constructor keeps as
an attribute must be loaded again by a method that computes something, not by `get_config` alone. What has no
effect by its nature stands in a table, with the reason.
"""

from __future__ import annotations

import ast
import dis
import importlib
import inspect
import textwrap
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cnnrs
import cnnrs.compat.tf as tf

PACKAGE = Path(cnnrs.__file__).parent
MODULES = [
    "", "activations", "analysis", "applications", "applications.torchvision", "backend", "callbacks",
    "config", "constraints", "data", "data.csv_rows", "data.readers",
    "datasets.boston_housing", "datasets.california_housing", "datasets.cifar100", "datasets.imdb",
    "datasets.mnist", "datasets.reuters", "datasets.shapes", "detection", "dtype_policies", "evaluation",
    "initializers", "layers", "losses", "metrics",
    "models", "ops", "ops.image", "ops.nn", "optimizers", "optimizers.schedules", "preprocessing.image",
    "random", "recipes", "regularizers", "reporting", "runs", "sanity",
    "saving", "serving", "tree", "utils",
]  # fmt: skip
# And those of the bridge to TensorFlow's names.
MODULES += ["backend.functions", "compat.tf", *(f"compat.tf.{name}" for name in sorted(tf._SUBMODULES))]

# Arguments that have no effect by their nature: the name of the function, the argument, the reason.
WITHOUT_EFFECT = {
    ("Dense.call", "training"): "Keras has it there; the layer computes the same in both modes",
    ("EinsumDense.call", "training"): "Keras has it there; the layer computes the same in both modes",
    ("Model.call", "training"): "layers inside find the mode of the call under way",
    ("TimeDistributed.call", "training"): "the layer inside finds the mode of the call under way",
    ("ModelSteps.compute_loss", "x"): "for models that define a loss of the inputs",
    ("ModelSteps.compute_loss", "training"): "for models that define a loss of their own",
    ("ModelSteps.compute_metrics", "x"): "for models that define metrics of the inputs",
    ("LearningRateSchedule.bind", "steps_per_epoch"): "for schedules that count epochs",
    ("LearningRateSchedule.bind", "epochs"): "for schedules that count epochs",
    ("Optimizer.gradients", "again"): "for optimizers that compute a loss twice",
    ("Callback.load_training_state", "state"): "for callbacks that have a state",
    ("SeedGenerator.next", "ordered"): "draws are ordered, whether they need to be or not",
}
# Methods that are called with all that there is to tell; what they do not need, they leave.
HOOKS = (
    "on_", "build", "compute_mask", "compute_output_shape",
    "transform_", "augment_", "get_random_transformation",
)  # fmt: skip
# Arguments of constructors that are kept for who asks, and change nothing, with the reason.
KEPT = {
    "num_packs": "there is one device, which exchanges nothing",
    "strategy": "for who asks which one it is",
    "synchronized": "there is one device, whose statistics are those of all",
    "aggregation": "there is one device, whose value is the variable's",
    "synchronization": "there is one device, whose value is the variable's",
}


def _public() -> Iterator[tuple[str, Any]]:
    """Functions and classes of the public modules, with what they are called."""
    seen: set[int] = set()
    for name in MODULES:
        module = importlib.import_module(f"cnnrs.{name}".rstrip("."))
        for attribute in getattr(module, "__all__", dir(module)):
            found = getattr(module, attribute, None)
            if id(found) in seen or not (inspect.isclass(found) or callable(found)):
                continue
            if not str(getattr(found, "__module__", "")).startswith("cnnrs"):
                continue
            seen.add(id(found))
            yield attribute, found


def _functions() -> dict[str, types.FunctionType]:
    """Functions of Python behind public names: functions, constructors and public methods."""
    found: dict[str, types.FunctionType] = {}

    def note(name: str, function: Any) -> None:
        function = inspect.unwrap(getattr(function, "__func__", function))
        if isinstance(function, types.FunctionType):
            found[name] = function

    for name, target in _public():
        if not inspect.isclass(target):
            note(name, target)
            continue
        for cls in target.__mro__:
            if not cls.__module__.startswith("cnnrs"):
                continue
            for method, function in vars(cls).items():
                if method == "__init__" or not method.startswith("_"):
                    note(f"{cls.__name__}.{method}", function)
    return found


FUNCTIONS = _functions()


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _loaded(function: types.FunctionType) -> set[str]:
    """Names of local variables that a function, or one inside of it, loads.

    A function that hands arguments on by their names, without naming them, says which functions load them.
    """
    names: set[str] = set()
    functions = [function, *getattr(function, "handed_on_to", ())]
    for code in (code for each in functions for code in _codes(each.__code__)):
        for instruction in dis.get_instructions(code):
            if instruction.opname.startswith("LOAD_") and instruction.argval is not None:
                value = instruction.argval
                names.update(value if isinstance(value, tuple) else [value])
    return {name for name in names if isinstance(name, str)}


def _only_raises(function: types.FunctionType) -> bool:
    """Whether a function does nothing but raise: an interface, or a refusal."""
    opnames = [i.opname for i in dis.get_instructions(function.__code__)]
    return not any(name.startswith("RETURN") for name in opnames) or (
        "Raises NotImplementedError" in (function.__doc__ or "")
    )


def test_arguments_are_read():
    ignored: dict[str, list[str]] = {}
    for name, function in FUNCTIONS.items():
        if _only_raises(function) or name.split(".")[-1].startswith(HOOKS):
            continue
        loaded = _loaded(function)
        for argument in inspect.signature(function).parameters:
            if argument in ("self", "cls") or argument in loaded or (name, argument) in WITHOUT_EFFECT:
                continue
            ignored.setdefault(name, []).append(argument)
    assert len(FUNCTIONS) > 1000 and ignored == {}


def test_exceptions_are_needed():
    stale = [
        (name, argument)
        for name, argument in WITHOUT_EFFECT
        if name not in FUNCTIONS or argument in _loaded(FUNCTIONS[name])
    ]
    assert not stale


def _asks_by_name(function: ast.FunctionDef) -> bool:
    return any(isinstance(n, ast.Name) and n.id == "getattr" for n in ast.walk(function))


def _attribute_reads() -> set[str]:
    """Attributes that code of the package reads, outside of what only tells them: configs and texts."""
    reads: set[str] = set()

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef) and child.name in ("get_config", "__repr__"):
                continue
            if isinstance(child, ast.Attribute) and isinstance(child.ctx, ast.Load):
                reads.add(child.attr)
            if isinstance(child, ast.FunctionDef) and child.name != "__init__" and _asks_by_name(child):
                reads.update(n.value for n in ast.walk(child) if isinstance(n, ast.Constant) and n.value)
            visit(child)

    for path in PACKAGE.rglob("*.py"):
        visit(ast.parse(path.read_text()))
    return reads


READS = _attribute_reads()
# Constructors that `dataclass` writes have no source, and keep what the class lists.
CONSTRUCTORS = {
    name: function
    for name, function in FUNCTIONS.items()
    if name.endswith(".__init__") and function.__code__.co_filename != "<string>"
}


def _kept_as(function: types.FunctionType) -> dict[str, set[str]]:
    """The arguments that a constructor only keeps, each with the attributes that are made of it."""
    if function.__code__.co_filename == "<string>":
        return {}  # of a data class, whose arguments are its fields
    source = inspect.getsource(function)
    definition = ast.parse(textwrap.dedent(source)).body[0]
    parameters = set(inspect.signature(function).parameters) - {"self"}
    kept: dict[str, set[str]] = {name: set() for name in parameters}
    elsewhere: set[str] = set()

    def names_in(node: ast.AST) -> set[str]:
        return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and n.id in parameters}

    for statement in ast.walk(definition):
        if isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            pairs: list[tuple[ast.expr, ast.expr]] = [(target, statement.value) for target in targets]
            if isinstance(targets[0], ast.Tuple) and isinstance(statement.value, ast.Tuple):
                pairs = list(zip(targets[0].elts, statement.value.elts, strict=True))
            for target, value in pairs:
                if isinstance(target, ast.Attribute):
                    for name in names_in(value):
                        kept[name].add(target.attr)
                else:
                    elsewhere |= names_in(value)
        elif isinstance(statement, ast.Call) and isinstance(statement.func, ast.Attribute):
            # What goes to the constructor above is looked for there; what a method gets is used.
            if statement.func.attr == "__init__" or getattr(statement.func.value, "id", "") == "self":
                elsewhere |= names_in(statement)
    return {name: attributes for name, attributes in kept.items() if attributes and name not in elsewhere}


def test_what_a_constructor_keeps_is_read():
    ignored = {
        f"{name}: {argument}": attributes
        for name, function in CONSTRUCTORS.items()
        for argument, attributes in _kept_as(function).items()
        if not attributes & READS and argument not in KEPT
    }
    assert len(CONSTRUCTORS) > 100 and ignored == {}


def test_what_is_ignored_is_found():
    def kept(self, used, left, told):
        self.used, self._left, self.told = used, left, told

    assert _kept_as(kept) == {"used": {"used"}, "left": {"_left"}, "told": {"told"}}
    assert _loaded(lambda used, left: used + 1) == {"used"}

    def hands_on(**given):
        return given

    assert "used" not in _loaded(hands_on)
    hands_on.handed_on_to = (lambda used, left: used,)
    assert "used" in _loaded(hands_on) and "left" not in _loaded(hands_on)


# Values for arguments that have no default.
SAMPLES: dict[str, Any] = {
    "activation": "relu",
    "alpha": 0.1,
    "axes": -1,
    "boundaries": [2, 4],
    "cropping": 1,
    "decay_rate": 0.5,
    "decay_steps": 4,
    "dims": (1, 2),
    "equation": "ab,bc->ac",
    "factor": 0.1,
    "feature_key_dim": 2,
    "default_optimizer": cnnrs.optimizers.SGD(),
    "filters": 2,
    "first_decay_steps": 4,
    "fn": cnnrs.losses.mean_squared_error,
    "function": cnnrs.ops.relu,
    "head_dim": 2,
    "height": 4,
    "height_factor": 0.1,
    "initial_learning_rate": 0.1,
    "inner_optimizer": "sgd",
    "input_dim": 3,
    "kernel_size": 2,
    "key_dim": 2,
    "layers": [],
    "layer": cnnrs.layers.Dense(2),
    "max_number": 3,
    "n": 2,
    "num_classes": 3,
    "num_heads": 2,
    "num_key_value_heads": 2,
    "num_query_heads": 4,
    "output_dim": 2,
    "output_size": 2,
    "output_shape": (3,),
    "pool_size": 2,
    "precision": 0.5,
    "rate": 0.5,
    "recall": 0.5,
    "scale": 2.0,
    "sensitivity": 0.5,
    "specificity": 0.5,
    "stddev": 0.5,
    "target_class_ids": [1],
    "target_shape": (2, 2),
    "units": 2,
    "values": [0.1, 0.05, 0.01],
    "width": 4,
    "width_factor": 0.1,
}
# Values that single classes need.
OWN_SAMPLES: dict[str, dict[str, Any]] = {
    "ArcFace": {"classes": 3},
    "Bidirectional": {"layer": cnnrs.layers.SimpleRNN(2)},
    "CategoryEncoding": {"num_tokens": 3},
    "CenterLoss": {"classes": 3},
    "ChannelShuffle": {"groups": 2},
    "DenseBlock": {"num_layers": 2, "growth_rate": 4},
    "Discretization": {"bin_boundaries": [0.0, 1.0]},
    "FeatureSpace": {"features": {"size": "float"}},
    "FireBlock": {"squeeze": 2, "expand_1x1": 4},
    "HashedCrossing": {"num_bins": 3},
    "Hashing": {"num_bins": 3},
    "InceptionBlock": {
        "filters_1x1": 4,
        "filters_3x3_reduce": 2,
        "filters_3x3": 4,
        "filters_5x5_reduce": 2,
        "filters_5x5": 4,
        "filters_pool": 4,
    },
    "LinearWarmup": {"schedule": 0.1, "warmup_steps": 3},
    "Maxout": {"units": 2},
    "OneCycle": {"max_learning_rate": 0.1, "total_steps": 9},
    "ParameterGroup": {"match": "kernel", "frozen": True},
    "WarmupCosine": {"learning_rate": 0.1, "warmup_epochs": 1, "epochs": 3},
    "RNN": {"cell": cnnrs.layers.SimpleRNNCell(2)},
    "RandomPosterization": {"factor": 4},
    "StackedRNNCells": {"cells": [cnnrs.layers.SimpleRNNCell(2)]},
}
# Arguments that a config rightly lacks: of the class, or of all, with the reason.
NOT_IN_CONFIG = {
    "flash_attention": "refused",
    "lora_alpha": "refused",
    "lora_rank": "refused",
    "quantization_config": "refused",
    "use_cudnn": "there is no cuDNN",
    "weights": "values are no part of a config",
    "input_tensor": "the config has its shape and dtype",
    "shape": "the config has `batch_shape`",
    "batch_size": "the config has `batch_shape`",
}
# Arguments that a config has if they are given, with a value to give.
IF_GIVEN: dict[str, Any] = {
    "activity_regularizer": "l2",
    "label_smoothing": 0.1,
    "mask": cnnrs.ops.relu,
    "output_shape": (3,),
    "parameter_groups": [cnnrs.optimizers.ParameterGroup("kernel", frozen=True)],
    "thresholds": [0.5],
}
CLASSES: dict[str, Any] = {}
for _name, _target in _public():
    if (
        inspect.isclass(_target)
        and callable(getattr(_target, "get_config", None))
        and "callback" not in _name.lower()
    ):
        # A loss, a metric and a layer may have one name.
        CLASSES[_name if _name not in CLASSES else f"{_target.__module__}.{_name}"] = _target
ABSTRACT = {
    "Constraint", "Functional", "Initializer", "InputLayer", "Layer", "LearningRateSchedule", "Loss",
    "Metric", "Model", "MultiOptimizer", "Operation", "Optimizer", "RandomInitializer", "Regularizer",
    "SeedGenerator", "Sequential",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(set(CLASSES) - ABSTRACT))
def test_arguments_are_in_configs(name):
    target = CLASSES[name]
    parameters = inspect.signature(target.__init__).parameters
    given = {
        argument: SAMPLES[argument]
        for argument, parameter in parameters.items()
        if argument != "self"
        and parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        and argument in SAMPLES
    }
    given.update(OWN_SAMPLES.get(name, {}))
    made = target(**given)
    config = made.get_config()
    absent = {*NOT_IN_CONFIG, *(["dtype"] if issubclass(target, cnnrs.Loss) else [])}
    wanted = {
        argument
        for argument, parameter in parameters.items()
        if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    } - {"self", *absent}
    for argument in sorted(wanted - set(config)):
        assert argument in IF_GIVEN
        assert argument in target(**given, **{argument: IF_GIVEN[argument]}).get_config()
    assert target.from_config(config).get_config() == config

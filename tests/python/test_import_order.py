"""Walls between the folders of the package: each imports only what stands above it in one table.

The tests read the sources, so that they see imports inside of functions and those for type checkers too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import cnnrs
from cnnrs import _core, ops

# A folder, or a module that is in none, imports only folders of the lines above its own. `__init__` is the
# package itself: users import it, modules do not. `symbolic` stands above `ops`: ops record nodes on its
# tensors, and `ops.methods` gives these their operators. `utils` stands below `training`, whose steps it
# measures. `saving` stands above `models`, which have `save`: it asks for a layer that can be compiled.
ORDER = """
_core
base
charts
tree config
symbolic fetching
ops datasets
serialization
variables tracing tape
random callbacks losses activations regularizers constraints dtype_policies
initializers
metrics optimizers data
layers mixed_precision
training
saving utils
analysis sanity
evaluation
models backend preprocessing
applications detection distillation recipes wrappers reporting
runs
serving
__init__
compat
keras
checking
cli
__main__
"""

# Where modules are imported by names that are data: files name classes of public modules, and packages
# load their submodules when these are first used; scripts import by names of Keras. Libraries that are
# optional are imported where they are needed. Ops that draw ask for keys where these are made.
BY_NAME = {
    "cnnrs",
    "cnnrs.base.extras",
    "cnnrs.base.late",
    "cnnrs.base.random_keys",
    "cnnrs.compat.tf",
    "cnnrs.datasets",
    "cnnrs.keras.aliases",
    "cnnrs.serialization.modules",
}

LINES = [line.split() for line in ORDER.split("\n") if line]
LEVEL = {folder: level for level, folders in enumerate(LINES) for folder in folders}
PACKAGE = Path(cnnrs.__file__).parent


class Import(NamedTuple):
    """An import of one module by another.

    Attributes:
        file: Where it stands, from the root of the package.
        line: The line.
        importer: The module that imports.
        imported: The module that is imported: of a name in it, too.
    """

    file: str
    line: int
    importer: str
    imported: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.importer} imports {self.imported}"


class Sources:
    """The modules of a package.

    Args:
        root: Folder of the package `cnnrs`, or of one that is called so.
    """

    def __init__(self, root: Path):
        self.root = root
        self.trees: dict[str, ast.Module] = {}
        self.files: dict[str, Path] = {}
        for path in sorted(root.rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            name = ".".join(["cnnrs", *(parts[:-1] if parts[-1] == "__init__" else parts)])
            self.files[name] = path
            self.trees[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
        # The extension module has no source.
        self.names = {*self.files, "cnnrs._core"}

    def file(self, module: str) -> str:
        return str(self.files[module].relative_to(self.root.parent))

    def imports(self) -> list[Import]:
        return [
            Import(self.file(module), line, module, target)
            for module in self.files
            for line, target in self._imports_of(module)
        ]

    def _imports_of(self, module: str) -> Iterator[tuple[int, str]]:
        is_package = self.files[module].name == "__init__.py"
        for node in ast.walk(self.trees[module]):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.name.split(".")[0] == "cnnrs":
                        yield node.lineno, self._module(alias.name)
            elif isinstance(node, ast.ImportFrom):
                source = node.module or ""
                if node.level:
                    above = module.split(".")[: len(module.split(".")) - node.level + is_package]
                    source = ".".join([*above, *filter(None, [source])])
                if source.split(".")[0] == "cnnrs":
                    for alias in node.names:
                        yield node.lineno, self._module(f"{source}.{alias.name}")

    def _module(self, name: str) -> str:
        """The module that has a name, or that is the name."""
        while name not in self.names:
            name = name.rpartition(".")[0]
        return name


def folder(module: str) -> str:
    """The name in the table for a module."""
    name = module.removeprefix("cnnrs").removeprefix(".")
    return name.split(".")[0] or "__init__"


def broken_walls(sources: Sources) -> list[str]:
    """The imports that the table does not allow, one message each."""
    messages = []
    for found in sources.imports():
        importer, imported = folder(found.importer), folder(found.imported)
        if importer == imported:
            continue
        absent = [name for name in (importer, imported) if name not in LEVEL]
        if absent:
            messages.append(f"{found}: {absent[0]!r} is not in the table ORDER")
        elif LEVEL[imported] >= LEVEL[importer]:
            where = "beside" if LEVEL[imported] == LEVEL[importer] else "below"
            messages.append(f"{found}: {imported!r} stands {where} {importer!r} in the table ORDER")
    return messages


def circles(imports: list[Import]) -> list[str]:
    """Sets of modules that import each other, each with its imports (Tarjan 1972)."""
    targets: dict[str, list[str]] = {}
    for found in imports:
        targets.setdefault(found.importer, []).append(found.imported)
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    messages = []

    def visit(module: str) -> None:
        number[module] = lowest[module] = len(number)
        stack.append(module)
        for target in targets.get(module, []):
            if target not in number:
                visit(target)
            if target in stack:
                lowest[module] = min(lowest[module], lowest[target])
        if lowest[module] == number[module]:
            component = set(stack[stack.index(module) :])
            del stack[stack.index(module) :]
            inside = [str(i) for i in imports if i.importer in component and i.imported in component]
            if inside:
                messages.append("\n".join(inside))

    for module in list(targets):
        if module not in number:
            visit(module)
    return messages


def applies(sources: Sources) -> list[str]:
    """Where modules outside of `ops` record an op by its name."""
    messages = []
    for module, tree in sources.trees.items():
        if folder(module) == "ops":
            continue
        for node in ast.walk(tree):
            reaches = isinstance(node, ast.Attribute) and node.attr == "apply"
            if reaches and isinstance(node.value, ast.Name) and node.value.id in ("_core", "dispatch"):
                what = f"{node.value.id}.apply"
            elif isinstance(node, ast.ImportFrom) and any(alias.name == "apply" for alias in node.names):
                what = f"apply of {node.module}"
            else:
                continue
            messages.append(f"{sources.file(module)}:{node.lineno}: {module} uses {what}; call cnnrs.ops.raw")
    return messages


def imports_by_name(sources: Sources) -> dict[str, int]:
    """Modules that import by a name which is data, each with a line."""
    found = {}
    for module, tree in sources.trees.items():
        for node in ast.walk(tree):
            called = node.func if isinstance(node, ast.Call) else None
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in ("import_module", "__import__"):
                found[module] = node.lineno
    return found


@pytest.fixture(scope="module")
def sources() -> Sources:
    return Sources(PACKAGE)


def test_layers_import_only_what_stands_above_them(sources):
    assert not broken_walls(sources)


def test_layers_have_no_circles(sources):
    assert not circles(sources.imports())


def test_layers_record_ops_in_one_folder(sources):
    assert not applies(sources)


def test_layers_find_each_raw_op_in_the_core():
    raw = Sources(PACKAGE).trees["cnnrs.ops.raw"]
    functions = [node for node in raw.body if isinstance(node, ast.FunctionDef)]
    recorded = {
        function.name: {
            call.args[0].value
            for call in ast.walk(function)
            if isinstance(call, ast.Call) and isinstance(call.args[0], ast.Constant)
        }
        for function in functions
    }
    assert recorded == {name: {name} for name in ops.raw.__all__}
    assert recorded.keys() <= set(_core.op_names())


def test_layers_import_by_name_in_few_places(sources):
    assert imports_by_name(sources).keys() == BY_NAME


def test_layers_of_the_table_are_there(sources):
    known = {folder(module) for module in sources.names}
    assert known == LEVEL.keys()


def planted(tmp_path: Path, **files: str) -> Sources:
    """A package of a few files; `__` in a name stands for the folder's slash."""
    root = tmp_path / "cnnrs"
    for name, text in {"__init__": "", **files}.items():
        path = root / f"{name if name == '__init__' else name.replace('__', '/', 1)}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Sources(root)


def test_layers_a_lazy_import_upwards_is_found(tmp_path):
    lazy = "def f():\n    from cnnrs.layers.base import Layer\n"
    [message] = broken_walls(planted(tmp_path, losses__loss=lazy, layers__base="class Layer: ..."))
    assert message == (
        "cnnrs/losses/loss.py:2: cnnrs.losses.loss imports cnnrs.layers.base: "
        "'layers' stands below 'losses' in the table ORDER"
    )


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("import cnnrs.models.model\n", "'models' stands below 'ops'"),
        ("from .. import models\n", "'models' stands below 'ops'"),
        ("from ..models.model import Model\n", "'models' stands below 'ops'"),
        ("if TYPE_CHECKING:\n    from cnnrs import models\n", "'models' stands below 'ops'"),
        ("from cnnrs import datasets\n", "'datasets' stands beside 'ops'"),
        ("import cnnrs\n", "'__init__' stands below 'ops'"),
        ("from cnnrs import Tensor\n", "'__init__' stands below 'ops'"),
        ("from cnnrs import extras\n", "'extras' is not in the table ORDER"),
    ],
)
def test_layers_each_form_of_import_is_found(tmp_path, text, where):
    given = {"ops__raw": text, "models__model": "", "models____init__": "", "extras": "", "datasets": ""}
    [message] = broken_walls(planted(tmp_path, **given))
    assert where in message


def test_layers_what_the_table_allows_is_no_violation(tmp_path):
    text = (
        "from cnnrs import _core, tree\nfrom cnnrs.ops import raw\nfrom cnnrs.base.naming import auto_name\n"
    )
    given = {"ops__core": text, "ops__raw": "import numpy\n", "tree": "", "base__naming": ""}
    assert not broken_walls(planted(tmp_path, **given))


def test_layers_a_circle_inside_of_a_folder_is_found(tmp_path):
    a = "def f():\n    from cnnrs.base import naming\n"
    b = "from cnnrs.base.arguments import f\n"
    [message] = circles(planted(tmp_path, base__arguments=a, base__naming=b, tree=a).imports())
    assert message.split("\n") == [
        "cnnrs/base/arguments.py:2: cnnrs.base.arguments imports cnnrs.base.naming",
        "cnnrs/base/naming.py:1: cnnrs.base.naming imports cnnrs.base.arguments",
    ]


def test_layers_an_op_recorded_elsewhere_is_found(tmp_path):
    text = 'from cnnrs import _core\n_core.apply("relu", [x])\noptimizer.apply(gradients)\n'
    [message] = applies(planted(tmp_path, losses=text, ops__dispatch=text))
    assert message.startswith("cnnrs/losses.py:2: cnnrs.losses uses _core.apply")
    [message] = applies(planted(tmp_path / "b", layers="from cnnrs.ops.dispatch import apply\n"))
    assert message.startswith("cnnrs/layers.py:1: cnnrs.layers uses apply of cnnrs.ops.dispatch")


def test_layers_an_import_by_name_is_found(tmp_path):
    text = 'import importlib\nimportlib.import_module("cnnrs.models")\n'
    assert imports_by_name(planted(tmp_path, losses=text)) == {"cnnrs.losses": 2}

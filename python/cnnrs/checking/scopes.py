"""What names mean in a program: which module, class or function of a package they were bound to."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["Instance", "Meaning", "Scope", "scopes_of"]


class Path(NamedTuple):
    """A module or a name of one: `keras.layers.Dense`."""

    name: str


class Instance(NamedTuple):
    """An object of a class."""

    of: str


class Unknown(NamedTuple):
    """Anything else."""


Meaning = Path | Instance | Unknown
# Meanings that a binding has at once, or an expression that has them.
_Bound = Meaning | ast.expr

_OTHER = Unknown()


class Binding(NamedTuple):
    """That a line gives a name a meaning."""

    line: int
    value: _Bound


class Scope:
    """A module, a class, a function, a lambda or a comprehension.

    Args:
        node: Its syntax.
        parent: The scope around it.
    """

    def __init__(self, node: ast.AST, parent: Scope | None):
        self.node = node
        self.parent = parent
        self.bindings: dict[str, list[Binding]] = {}
        self.stars: list[str] = []
        self.outer: set[str] = set()

    def bind(self, name: str, line: int, value: _Bound) -> None:
        scope = self
        if name in self.outer:
            while scope.parent is not None:
                scope = scope.parent
        scope.bindings.setdefault(name, []).append(Binding(line, value))

    def meanings(self, node: ast.expr, depth: int = 0) -> list[Meaning]:
        """What an expression means: several, where branches bind a name to several things.

        Args:
            node: The expression.
            depth: Of definitions that lead to one another.
        """
        if depth > 40:
            return [_OTHER]
        if isinstance(node, ast.Name):
            return self._of_name(node.id, node.lineno, depth)
        if isinstance(node, ast.Attribute):
            return [_attribute(value, node.attr) for value in self.meanings(node.value, depth + 1)]
        if isinstance(node, ast.NamedExpr):
            return self.meanings(node.value, depth + 1)
        if isinstance(node, ast.Call):
            return self._of_call(node, depth)
        return [_OTHER]

    def _of_call(self, node: ast.Call, depth: int) -> list[Meaning]:
        found: list[Meaning] = []
        first = node.args[0] if node.args else None
        text = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None
        for function in self.meanings(node.func, depth + 1):
            name = function.name if isinstance(function, Path) else ""
            if name in ("importlib.import_module", "__import__", "builtins.__import__") and text is not None:
                found.append(Path(text if name.startswith("importlib") else text.split(".")[0]))
            elif name in ("getattr", "builtins.getattr") and len(node.args) == 2:
                second = node.args[1]
                attribute = second.value if isinstance(second, ast.Constant) else None
                for value in self.meanings(node.args[0], depth + 1):
                    found.append(_attribute(value, attribute) if isinstance(attribute, str) else _OTHER)
            elif name:
                found.append(Instance(name))
            else:
                found.append(_OTHER)
        return found

    def _of_name(self, name: str, line: int, depth: int) -> list[Meaning]:
        scope: Scope | None = self
        while scope is not None:
            seen = scope.bindings.get(name)
            # Functions do not see the names of the class around them.
            if seen is not None and (scope is self or not isinstance(scope.node, ast.ClassDef)):
                if scope is self:
                    before = [binding for binding in seen if binding.line <= line]
                    seen = before[-1:] if before and not _branches(scope, before) else seen
                found = list(
                    dict.fromkeys(
                        meaning
                        for binding in seen
                        for meaning in (
                            scope.meanings(binding.value, depth + 1)
                            if isinstance(binding.value, ast.expr)
                            else [binding.value]
                        )
                    )
                )
                known = [meaning for meaning in found if meaning != _OTHER]
                return known if known and (scope is not self or len(known) == len(found)) else [_OTHER]
            scope = scope.parent
        if name in ("__import__", "getattr", "hasattr"):
            return [Path(name)]
        return [Path(f"{module}.{name}") for module in self._all_stars()] or [_OTHER]

    def _all_stars(self) -> list[str]:
        return [*self.stars, *(self.parent._all_stars() if self.parent else [])]

    def is_star_name(self, name: str) -> bool:
        """Whether only a `from module import *` can have given a name."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.bindings:
                return False
            scope = scope.parent
        return bool(self._all_stars())


def _attribute(value: Meaning, name: str) -> Meaning:
    if isinstance(value, Path):
        return Path(f"{value.name}.{name}")
    # A method: its path is that of the class.
    return Path(f"{value.of}().{name}") if isinstance(value, Instance) else _OTHER


def _branches(scope: Scope, bindings: list[Binding]) -> bool:
    """Whether the last two bindings stand in branches of one `try` or `if`."""
    if len(bindings) < 2:
        return False
    first, last = bindings[-2].line, bindings[-1].line
    for node in ast.walk(scope.node):
        if isinstance(node, (ast.Try, ast.If)) and node.lineno <= first and last <= (node.end_lineno or 0):
            return True
    return False


class _Collector(ast.NodeVisitor):
    """Finds the scopes of a program and what they bind."""

    def __init__(self, scope: Scope):
        self.scope = scope
        self.scopes: dict[ast.AST, Scope] = {scope.node: scope}

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.asname is None:
                top = alias.name.split(".")[0]
                self.scope.bind(top, node.lineno, Path(top))
            else:
                self.scope.bind(alias.asname, node.lineno, Path(alias.name))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            if node.level or node.module is None:
                self.scope.bind(alias.asname or alias.name, node.lineno, _OTHER)
            elif alias.name == "*":
                self.scope.stars.append(node.module)
            else:
                self.scope.bind(alias.asname or alias.name, node.lineno, Path(f"{node.module}.{alias.name}"))

    def visit_Global(self, node: ast.Global | ast.Nonlocal) -> None:
        self.scope.outer.update(node.names)

    visit_Nonlocal = visit_Global

    def _assign(self, target: ast.expr, value: ast.expr | None) -> None:
        if isinstance(target, ast.Name):
            is_none = isinstance(value, ast.Constant) and value.value is None
            if not is_none:  # as `keras = None` after a failed import
                self.scope.bind(target.id, target.lineno, value if value is not None else _OTHER)
        elif isinstance(target, (ast.Tuple, ast.List)):
            values: Iterable[ast.expr | None] = [None] * len(target.elts)
            if isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts):
                values = value.elts
            for part, of_part in zip(target.elts, values, strict=True):
                self._assign(part, of_part)
        elif isinstance(target, ast.Starred):
            self._assign(target.value, None)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.generic_visit(node)
        for target in node.targets:
            self._assign(target, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.generic_visit(node)
        if node.value is not None:
            self._assign(node.target, node.value)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.generic_visit(node)
        self._assign(node.target, node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.generic_visit(node)
        self._assign(node.target, None)

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.generic_visit(node)
        self._assign(node.target, None)

    visit_AsyncFor = visit_For

    def visit_withitem(self, node: ast.withitem) -> None:
        self.generic_visit(node)
        if node.optional_vars is not None:
            self._assign(node.optional_vars, node.context_expr)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self.scope.bind(node.name, node.lineno, _OTHER)
        self.generic_visit(node)

    def _within(self, node: ast.AST, parts: Iterable[ast.AST]) -> Scope:
        outer, self.scope = self.scope, Scope(node, self.scope)
        inner = self.scopes[node] = self.scope
        for part in parts:
            self.visit(part)
        self.scope = outer
        return inner

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        arguments = node.args
        outside = [*arguments.defaults, *(d for d in arguments.kw_defaults if d is not None)]
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        every += [a for a in (arguments.vararg, arguments.kwarg) if a is not None]
        body: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else list(node.body)
        if not isinstance(node, ast.Lambda):
            self.scope.bind(node.name, node.lineno, _OTHER)
            outside += node.decorator_list
            outside += [a.annotation for a in every if a.annotation is not None]
            outside += [node.returns] if node.returns is not None else []
        part: ast.AST
        for part in outside:
            self.visit(part)
        outer, self.scope = self.scope, Scope(node, self.scope)
        self.scopes[node] = self.scope
        owner = outer.node if isinstance(outer.node, ast.ClassDef) else None
        for position, argument in enumerate(every):
            is_self = owner is not None and position == 0 and argument.arg == "self"
            meaning: Meaning = Instance(f"<class {id(owner)}>") if is_self else _OTHER
            self.scope.bind(argument.arg, node.lineno, meaning)
        for part in body:
            self.visit(part)
        self.scope = outer

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._function(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.scope.bind(node.name, node.lineno, Path(f"<class {id(node)}>"))
        for part in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(part)
        self._within(node, node.body)

    def _comprehension(self, node: ast.AST) -> None:
        inner = self._within(node, ast.iter_child_nodes(node))
        for generator in node.generators:  # type: ignore[attr-defined]  # they have no common class
            outer, self.scope = self.scope, inner
            self._assign(generator.target, None)
            self.scope = outer

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension


def scopes_of(tree: ast.Module) -> dict[ast.AST, Scope]:
    """The scopes of a program by the nodes that open them."""
    collector = _Collector(Scope(tree, None))
    collector.generic_visit(tree)
    return collector.scopes

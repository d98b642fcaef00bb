"""The names of Keras and TensorFlow that a program uses, each with the calls of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from cnnrs.checking.scopes import Path, scopes_of
from cnnrs.keras.aliases import ROOTS

__all__ = ["Call", "Use", "uses"]


class Call(NamedTuple):
    """The arguments of a call.

    Attributes:
        keywords: Names of those that are given by name.
        positional: How many are given by position.
        is_open: Whether more come from `*args` or `**kwargs`.
    """

    keywords: tuple[str, ...]
    positional: int
    is_open: bool


class Use(NamedTuple):
    """That a line uses a name.

    Attributes:
        paths: What the name means; several where branches bind it to several things.
        written: As the program writes it.
        line: The line.
        is_import: Whether an import names it, not an expression.
        is_module: Whether it must be a module.
        is_star: Whether it may come from a `from module import *`, or from elsewhere.
        is_optional: Whether the program goes on without it: it stands in a `try` that catches the failure.
        call: The arguments, if it is called.
    """

    paths: tuple[str, ...]
    written: str
    line: int
    is_import: bool = False
    is_module: bool = False
    is_star: bool = False
    is_optional: bool = False
    call: Call | None = None


# What catches the failure to find a name.
_CATCHES = {"ImportError", "ModuleNotFoundError", "AttributeError", "Exception", "BaseException"}


def uses(tree: ast.Module) -> list[Use]:
    """The uses of a program, in the order of its lines."""
    finder = _Finder(tree)
    finder.visit(tree)
    return sorted(finder.found, key=lambda use: use.line)


def _is_ours(path: str) -> bool:
    return path.split(".")[0] in ROOTS


class _Finder(ast.NodeVisitor):
    def __init__(self, tree: ast.Module):
        self.scopes = scopes_of(tree)
        self.classes = {f"<class {id(node)}>": node for node in self.scopes if isinstance(node, ast.ClassDef)}
        self.scope = self.scopes[tree]
        self.optional = 0
        self.found: list[Use] = []

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add_import(alias.name, node.lineno, is_module=True)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.level or node.module is None:
            return
        self._add_import(node.module, node.lineno, is_module=True)
        for alias in node.names:
            if alias.name != "*":
                self._add_import(f"{node.module}.{alias.name}", node.lineno, is_module=False)

    def _add_import(self, path: str, line: int, is_module: bool) -> None:
        if _is_ours(path):
            use = Use((path,), path, line, is_import=True, is_module=is_module, is_optional=self.optional > 0)
            self.found.append(use)

    def visit_Try(self, node: ast.Try) -> None:
        part: ast.AST
        caught = {name for handler in node.handlers for name in _names_of(handler.type)}
        catches = bool(caught & _CATCHES)
        self.optional += catches
        for part in node.body:
            self.visit(part)
        self.optional -= catches
        for part in (*node.handlers, *node.orelse, *node.finalbody):
            self.visit(part)

    def visit_Call(self, node: ast.Call) -> None:
        keywords = tuple(k.arg for k in node.keywords if k.arg is not None)
        is_open = any(k.arg is None for k in node.keywords)
        starred = any(isinstance(a, ast.Starred) for a in node.args)
        call = Call(keywords, 0 if starred else len(node.args), is_open or starred)
        if isinstance(node.func, (ast.Name, ast.Attribute)):
            if isinstance(node.func, ast.Name) and node.func.id == "hasattr":
                return
            self._add(node.func, call)
        else:
            self.visit(node.func)
        for meaning in self.scope.meanings(node):
            # `importlib.import_module("keras.layers")` gives a module, not an object.
            if (
                isinstance(meaning, Path)
                and _is_ours(meaning.name)
                and not isinstance(node.func, ast.Attribute)
            ):
                self.found.append(
                    Use((meaning.name,), meaning.name, node.lineno, is_optional=self.optional > 0)
                )
        for part in (*node.args, *node.keywords):
            self.visit(part)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._add(node, None)

    def visit_Name(self, node: ast.Name) -> None:
        self._add(node, None)

    def _add(self, node: ast.Attribute | ast.Name, call: Call | None) -> None:
        if isinstance(node.ctx, ast.Load):
            paths = tuple(
                path
                for meaning in self.scope.meanings(node)
                if isinstance(meaning, Path)
                for path in self._paths(meaning.name, 0)
                if _is_ours(path)
            )
            # The import of a package's own name is a use of its own.
            if paths and not all(path in ROOTS for path in paths):
                written = ast.unparse(node) if isinstance(node, ast.Name) else _written(node)
                is_star = isinstance(node, ast.Name) and self.scope.is_star_name(node.id)
                self.found.append(
                    Use(paths, written, node.lineno, False, False, is_star, self.optional > 0, call)
                )
        if isinstance(node, ast.Attribute) and not _is_chain(node):
            self.visit(node.value)

    def _paths(self, path: str, depth: int) -> Iterator[str]:
        """The path, or for a class of the program those of what it inherits."""
        head, closing, rest = path.partition(">")
        if not closing:
            yield path
            return
        node = self.classes.get(f"{head}>")
        attribute = rest.removeprefix("().").removeprefix(".")
        if node is None or depth > 20 or not attribute or attribute.split(".")[0] in _own(node):
            return
        scope = self.scopes[node].parent
        assert scope is not None
        for base in node.bases:
            for meaning in scope.meanings(base):
                if isinstance(meaning, Path):
                    yield from self._paths(f"{meaning.name}{rest}", depth + 1)

    def _within(self, node: ast.AST) -> None:
        scope = self.scopes[node]
        # Decorators, defaults and bases are evaluated outside.
        inside: list[ast.AST] = (
            [node.body] if isinstance(node, ast.Lambda) else list(getattr(node, "body", []))
        )
        if not inside:
            inside = list(ast.iter_child_nodes(node))
        for part in ast.iter_child_nodes(node):
            if part not in inside:
                self.visit(part)
        outer, self.scope = self.scope, scope
        for part in inside:
            self.visit(part)
        self.scope = outer

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = visit_ClassDef = _within
    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _within


def _names_of(node: ast.expr | None) -> Iterator[str]:
    if node is None:
        yield "BaseException"
    elif isinstance(node, ast.Tuple):
        for part in node.elts:
            yield from _names_of(part)
    elif isinstance(node, ast.Name):
        yield node.id


def _is_chain(node: ast.expr) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)


def _written(node: ast.expr) -> str:
    """`keras.layers.Dense`, and `….fit` where the object comes from a call."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    names.append(node.id if isinstance(node, ast.Name) else "…")
    return ".".join(reversed(names))


def _own(node: ast.ClassDef) -> set[str]:
    """The attributes that a class of the program defines itself."""
    names = set()
    for part in ast.walk(node):
        if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(part.name)
        elif isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            names.add(part.id)
        elif isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store):
            names.add(part.attr)
    return names

"""Draws programs: statement by statement, with values at hand, so that each one fits."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np

from fuzz import reference
from fuzz.program import Code, Leaf, Program, Statement, refs
from fuzz.rounding import STATE
from fuzz.table import ROWS, Call, Ref, rows

__all__ = ["Draw", "program"]

EDGES = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65]
# At which kernels cut their work (`src/backend/cpu`): rows, columns and depth of products, channels and tiles
# of convolutions; then elements of pointwise, pooling and moving chunks, and depths at which products split.
BLOCKS = [56, 112, 128, 256, 512, 1024]
CHUNKS = [4096, 8192, 16384, 32768]


class Draw:
    """The program under way, its values, and choices."""

    def __init__(self, seed: int):
        self.rng = np.random.default_rng(seed)
        self.program = Program(seed=int(self.rng.integers(1000, 10**6)))
        self.values: dict[int, Any] = {}
        self.next = 0
        self.tiled = False  # whether images are such as Winograd's convolutions take
        self.blocked = self.flip(0.05)
        self.cuts = 3 if self.blocked else 0
        self.batch = self.choose([1, 2] if self.blocked else [1, 2, 3, 4, 5])
        self.big = self.flip(0.06)
        self.kinds = ["normal"]
        self._shapes: dict[int, tuple[int, ...]] = {}
        self._forced: Ref | None = None

    # ---- choices

    def below(self, n: int) -> int:
        return int(self.rng.integers(n))

    def flip(self, chance: float = 0.5) -> bool:
        return bool(self.rng.random() < chance)

    def choose(self, options: Any) -> Any:
        return options[self.below(len(options))]

    def maybe(self, **options: Any) -> dict[str, Any]:
        return {k: v for k, v in options.items() if self.flip(0.4)}

    @property
    def most(self) -> int:
        """Elements of all results of a statement."""
        return 200_000 if self.big or self.blocked else 20_000

    def around(self, cuts: list[int]) -> int:
        """Few extents of a program are large, so that what is computed stays small."""
        self.cuts = 0 if cuts is CHUNKS else self.cuts - 1
        return self.choose(cuts) + self.choose([-1, 0, 1])

    def costs(self, name: str, call: Call) -> float:
        """Products that a convolution sums up."""
        x, *others = refs(call) or [None]
        if "onv" not in name or not others:
            return 0
        channels = self.shape(x)[1 if "first" in name else -1]
        return self.size(x) / channels * max(self.size(w) for w in others)

    def extent(self, most: int = 65) -> int:
        if self.cuts and most == 65 and self.flip(0.75):
            return self.around(CHUNKS if self.cuts == 3 and self.flip(0.3) else BLOCKS)
        return self.choose([n for n in EDGES if n <= most])

    def small(self) -> int:
        return self.choose([1, 2, 3, 4, 5, 7, 8, 9])

    def channels(self) -> int:
        if self.cuts and self.flip(0.6):
            return self.around(BLOCKS[1:-1])
        if self.tiled:
            return self.choose([8, 16, 17, 32, 33])
        return self.choose(
            [1, 2, 3, 4, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33] + ([48, 63, 64, 65] if self.big else [])
        )

    def frame(self) -> tuple[int, int]:
        if self.tiled:
            return self.choose([15, 16, 17, 28]), self.choose([15, 16, 17, 28])
        sides = [1, 2, 3, 4, 5, 6, 7, 8, 9] + ([15, 16, 17, 28, 32] if self.big else [])
        if self.cuts and self.flip(0.4):
            return self.around(BLOCKS[:2]), self.choose(sides)
        return self.choose(sides), self.choose(sides)

    def divisor(self, n: int) -> int:
        return self.choose([k for k in range(1, n + 1) if n % k == 0])

    def code(self, text: str) -> Code:
        return Code(text)

    # ---- values

    def shape(self, ref: Ref) -> tuple[int, ...]:
        return self._shapes.get(ref.index, np.shape(self.values[ref.index]))

    def rank(self, ref: Ref) -> int:
        return len(self.shape(ref))

    def size(self, ref: Ref) -> int:
        return int(np.prod(self.shape(ref), dtype=np.int64))

    def seeing(self, shapes: dict[int, tuple[int, ...]], forced: Ref) -> Draw:
        """Under which a drawing function picks `forced`, and sees these shapes."""
        other = copy.copy(self)
        other._shapes, other._forced = shapes, forced
        other.program, other.values = self.program, self.values
        other.fresh = self.fresh  # type: ignore[method-assign]
        return other

    def axis(self, ref: Ref, least: int = 1) -> int:
        shape = self.shape(ref)
        axis = self.choose([a for a, n in enumerate(shape) if n >= least])
        return axis - len(shape) if self.flip(0.3) else axis

    def axes(self, ref: Ref) -> Any:
        rank = self.rank(ref)
        if rank == 0:
            return None
        if self.flip(0.4):
            return self.axis(ref)
        return tuple(sorted(self.rng.permutation(rank)[: 1 + self.below(rank)].tolist()))

    def fresh(self, shape: Any, kind: Any = None, dtype: str = "float32", batch: bool = False) -> Ref:
        """A new leaf."""
        model = self.program.mode == "model"
        if kind is None:
            kind = self.choose(self.kinds)
        role = self.choose(["tensor", "tensor", "array", "variable"])
        if model:
            role = "array" if batch else "variable"
        if dtype != "float32" and role == "variable" and not model:
            role = "array"
        return self._leaf(shape, kind, dtype, role, batch and role != "variable")

    def weight(self, shape: Any, kind: Any = "normal", trained: bool = True) -> Ref:
        return self._leaf(shape, kind, "float32", "weight", False, trained)

    def _leaf(self, shape: Any, kind: Any, dtype: str, role: str, batch: bool, trained: bool = True) -> Ref:
        leaf = Leaf(self.below(10**6), tuple(int(n) for n in shape), kind, dtype, role, batch, trained)
        ref = Ref(self.next)
        self.next += 1
        self.program.leaves[ref.index] = leaf
        self.values[ref.index] = reference.leaf_value(leaf, 0, None)
        return ref

    def any(self, where: Any = None) -> Ref | None:
        return self.pick(None, where) or (None if where else self.number())

    def pick(self, dtype: str | None = "float32", where: Any = None) -> Ref | None:
        """A value met before, the recent ones more often."""
        if self._forced is not None:
            return self._forced
        wanted = {"float32": "float64"}.get(dtype or "", dtype)
        fitting = [
            i
            for i, v in self.values.items()
            if (dtype is None or str(v.dtype) == wanted)
            and self._role(i) != "weight"
            and not (self.program.mode == "model" and self._role(i) == "variable")
            and (where is None or where(v))
        ]
        if not fitting:
            return None
        return Ref(fitting[-1 - min(self.below(len(fitting)), self.below(len(fitting)))])

    def _role(self, index: int) -> str:
        leaf = self.program.leaves.get(index)
        return leaf.role if leaf else ""

    def number(self, kind: Any = None) -> Ref:
        """Floats; of a domain if `kind` names one."""
        tests = {
            "positive": lambda v: v.size and v.min() > 0.05,
            "unit": lambda v: v.size and np.abs(v).max() < 1.2,
        }
        if self.program.special:
            kind = None
        if kind == "counts":
            return self.fresh(self.some_shape(), kind)
        found = self.pick(where=tests.get(kind or ""))
        if found is None or self.flip(0.15):
            return self.fresh(self.some_shape(), kind, batch=self.program.mode == "model")
        return found

    def tensor(self, kind: Any = None) -> Ref:
        """Floats that are a tensor, not an array."""
        return self.as_tensor(self.number(kind))

    def as_tensor(self, ref: Ref) -> Ref:
        """`ref`, given to the program as a tensor if it is one of its arguments."""
        leaf = self.program.leaves.get(ref.index)
        if leaf is not None and leaf.role == "array" and self.program.mode != "model":
            leaf.role = "tensor"
        return ref

    def some_shape(self) -> tuple[int, ...]:
        if self.program.mode == "model":
            return (
                (self.batch, self.extent()) if self.flip() else (self.batch, *self.frame(), self.channels())
            )
        which = self.below(5)
        if which == 0:
            return (self.extent(),)
        if which == 1:
            return (self.batch, self.extent())
        if which == 2:
            return (self.small(), self.small(), self.extent(33))
        if which == 3:
            return (self.batch, *self.frame(), self.channels())
        return self.choose([(), (1,), (self.extent(), self.extent()), (0, 3) if self.flip(0.2) else (3, 1)])

    def beside(self, x: Ref, kind: Any) -> Ref:
        """What broadcasts with `x`."""
        shape = self.shape(x)
        if kind is None and self.flip(0.6):
            found = self.pick(where=lambda v: v.shape == shape or (v.shape and v.shape == shape[-v.ndim :]))
            if found is not None:
                return found
        if self.program.mode == "model":
            shape = shape[1:]
        if self.flip(0.3):
            shape = tuple(1 if self.flip() else n for n in shape)
        elif self.flip(0.4):
            shape = shape[len(shape) - self.below(len(shape) + 1) :]
        if self.program.mode == "model" and not shape:
            shape = (1,)
        return self.fresh(shape, None if self.program.special else kind)

    def mask(self, x: Ref) -> Ref:
        found = self.pick("bool", lambda v: v.shape == self.shape(x))
        return found or self.fresh(self.shape(x), 2, "bool")

    def window(self, x: Ref, kernel: Any) -> dict[str, Any]:
        from fuzz.images import window

        options = window(self, x, kernel)
        if isinstance(options.get("padding"), list):
            options["padding"] = "same"
        return options

    # ---- statements

    def statement(self, names: list[str], weights: Any) -> bool:
        """Adds one; False where what was drawn does not fit."""
        name = names[int(self.rng.choice(len(names), p=weights))]
        row = ROWS[name]
        before, leaves = self.next, list(self.program.leaves)
        call = row.draw(self)
        y = None
        if call is not None and self.costs(name, call) < 1e8:
            y = self._compute(name, call)
        if y is None:
            self.next = before
            for i in [i for i in self.program.leaves if i not in leaves]:
                del self.program.leaves[i], self.values[i]
            return False
        outputs = list(y) if isinstance(y, (list, tuple)) else [y]
        indices = []
        for value in outputs:
            self.values[self.next] = np.asarray(value)
            indices.append(self.next)
            self.next += 1
        if isinstance(y, (list, tuple)):
            self.program.lists.add(indices[0])
        self.program.statements.append(Statement(name, call, indices))
        return True

    def _compute(self, name: str, call: Call) -> Any:
        try:
            with np.errstate(all="ignore"):
                y = reference.apply(name, call, self.values)
        except (ValueError, IndexError) as error:
            if (
                "do not hold it" in str(error)
                or "does not hold it" in str(error)
                or "NaN has no" in str(error)
            ):
                return None
            raise
        outputs = [np.asarray(v) for v in (y if isinstance(y, (list, tuple)) else [y])]
        if not outputs or sum(v.size for v in outputs) > self.most:
            return None
        if not self.program.special:
            for v in outputs:
                if v.dtype.kind == "f" and v.size and not np.abs(v).max() < 1e5:
                    return None
        return y


def program(seed: int) -> tuple[Program, Draw]:
    """The program of a seed."""
    rows()
    d = Draw(seed)
    p = d.program
    STATE.rng, STATE.fast, STATE.nearest = None, False, False
    p.mode = d.choose(["direct", "direct", "direct", "traced", "traced", "model"])
    p.hostile = p.mode != "model" and d.flip(0.05)
    p.special = not p.hostile and d.flip(0.12)
    p.precision = "strict" if d.flip() else "fast"
    if p.special and p.precision == "fast":
        d.big = d.tiled = d.flip(0.7)
    if p.special:
        d.kinds = ["rare"] if p.precision == "fast" else ["edges", "wild", "wild", "rare"]
    elif d.flip(0.2):
        d.kinds = ["normal", "counts", "counts", "zeros", "ones"]
    if p.mode == "model":
        d.fresh((d.batch, *d.frame(), d.channels()) if d.flip(0.7) else (d.batch, d.extent()), batch=True)
    else:
        d.number()
    names = [n for n, row in ROWS.items() if p.mode != "model" or row.model]
    integers = 5.0 if d.flip(0.08) else 0.1
    weights = np.array([ROWS[n].often * (integers if "|int" in n else 1.0) for n in names])
    short = p.special or p.hostile or d.blocked
    length = d.choose([1, 2, 3] if short else [1, 2, 3, 4, 6, 8, 12])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(4 * length):
            if len(p.statements) >= length:
                break
            d.statement(names, weights / weights.sum())
    _finish(d)
    if p.hostile and p.statements:
        _spoil(d)
    return p, d


ABSURD = [0, -1, -2, 10**5, 10**9, 2**31 - 1, 2**31, 2**32, 2**61, 2**62, 2**63 - 1, 2**63, -(2**63), 2**64]


def _spoil(d: Draw) -> None:
    """Puts absurd numbers in place of some integers among the arguments of a statement."""
    call = d.choose(d.program.statements).call
    call.args, call.kwargs = _absurd(d, call.args), _absurd(d, call.kwargs)


def _absurd(d: Draw, structure: Any) -> Any:
    if isinstance(structure, dict):
        return {k: _absurd(d, v) for k, v in structure.items()}
    if type(structure) in (list, tuple):
        return type(structure)(_absurd(d, v) for v in structure)
    return d.choose(ABSURD) if type(structure) is int and d.flip(0.6) else structure


def _finish(d: Draw) -> None:
    """Chooses outputs, gradients and runs."""
    p = d.program
    used = {ref.index for s in p.statements for ref in refs(s.call)}
    p.leaves = {i: leaf for i, leaf in p.leaves.items() if i in used}
    made = [i for s in p.statements for i in s.outputs]
    p.outputs = [i for i in made if i not in used or d.flip(0.25)]
    d.rng.shuffle(p.outputs)
    p.outputs = [int(i) for i in p.outputs]
    if p.mode == "direct":
        p.early = [i for i in made if d.flip(0.1)]
    if p.mode == "model":
        # Statements without weights of a batch cannot make a model.
        p.batches = [None, d.choose([1, 2, 3, 7, 8, 9]), d.choose([1, 4, 17])][: d.choose([1, 2, 3])]
    elif d.flip(0.4) and not p.hostile:
        p.batches = [None, d.choose([None, 1, 2, 6, 9])]
    p.assigned = len(p.batches) > 1 and d.flip()
    p.shapes = {i: tuple(int(n) for n in np.shape(v)) for i, v in d.values.items()}
    if p.mode != "model" and d.flip(0.65):
        _differentiate(d)


def _differentiate(d: Draw) -> None:
    p = d.program
    floats = [i for i in p.outputs if d.values[i].dtype == np.float64 and d.values[i].size]
    sources = [
        i for i, leaf in p.leaves.items() if leaf.dtype == "float32" and leaf.trained and d.values[i].size
    ]
    if not floats or not sources or any(not ROWS[s.row].grad for s in p.statements):
        return
    d.rng.shuffle(sources)
    p.sources = [int(i) for i in sources[: d.choose([1, 2, 3])]]
    p.targets = floats[: d.choose([1, 2])]
    p.gradient = d.choose([1, 1, 1, 2, -1])
    for i in p.sources:
        if p.leaves[i].role == "array":
            p.leaves[i].role = "tensor"

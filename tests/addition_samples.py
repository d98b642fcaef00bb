"""One sample of each kind of addition, as edits of the present sources; see `additions.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

__all__ = ["SAMPLES", "Addition", "Copy", "Edit", "Insert", "New", "Place"]


class Edit(Protocol):
    """A change of a source tree."""

    def apply(self, root: Path) -> None: ...


def _replace(path: Path, anchor: str, text: str) -> None:
    source = path.read_text("utf-8")
    found = source.count(anchor)
    if found != 1:
        raise SystemExit(f"additions: {path}: expected the anchor {anchor!r} once, found it {found} times")
    path.write_text(source.replace(anchor, text), "utf-8")


@dataclass
class Insert:
    """Text that is put behind the one place where `anchor` stands, or before it."""

    path: str
    anchor: str
    text: str
    before: bool = False

    def apply(self, root: Path) -> None:
        both = self.text + self.anchor if self.before else self.anchor + self.text
        _replace(root / self.path, self.anchor, both)


@dataclass
class New:
    """A new file."""

    path: str
    text: str

    def apply(self, root: Path) -> None:
        target = root / self.path
        if target.exists():
            raise SystemExit(f"additions: {target} exists already")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(self.text, "utf-8")


@dataclass
class Copy:
    """A new file that is another with replacements, each of which is found once."""

    source: str
    target: str
    replacements: Sequence[tuple[str, str]]

    def apply(self, root: Path) -> None:
        New(self.target, (root / self.source).read_text("utf-8")).apply(root)
        for anchor, text in self.replacements:
            _replace(root / self.target, anchor, text)


@dataclass
class Place:
    """A place that a rule names.

    Attributes:
        pattern: Files that are this place.
        what: The place in words.
        files: How many of them an addition may touch; None for any number.
        lines: How many lines it may add to each; None for any number.
    """

    pattern: str
    what: str
    files: int | None = 1
    lines: int | None = None


@dataclass
class Addition:
    """A sample.

    Attributes:
        kind: What is added.
        places: What the rule allows it to touch.
        edits: The addition.
        python: A script that uses its Python part with the installed core.
        rust_tests: Filters of the Rust tests that use its Rust part; none for an addition in Python alone.
        is_begun: Whether the edits are the beginning alone: the compiler names the other files.
    """

    kind: str
    places: Sequence[Place]
    edits: Sequence[Edit]
    python: str = ""
    rust_tests: Sequence[str] = field(default_factory=list)
    is_begun: bool = False

    @property
    def is_rust(self) -> bool:
        return bool(self.rust_tests)


_WRAPPER = Place("python/cnnrs/ops/*.py", "its wrapper in `python/cnnrs/ops/`")
_FUZZ = Place("tests/fuzz/*.py", "its row in `tests/fuzz/`")


def _listed(package: str) -> Place:
    return Place(
        f"python/cnnrs/{package}/__init__.py", f"its import and its name in `{package}/__init__.py`", lines=2
    )


def _wrapper(name: str, summary: str, example: str) -> list[Edit]:
    """The wrapper of an activation, and its row in the fuzzer's table."""
    path = "python/cnnrs/ops/activation.py"
    function = f'''@op
def {name}(x: Any) -> Any:
    """{summary}

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.{name}([0.0]).tolist()
        {example}
    """
    return apply("{name}", as_float(x))


'''
    return [
        Insert(path, '    "softplus",\n', f'    "{name}",\n', before=True),
        Insert(path, "@op\ndef softplus(", function, before=True),
    ]


# The installed core is older than the sample: it lacks the op, and says so with the wrapper's name of it.
_NO_SUCH_OP = """
from cnnrs import ops
try:
    ops.{0}([1.0])
except ValueError as error:
    assert 'there is no op "{0}"' in str(error), error
else:
    raise AssertionError("the installed core has the sample's op")
"""

POINTWISE = Addition(
    kind="a pointwise function",
    places=[
        Place("src/ops/pointwise.rs", "its row in `src/ops/pointwise.rs`"),
        Place("src/backend/gpu/lower/functions.rs", "its WGSL form, for which the compiler asks", lines=2),
        _WRAPPER,
        _FUZZ,
    ],
    edits=[
        Insert(
            "src/ops/pointwise.rs",
            '            Relu "relu" 1 Number ',
            """            Softcap "softcap" 1 Float (|x| 30.0 * (x[0] / 30.0).tanh())
                (|g, _, y, dy| {
                    let part = g.scale(y, 1.0 / 30.0)?;
                    let square = g.unary(Function::Square, part)?;
                    let off = g.mul(dy, square)?;
                    one(g.sub(dy, off)?)
                })
                [|x: f32| 30.0 * math::tanh(x / 30.0)] [];
""",
            before=True,
        ),
        Insert(
            "src/backend/gpu/lower/functions.rs",
            '        Function::Relu => format!("relu_({a})"),\n',
            '        Function::Softcap => format!("30.0 * tanh_(({a}) / 30.0)"),\n',
            before=True,
        ),
        Insert(
            "src/backend/gpu/lower/functions.rs",
            "        | Function::Softplus\n",
            "        | Function::Softcap\n",
            before=True,
        ),
        *_wrapper("softcap", "Bounds each element softly by 30 on both sides.", "[0.0]"),
        Insert("tests/fuzz/pointwise.py", "SMOOTH = {\n", '    "softcap": lambda x: 30 * tanh(x / 30),\n'),
    ],
    python=_NO_SUCH_OP.format("softcap"),
    rust_tests=["pointwise"],
)

COMPOSITE = Addition(
    kind="an op built from ops",
    places=[
        Place("src/ops/compose/*.rs", "its name and its formula in a file of `src/ops/compose/`"),
        _WRAPPER,
        _FUZZ,
    ],
    edits=[
        Insert(
            "src/ops/compose/activations.rs",
            "    /// x / (1 + |x|)\n",
            "    /// x + (√(x² + 1) − 1) / 2\n    BentIdentity,\n",
            before=True,
        ),
        Insert("src/ops/compose/activations.rs", '        "softsign",\n', '        "bent_identity",\n'),
        Insert(
            "src/ops/compose/activations.rs",
            '            "softsign" => Activation::Softsign,\n',
            '            "bent_identity" => Activation::BentIdentity,\n',
        ),
        Insert(
            "src/ops/compose/activations.rs",
            '            Activation::Softsign => "softsign",\n',
            '            Activation::BentIdentity => "bent_identity",\n',
        ),
        Insert(
            "src/ops/compose/activations.rs",
            "            Activation::Softsign => {\n",
            """            Activation::BentIdentity => {
                let square = g.unary(Function::Square, x)?;
                let under = g.offset(square, 1.0)?;
                let root = g.unary(Function::Sqrt, under)?;
                let bend = g.offset(root, -1.0)?;
                let half = g.scale(bend, 0.5)?;
                g.add(x, half)
            }
""",
            before=True,
        ),
        *_wrapper("bent_identity", "Adds half of the excess of `sqrt(x * x + 1)` over 1 to x.", "[0.0]"),
        Insert(
            "tests/fuzz/pointwise.py",
            "SMOOTH = {\n",
            '    "bent_identity": lambda x: x + (r(np.sqrt(r(x * x + 1))) - 1) / 2,\n',
        ),
    ],
    python=_NO_SUCH_OP.format("bent_identity"),
    rust_tests=["compose"],
)

PRIMITIVE = Addition(
    kind="a primitive",
    places=[
        Place("src/ops/running_sum/*", "its folder under `src/ops/`", files=None),
        Place("src/ops/mod.rs", "its `mod` and its line in the registry", lines=3),
        Place(
            "src/backend/*/lower/candidates/running_sum.rs",
            "its file in `lower/candidates/` of each backend",
            files=2,
        ),
        Place(
            "src/backend/*/lower/candidates/mod.rs",
            "there its `mod` and the arm that the compiler asks for",
            files=2,
            lines=2,
        ),
        _WRAPPER,
        _FUZZ,
    ],
    edits=[
        New(
            "src/ops/running_sum/mod.rs",
            """//! Sums of all elements up to each.

#[cfg(test)]
mod tests;

use super::{Attributes, FromAttributes, Kind, OpDef, RefArray, expect_float, expect_inputs};
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::shape::Fact;

/// Sums of the elements up to each, along the last axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RunningSum {
    /// Whether the elements from each on are added up instead.
    pub reverse: bool,
}

impl OpDef for RunningSum {
    fn name(&self) -> &'static str {
        "running_sum"
    }

    fn kind(&self) -> Kind {
        Kind::Data
    }

    fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_float("x", &inputs[0])?;
        if inputs[0].shape.rank() == 0 {
            return Err(Error::value("x: expected at least 1 axis, received a scalar"));
        }
        Ok(inputs[0].clone())
    }

    fn grad(&self, g: &mut Graph, _: &[NodeId], _: NodeId, dy: NodeId) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(g.apply(RunningSum { reverse: !self.reverse }, &[dy])?)])
    }

    fn reference(&self, inputs: &[&RefArray], _: &[Fact], _: &Fact) -> Result<RefArray> {
        let mut y = inputs[0].clone();
        for mut row in y.rows_mut() {
            let mut sum = 0.0;
            let mut add = |v: &mut f64| {
                sum += *v;
                *v = sum;
            };
            if self.reverse {
                row.iter_mut().rev().for_each(&mut add);
            } else {
                row.iter_mut().for_each(&mut add);
            }
        }
        Ok(y)
    }
}

impl FromAttributes for RunningSum {
    fn names() -> Vec<&'static str> {
        vec!["running_sum"]
    }

    fn from_attributes(_: &str, a: &mut Attributes) -> Result<Self> {
        Ok(RunningSum { reverse: a.bool_or("reverse", false)? })
    }
}
""",
        ),
        New(
            "src/ops/running_sum/tests.rs",
            """use super::RunningSum;
use crate::dtype::DType;
use crate::graph::Graph;
use crate::shape::Fact;
use crate::testing::{Rng, check_gradients, check_plan};

#[test]
fn plans_and_gradients_agree_with_the_definition() {
    for (seed, reverse) in [(1, false), (2, true)] {
        let mut g = Graph::new();
        let x = g.input(Fact::new([3, 5], DType::F32));
        let y = g.apply(RunningSum { reverse }, &[x]).unwrap();
        g.set_outputs(vec![y]);
        check_plan(&g, &mut Rng::new(seed), 1e-6);
        check_gradients(&mut g, y, &[x], &mut Rng::new(seed));
        check_plan(&g, &mut Rng::new(seed), 1e-6);
    }
}
""",
        ),
        Insert("src/ops/mod.rs", "pub mod reduce;\n", "pub mod running_sum;\n"),
        Insert(
            "src/ops/mod.rs",
            "    /// Random numbers from a counter.\n",
            "    /// Sums of all elements up to each.\n    RunningSum(running_sum::RunningSum),\n",
            before=True,
        ),
        New(
            "src/backend/cpu/lower/candidates/running_sum.rs",
            """//! Candidates for running sums.

use crate::backend::cpu::kernel::{Cost, CpuKernel, Lowered, Phase, Task};
use crate::error::{Error, Result};
use crate::ops::Op;
use smallvec::SmallVec;

/// All candidates.
pub const KERNELS: &[&dyn CpuKernel] = &[&Rows];

/// Rows one by one, sums in f64.
struct Rows;

impl CpuKernel for Rows {
    fn name(&self) -> &'static str {
        "running_sum_rows"
    }

    fn supports(&self, task: &Task) -> std::result::Result<Cost, String> {
        if task.epilogue.is_some() || task.prologue.is_some() {
            return Err("takes no attachments".into());
        }
        Ok(Cost(task.output.bytes() as f64))
    }

    fn lower(&self, task: &Task) -> Result<Lowered> {
        let Op::RunningSum(op) = task.op else {
            return Err(Error::state(format!("{} was asked for {}", self.name(), task.op.def().name())));
        };
        let reverse = op.reverse;
        let columns = task.output.shape.last().copied().unwrap_or(1);
        let rows = task.output.shape.len() / columns.max(1);
        let phase = Phase::new(rows, move |operands, row, _| {
            // SAFETY: input and output hold rows × columns floats, and each row is one chunk's.
            let (x, y) = unsafe {
                let x = operands.input::<f32>(0).add(row * columns);
                let y = operands.output::<f32>(0).add(row * columns);
                (std::slice::from_raw_parts(x, columns), std::slice::from_raw_parts_mut(y, columns))
            };
            let mut sum = 0.0;
            let mut add = |(y, x): (&mut f32, &f32)| {
                sum += f64::from(*x);
                *y = sum as f32;
            };
            let pairs = y.iter_mut().zip(x);
            if reverse { pairs.rev().for_each(&mut add) } else { pairs.for_each(&mut add) }
        });
        Ok(Lowered {
            name: self.name(),
            phases: vec![phase],
            workspace: 0,
            scratch: 0,
            packed: SmallVec::new(),
            section: None,
        })
    }
}
""",
        ),
        Insert("src/backend/cpu/lower/candidates/mod.rs", "mod pool2d_tests;\n", "mod running_sum;\n"),
        Insert(
            "src/backend/cpu/lower/candidates/mod.rs",
            "        Op::Random(_) => ",
            "        Op::RunningSum(_) => running_sum::KERNELS,\n",
            before=True,
        ),
        New(
            "src/backend/gpu/lower/candidates/running_sum.rs",
            """//! Running sums.

use super::{Anchor, Task};
use crate::error::Result;
use crate::ops::Op;

/// Every element adds up those up to it.
pub fn anchor(task: &Task) -> Result<Anchor> {
    let Op::RunningSum(op) = task.op else { return Err(task.wrong_op("running_sum")) };
    let [first, end] = if op.reverse { ["at", "row + EXTENT"] } else { ["row", "at + 1u"] };
    let text = format!(
        "fn anchor(at: u32) -> f32 {{ let row = at / EXTENT * EXTENT; var sum = 0.0; \\
         for (var i = {first}; i < {end}; i = i + 1u) {{ sum = sum + input0(i); }} return sum; }}"
    );
    let extent = task.output.shape.last().copied().unwrap_or(1);
    Ok(Anchor::new("running_sum", text).with(&[("EXTENT", extent)]))
}
""",
        ),
        Insert("src/backend/gpu/lower/candidates/mod.rs", "mod product;\n", "mod running_sum;\n"),
        Insert(
            "src/backend/gpu/lower/candidates/mod.rs",
            "        Op::Random(_) => ",
            "        Op::RunningSum(_) => running_sum::anchor(task)?,\n",
            before=True,
        ),
        *_wrapper("running_sum", "Adds up all elements before each and itself along the last axis.", "[0.0]"),
        Insert(
            "tests/fuzz/reductions.py",
            "def _prod(",
            """row(
    "ops.running_sum",
    lambda d: (x := d.pick(where=lambda v: v.ndim and v.dtype == "float32")) and Call([x]),
    lambda x: r(np.cumsum(x, axis=-1)),
)


""",
            before=True,
        ),
    ],
    python=_NO_SUCH_OP.format("running_sum"),
    rust_tests=["running_sum"],
)

DTYPE = Addition(
    kind="a dtype",
    places=[
        Place("src/dtype.rs", "its row in `src/dtype.rs`"),
        Place(
            "src/*",
            "the kernels that want it, and the other files whose `match` the compiler names",
            files=None,
        ),
    ],
    edits=[
        Insert(
            "src/dtype.rs",
            "    /// One byte, 0 or 1.\n    Bool,\n",
            "    /// Eight bits of float.\n    F8,\n",
        )
    ],
    is_begun=True,
)

LAYER = Addition(
    kind="a layer",
    places=[
        Place("python/cnnrs/layers/[a-z]*.py", "its class in a module of `layers/`"),
        _listed("layers"),
        _FUZZ,
    ],
    edits=[
        Insert("python/cnnrs/layers/activation.py", '"ReLU", "Softmax"', ', "SquaredReLU"'),
        Insert(
            "python/cnnrs/layers/activation.py",
            "\n\ndef _is_number(",
            '''

class SquaredReLU(Layer):
    """The square of the positive part (So et al., "Primer", 2021).

    >>> from cnnrs import layers
    >>> layers.SquaredReLU()([-1.0, 3.0]).tolist()
    [0.0, 9.0]
    """

    def call(self, inputs: Any) -> Any:
        return ops.square(ops.relu(inputs))
''',
            before=True,
        ),
        Insert(
            "python/cnnrs/layers/__init__.py",
            "from cnnrs.layers.activation import ELU, LeakyReLU, PReLU, ReLU, Softmax",
            ", SquaredReLU",
        ),
        Insert("python/cnnrs/layers/__init__.py", '    "SpatialDropout2D",\n', '    "SquaredReLU",\n'),
        Insert(
            "tests/fuzz/layer_rows.py",
            'layer("Softmax", ',
            'layer("SquaredReLU", lambda d: Call([features(d)]), '
            "lambda x, weights: r(pointwise.relu(lift(x)) ** 2))\n",
            before=True,
        ),
    ],
    python="""
from cnnrs import layers
layer = layers.deserialize(layers.serialize(layers.SquaredReLU()))
assert layer([-1.0, 3.0]).tolist() == [0.0, 9.0]
""",
)

OPTIMIZER = Addition(
    kind="an optimizer",
    places=[
        Place("python/cnnrs/optimizers/[a-z]*.py", "its class in a module of `optimizers/`"),
        _listed("optimizers"),
    ],
    edits=[
        Insert(
            "python/cnnrs/optimizers/algorithms.py",
            "class Adam(Optimizer):\n",
            '''class SignSGD(Optimizer):
    """Steps of one length along the signs of the gradients (Bernstein et al. 2018).

    >>> import cnnrs
    >>> v = cnnrs.Variable([1.0])
    >>> cnnrs.optimizers.SignSGD(0.5).apply([[3.0]], [v])
    >>> v.numpy().tolist()
    [0.5]
    """

    def __init__(self, learning_rate: Any = 0.001, **kwargs: Any):
        super().__init__(learning_rate, **kwargs)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        variable.assign(variable - raw.sign(gradient) * learning_rate)


''',
            before=True,
        ),
        Insert(
            "python/cnnrs/optimizers/__init__.py",
            "from cnnrs.optimizers.algorithms import SGD, Adagrad, Adam, AdamW, RMSprop",
            ", SignSGD",
        ),
        Insert("python/cnnrs/optimizers/__init__.py", '    "RMSprop",\n', '    "SignSGD",\n'),
    ],
    python="""
from cnnrs import Variable, optimizers
weight, optimizer = Variable([1.0]), optimizers.get(optimizers.serialize(optimizers.get("signsgd")))
optimizer.apply([[3.0]], [weight])
assert abs(float(weight.numpy()[0]) - 0.999) < 1e-6
""",
)

LOSS = Addition(
    kind="a loss",
    places=[
        Place("python/cnnrs/losses/[a-z]*.py", "its class in a module of `losses/`"),
        _listed("losses"),
    ],
    edits=[
        Insert("python/cnnrs/losses/classes.py", '    "Poisson",\n', '    "QuarticError",\n'),
        Insert(
            "python/cnnrs/losses/classes.py",
            "class BinaryCrossentropy(LossFunctionWrapper):\n",
            '''class QuarticError(Loss):
    """The fourth power of the difference, mean over the last axis.

    >>> from cnnrs import losses
    >>> float(losses.QuarticError()([[1.0]], [[3.0]]))
    16.0
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return mean_squared_error(0.0 * y_true, (y_true - y_pred) * (y_true - y_pred))


''',
            before=True,
        ),
        Insert("python/cnnrs/losses/__init__.py", "    Poisson,\n", "    QuarticError,\n"),
        Insert("python/cnnrs/losses/__init__.py", '    "Poisson",\n', '    "QuarticError",\n'),
    ],
    python="""
from cnnrs import losses
loss = losses.deserialize(losses.serialize(losses.get("QuarticError")))
assert float(loss([[1.0]], [[3.0]])) == 16.0
""",
)

METRIC = Addition(
    kind="a metric",
    places=[
        Place("python/cnnrs/metrics/[a-z]*.py", "its class in a module of `metrics/`"),
        _listed("metrics"),
    ],
    edits=[
        Insert("python/cnnrs/metrics/of_losses.py", '    "Poisson",\n', '    "QuarticMean",\n'),
        Insert(
            "python/cnnrs/metrics/of_losses.py",
            "def _plain(",
            '''class QuarticMean(Mean):
    """Mean fourth power of the difference.

    >>> from cnnrs import metrics
    >>> float(metrics.QuarticMean()([[1.0]], [[3.0]]))
    16.0
    """

    def __init__(self, name: str = "quartic_mean", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        y_true, y_pred, *weight = args
        super().update_state(raw.square(functions.mean_squared_error(y_true, y_pred)), *weight, **kwargs)


''',
            before=True,
        ),
        Insert("python/cnnrs/metrics/__init__.py", "    Poisson,\n", "    QuarticMean,\n"),
        Insert("python/cnnrs/metrics/__init__.py", '    "Poisson",\n', '    "QuarticMean",\n'),
    ],
    python="""
from cnnrs import metrics
metric = metrics.deserialize(metrics.serialize(metrics.get("quartic_mean")))
assert float(metric([[1.0]], [[3.0]])) == 16.0
""",
)

PASS = Addition(
    kind="a pass",
    places=[
        Place("src/passes/double_negation.rs", "its file in `src/passes/`"),
        Place("src/passes/mod.rs", "its `mod` and its line in `PIPELINE`", lines=2),
    ],
    edits=[
        New(
            "src/passes/double_negation.rs",
            """//! Negations of negations left out.

use super::{Pass, PassContext};
use crate::error::Result;
use crate::graph::Graph;
use crate::ops::Op;
use crate::ops::pointwise::Function;

/// Replaces −(−x) by x.
pub struct DoubleNegation;

impl Pass for DoubleNegation {
    fn name(&self) -> &'static str {
        "double_negation"
    }

    fn does(&self) -> &'static str {
        "replaces the negation of a negation by what that negates"
    }

    fn run(&self, graph: &Graph, context: &mut PassContext) -> Result<Graph> {
        let negation = Op::from(Function::Neg);
        graph.rewrite(|g, node, inputs| {
            if node.op == negation && g.node(inputs[0]).op == negation {
                context.done(node, &None, "left out together with the negation before it");
                return Ok(g.node(inputs[0]).inputs[0]);
            }
            g.apply(node.op.clone(), inputs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::DoubleNegation;
    use crate::dtype::DType;
    use crate::graph::Graph;
    use crate::passes::run_alone;
    use crate::shape::Fact;

    #[test]
    fn nothing_is_left_of_two_negations() {
        let mut g = Graph::new();
        let x = g.input(Fact::new([2], DType::F32));
        let y = g.neg(x).unwrap();
        let z = g.neg(y).unwrap();
        g.set_outputs(vec![z]);
        let new = run_alone(&DoubleNegation, &g);
        assert_eq!(new.outputs(), new.inputs());
    }
}
""",
        ),
        Insert("src/passes/mod.rs", "mod context;\n", "mod double_negation;\n"),
        Insert("src/passes/mod.rs", "    &inline::Inline,\n", "    &double_negation::DoubleNegation,\n"),
    ],
    rust_tests=["passes"],
)

FORMAT = Addition(
    kind="a file format",
    places=[
        Place("python/cnnrs/serialization/npz.py", "its file in `serialization/`"),
        Place(
            "python/cnnrs/serialization/formats.py",
            "its import and its row in `serialization/formats.py`",
            lines=2,
        ),
    ],
    edits=[
        New(
            "python/cnnrs/serialization/npz.py",
            '''"""Archives of numpy: an array a tensor, and the strings as JSON in one array more."""

from __future__ import annotations

import json
import os

import numpy as np

__all__ = ["read", "write"]

_METADATA = "__metadata__"


def write(path: str, tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    """Writes an archive, atomically."""
    text = np.frombuffer(json.dumps(metadata).encode(), np.uint8)
    arrays = {**tensors, _METADATA: text}
    beside = f"{path}.{os.getpid()}"
    with open(beside, "xb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    os.replace(beside, path)


def read(path: str) -> tuple[dict[str, np.ndarray], dict[str, str], bool]:
    """Reads an archive; each of its members has a checksum."""
    with np.load(path, allow_pickle=False) as archive:
        tensors = {name: archive[name] for name in archive.files}
    metadata = json.loads(tensors.pop(_METADATA).tobytes())
    return tensors, metadata, True
''',
        ),
        Insert(
            "python/cnnrs/serialization/formats.py",
            "from cnnrs.base.arguments import file_path\n",
            "from cnnrs.serialization import npz\n",
        ),
        Insert(
            "python/cnnrs/serialization/formats.py",
            '    Format(".safetensors", _core.save_safetensors, _core.load_safetensors),\n',
            '    Format(".npz", npz.write, npz.read),\n',
        ),
    ],
    python="""
import os, tempfile
import numpy as np
from cnnrs import Input, Sequential, layers, saving
model = Sequential([Input((3,)), layers.Dense(2)])
with tempfile.TemporaryDirectory() as folder:
    model.save(os.path.join(folder, "m.npz"))
    model.save_weights(os.path.join(folder, "m.weights.npz"))
    again = saving.load_model(os.path.join(folder, "m.npz"))
    again.load_weights(os.path.join(folder, "m.weights.npz"))
x = np.ones((1, 3))
assert model(x).tolist() == again(x).tolist()
""",
)

BACKEND = Addition(
    kind="a backend",
    places=[
        Place("src/backend/interpreter/*", "its folder under `src/backend/`", files=None),
        Place("src/backend/mod.rs", "its `mod` and its name in `ALL`", lines=2),
    ],
    edits=[
        # The backend of tests/plans.rs: each step in double precision, by the ops' references.
        Copy(
            "tests/interpreter/mod.rs",
            "src/backend/interpreter/mod.rs",
            [
                ("use cnnrs::backend::device::{", "mod values;\n\nuse crate::backend::device::{"),
                ("use cnnrs::error::", "use crate::error::"),
                ("use cnnrs::fusion::", "use crate::fusion::"),
                ("use cnnrs::graph::", "use crate::graph::"),
                ("use cnnrs::ops::", "use crate::ops::"),
                ("use cnnrs::schedule::prelude::", "use crate::schedule::prelude::"),
                ("use cnnrs::schedule::{", "use crate::schedule::{"),
                ("use cnnrs::testing::{to_array, to_buffer};\n", ""),
                ("use cnnrs::{Buffer, Graph,", "use crate::{Buffer, Graph,"),
                ("Mutex, Weak};\n", "Mutex, Weak};\nuse values::{to_array, to_buffer};\n"),
            ],
        ),
        New(
            "src/backend/interpreter/values.rs",
            """//! Buffers as arrays in double precision, and back.

use crate::Buffer;
use crate::dtype::DType;
use crate::ops::RefArray;
use crate::shape::Fact;

/// The values of a buffer.
pub fn to_array(buffer: &Buffer) -> RefArray {
    let fact = buffer.fact();
    let values = match fact.dtype {
        DType::F32 => buffer.as_slice::<f32>().iter().map(|&v| f64::from(v)).collect(),
        DType::I32 => buffer.as_slice::<i32>().iter().map(|&v| f64::from(v)).collect(),
        _ => buffer.as_slice::<u8>().iter().map(|&v| f64::from(v)).collect(),
    };
    RefArray::from_shape_vec(&*fact.shape, values).expect("a buffer has its shape's elements")
}

/// A buffer of `fact` with these values.
pub fn to_buffer(array: &RefArray, fact: &Fact) -> Buffer {
    let shape = &*fact.shape;
    match fact.dtype {
        DType::F32 => Buffer::from_slice(shape, &array.iter().map(|&v| v as f32).collect::<Vec<_>>()),
        DType::I32 => Buffer::from_slice(shape, &array.iter().map(|&v| v as i32).collect::<Vec<_>>()),
        _ => Buffer::from_slice(shape, &array.iter().map(|&v| v as u8).collect::<Vec<_>>())
            .map(|buffer| buffer.with_fact(fact.clone())),
    }
    .expect("the reference has the fact's shape")
}

#[cfg(test)]
mod tests {
    use crate::backend::{self, device::Backend};
    use crate::dtype::DType;
    use crate::graph::{Graph, interpret};
    use crate::plan::PlanOptions;
    use crate::shape::Fact;
    use crate::testing::{Rng, run_plan, to_values};

    #[test]
    fn plans_run_on_it() {
        let mut g = Graph::new();
        let x = g.input(Fact::new([2, 3], DType::F32));
        let y = g.scale(x, 3.0).unwrap();
        g.set_outputs(vec![y]);
        let inputs = Rng::new(1).inputs(&g);
        let target = Some(backend::named("interpreter").unwrap().target().unwrap());
        let options = PlanOptions { target, ..PlanOptions::default() };
        let got = to_values(&run_plan(&g, &options, &inputs)[0]);
        let expected = interpret(&g, &inputs).unwrap();
        assert!(got.iter().zip(&expected[0]).all(|(a, b)| (a - b).abs() <= 1e-6));
    }
}
""",
        ),
        Insert("src/backend/mod.rs", "pub mod gpu;\n", "pub mod interpreter;\n"),
        Insert("src/backend/mod.rs", "    &cpu::Cpu,\n", "    &interpreter::Interpreter,\n"),
    ],
    rust_tests=["backend::interpreter"],
)

SAMPLES = [
    POINTWISE,
    COMPOSITE,
    PRIMITIVE,
    DTYPE,
    LAYER,
    OPTIMIZER,
    LOSS,
    METRIC,
    PASS,
    FORMAT,
    BACKEND,
]

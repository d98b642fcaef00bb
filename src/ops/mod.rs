//! The closed set of operations: one contract ([`OpDef`]), one registry, one folder an op.

pub mod arg_reduce;
pub mod argsort;
pub mod attributes;
pub mod channel_stats;
pub mod compose;
pub mod constant;
pub mod conv2d;
pub mod fft;
pub mod gather;
pub mod gradient;
pub mod linalg;
pub mod matmul;
pub mod movement;
pub mod non_max_suppression;
pub mod pointwise;
pub mod pool2d;
pub mod random;
pub mod reads;
pub mod reduce;
pub mod scan;
pub mod scatter;
pub mod special;
pub mod window;

pub use attributes::{Attribute, Attributes, Real};
pub use reads::{AxisReads, Places, Reads};

use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::shape::Fact;
use ndarray::ArrayD;
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::LazyLock;

/// What references compute on. Integers and booleans are exact in f64.
pub type RefArray = ArrayD<f64>;

/// How passes may treat an op.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Graph input or literal.
    Leaf,
    /// One output element from the elements at the same (broadcast) place.
    Pointwise,
    /// A reduction over axes.
    Reduce,
    /// The same bytes under another shape.
    View,
    /// Worth carrying attachments: convolution, matmul, pooling.
    Heavy,
    /// Moves or looks up data; runs alone.
    Data,
    /// Made of other ops; inlined after autodiff.
    Composite,
}

/// The contract of an operation.
pub trait OpDef: Debug + Send + Sync {
    /// The public name.
    fn name(&self) -> &'static str;

    /// How passes may treat it.
    fn kind(&self) -> Kind;

    /// Shape and dtype of the result.
    ///
    /// # Errors
    /// When the inputs do not fit, naming the argument, what was received and what was expected.
    fn infer(&self, inputs: &[Fact]) -> Result<Fact>;

    /// Gradients with respect to the inputs, as graph nodes, given the gradient `dy` of the
    /// output. `None` where the output does not depend differentiably on an input. A gradient
    /// has the shape of its input.
    fn grad(&self, g: &mut Graph, inputs: &[NodeId], output: NodeId, dy: NodeId) -> Result<Vec<Option<NodeId>>>;

    /// The value in f64.
    fn reference(&self, inputs: &[&RefArray], facts: &[Fact], output: &Fact) -> Result<RefArray>;

    /// For `Kind::Composite`: the op in terms of others.
    fn inline(&self, _g: &mut Graph, _inputs: &[NodeId]) -> Result<NodeId> {
        Err(Error::state(format!("{} is no composite", self.name())))
    }

    /// For `Kind::Composite`: whether `grad` is the op's own; otherwise it is inlined before
    /// autodiff.
    fn owns_gradient(&self) -> bool {
        false
    }

    /// For `Kind::Composite` of one input: whether its gradient is what arrives times a derivative that is computed of the
    /// input alone, so that the forward pass may make that one value instead of all that it is made of.
    fn factors_gradient(&self) -> bool {
        false
    }

    /// The number of the input that holds indices. Tensors of any integers become int32 there.
    fn indices(&self) -> Option<usize> {
        None
    }

    /// Whether pointwise work on input 0 can be attached to it, done while that input is read.
    fn takes_prologue(&self) -> bool {
        false
    }

    /// Whether pointwise work on its output can be attached to it, done before that is stored.
    fn takes_epilogue(&self) -> bool {
        false
    }

    /// Whether the result has elements of the inputs as they are, and no number is computed: such ops take types that are
    /// storage.
    fn moves(&self) -> bool {
        false
    }

    /// How the op reads input number `input`. `Kind::Composite` is inlined first.
    fn reads(&self, _input: usize, _inputs: &[Fact], _output: &Fact) -> Reads {
        Reads::All
    }

    /// Whether the result is the sum of what the op makes of parts of its inputs, all of which are cut along axis 0.
    fn sums_rows(&self, _inputs: &[Fact]) -> bool {
        false
    }

    /// Floating-point operations of one run (a multiply-add counts 2).
    fn flops(&self, _inputs: &[Fact], output: &Fact) -> u64 {
        output.shape.len() as u64
    }
}

/// An op that can be made from outside by name and attributes. Ops that only other ops are made of
/// keep the defaults: no names.
pub trait FromAttributes: Sized {
    /// The names it answers to.
    fn names() -> Vec<&'static str> {
        Vec::new()
    }

    /// Those of them whose result has, at each place, a number made of the inputs' there.
    fn elementwise() -> Vec<&'static str> {
        Vec::new()
    }

    /// The op `name` with these attributes.
    fn from_attributes(name: &str, _: &mut Attributes) -> Result<Self> {
        Err(Error::state(format!("{name} is not made from outside")))
    }
}

type Parse = fn(&str, &mut Attributes) -> Result<Op>;

macro_rules! registry {
    ($($(#[$doc:meta])* $variant:ident($ty:ty)),* $(,)?) => {
        /// An operation with its attributes.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum Op { $($(#[$doc])* $variant($ty)),* }

        impl Op {
            /// The op's contract.
            pub fn def(&self) -> &dyn OpDef {
                match self { $(Op::$variant(op) => op),* }
            }
        }

        $(impl From<$ty> for Op {
            fn from(op: $ty) -> Self { Op::$variant(op) }
        })*

        static BY_NAME: LazyLock<HashMap<&'static str, Parse>> = LazyLock::new(|| {
            let mut map: HashMap<&'static str, Parse> = HashMap::new();
            $(for name in <$ty as FromAttributes>::names() {
                let parse: Parse = |name, a| <$ty as FromAttributes>::from_attributes(name, a).map(Op::from);
                let before = map.insert(name, parse);
                assert!(before.is_none(), "two ops are named {name}");
            })*
            map
        });

        impl Op {
            /// Names of the ops whose result has, at each place, a number made of the inputs' there: what is known of
            /// places, such as a mask, holds for it too.
            pub fn elementwise_names() -> Vec<&'static str> {
                [$(<$ty as FromAttributes>::elementwise()),*].concat()
            }
        }
    };
}

registry! {
    /// A graph input.
    Input(constant::Input),
    /// A scalar literal.
    Constant(constant::Constant),
    /// A pointwise function.
    Pointwise(pointwise::Function),
    /// Conversion of the element type.
    Cast(pointwise::Cast),
    /// Sum, mean's sum, product, maximum, minimum over axes.
    Reduce(reduce::Reduce),
    /// The same elements under another shape.
    Reshape(movement::Reshape),
    /// Repetition along axes of extent 1.
    BroadcastTo(movement::BroadcastTo),
    /// Permutation of axes.
    Transpose(movement::Transpose),
    /// Part of a tensor.
    Slice(movement::Slice),
    /// A tensor with a border.
    Pad(movement::Pad),
    /// Tensors one after the other.
    Concat(movement::Concat),
    /// A value through which no gradient flows.
    StopGradient(movement::StopGradient),
    /// Counting along an axis.
    Iota(movement::Iota),
    /// Matrix products.
    MatMul(matmul::MatMul),
    /// 2-D convolution.
    Conv2d(conv2d::Conv2d),
    /// Its gradient by the input.
    Conv2dInputGrad(conv2d::Conv2dInputGrad),
    /// Its gradient by the filters.
    Conv2dFilterGrad(conv2d::Conv2dFilterGrad),
    /// Transposed convolution.
    Conv2dTranspose(conv2d::Conv2dTranspose),
    /// Max and average pooling.
    Pool2d(pool2d::Pool2d),
    /// Their gradient.
    Pool2dGrad(pool2d::Pool2dGrad),
    /// A tensor at the places where another is greatest.
    MaxPool2dPick(pool2d::MaxPool2dPick),
    /// Mean and variance per channel.
    ChannelStats(channel_stats::ChannelStats),
    /// Rows looked up by index.
    Gather(gather::Gather),
    /// Rows combined by index.
    Scatter(scatter::Scatter),
    /// Indices as unit vectors.
    OneHot(gather::OneHot),
    /// Where the extreme is.
    ArgReduce(arg_reduce::ArgReduce),
    /// Linear algebra.
    Linalg(linalg::Linalg),
    /// Discrete Fourier transforms.
    Fft(fft::Fft),
    /// The order of elements.
    Argsort(argsort::Argsort),
    /// Greedy choice of boxes.
    NonMaxSuppression(non_max_suppression::NonMaxSuppression),
    /// Running sums and the like.
    Scan(scan::Scan),
    /// Random numbers from a counter.
    Random(random::Random),
    /// Ops made of ops.
    Composite(compose::Composite),
    /// The gradient of a scalar, until autodiff expands it.
    Gradient(gradient::Gradient),
}

impl Op {
    /// Whether the op sums products of two operands.
    pub fn is_product(&self) -> bool {
        matches!(self, Op::MatMul(_) | Op::Conv2d(_) | Op::Conv2dInputGrad(_) | Op::Conv2dFilterGrad(_))
    }

    /// The op `name` with `attributes`, all of which must be known to it.
    ///
    /// # Errors
    /// An unknown name or attribute, or one of the wrong type or value.
    pub fn parse(name: &str, mut attributes: Attributes) -> Result<Self> {
        let parse = BY_NAME.get(name).ok_or_else(|| Error::value(format!("op: there is no op \"{name}\"")))?;
        let op = parse(name, &mut attributes).map_err(|e| e.at(name))?;
        attributes.finish(name)?;
        Ok(op)
    }

    /// Names of all ops that can be made by name, sorted.
    pub fn names() -> Vec<&'static str> {
        let mut names: Vec<_> = BY_NAME.keys().copied().collect();
        names.sort_unstable();
        names
    }
}

/// Checks the number of inputs.
pub(crate) fn expect_inputs(op: &str, inputs: &[Fact], expected: usize) -> Result<()> {
    if inputs.len() == expected {
        Ok(())
    } else {
        Err(Error::dtype(format!("{op}: expected {expected} inputs, received {}", inputs.len())))
    }
}

/// Checks that ops compute with the type of an input.
pub(crate) fn expect_computed(argument: &str, fact: &Fact) -> Result<()> {
    match fact.dtype.computed() {
        own if own == fact.dtype => Ok(()),
        other => Err(Error::dtype(format!("{argument}: expected {other}, received {}", fact.dtype))),
    }
}

/// Checks that an input is f32 or f64.
pub(crate) fn expect_float(argument: &str, fact: &Fact) -> Result<()> {
    if fact.dtype.is_float() && !fact.dtype.is_storage() {
        Ok(())
    } else {
        Err(Error::dtype(format!("{argument}: expected float32, received {}", fact.dtype)))
    }
}

/// Checks that an input has the element type of the first.
pub(crate) fn expect_like(argument: &str, fact: &Fact, first: &Fact) -> Result<()> {
    if fact.dtype == first.dtype {
        Ok(())
    } else {
        Err(Error::dtype(format!("{argument}: expected {}, received {}", first.dtype, fact.dtype)))
    }
}

//! Ops made of ops. A composite is recorded as one node; the inline pass replaces it by what it is
//! made of. Those that have a better gradient than the sum of their parts own it: they stay whole
//! until autodiff has run.
//!
//! To add one: a variant, its name and its formula in the file of its topic.

mod activations;
mod call;
mod custom;
mod losses;
mod norm;
mod reductions;
mod shape;

pub use activations::Activation;
pub use call::Call;
pub use custom::Custom;
pub use losses::Loss;
pub use norm::Norm;
pub use reductions::Reduction;
pub use shape::Movement;

use super::{Attributes, FromAttributes, Kind, OpDef, RefArray};
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId, interpret};
use crate::shape::Fact;
use smallvec::SmallVec;
use std::cell::RefCell;
use std::collections::HashMap;

/// Axes as they were given: possibly negative.
pub type Axes = SmallVec<[i64; 6]>;

/// Gradients with respect to the inputs.
type Gradients = Result<Vec<Option<NodeId>>>;

/// A composite's own gradient: `(op, graph, inputs, output, dy)`.
type OwnGradient<T> = fn(&T, &mut Graph, &[NodeId], NodeId, NodeId) -> Gradients;

/// What the composites of one topic say of themselves.
trait Compose: Sized {
    /// The names of this topic.
    const NAMES: &'static [&'static str];

    /// Those of them whose result has, at each place, a number made of the inputs' there.
    const ELEMENTWISE: &'static [&'static str] = &[];

    /// The op `name`, which is one of [`Compose::NAMES`].
    fn from_attributes(name: &str, a: &mut Attributes) -> Result<Self>;

    /// The public name.
    fn name(&self) -> &'static str;

    /// How many inputs it takes; `None` for any number but 0.
    fn arity(&self) -> Option<usize>;

    /// The op in terms of others.
    fn inline(&self, g: &mut Graph, inputs: &[NodeId]) -> Result<NodeId>;

    /// The op's own gradient, if it has one.
    fn own_gradient(&self) -> Option<OwnGradient<Self>> {
        None
    }

    /// As [`OpDef::factors_gradient`].
    fn factors_gradient(&self) -> bool {
        false
    }
}

macro_rules! topics {
    ($($(#[$doc:meta])* $topic:ident),*) => {
        /// An op made of other ops.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum Composite { $($(#[$doc])* $topic($topic)),* }

        $(impl From<$topic> for super::Op {
            fn from(op: $topic) -> Self { Composite::$topic(op).into() }
        })*

        impl Composite {
            fn arity(&self) -> Option<usize> {
                match self { $(Composite::$topic(op) => op.arity()),* }
            }

            fn check(&self, inputs: usize) -> Result<()> {
                let ok = self.arity().map_or(inputs > 0, |n| n == inputs);
                if ok {
                    return Ok(());
                }
                let expected = self.arity().map_or("at least 1".to_owned(), |n| n.to_string());
                Err(Error::dtype(format!("{}: expected {expected} inputs, received {inputs}", self.name())))
            }
        }

        impl OpDef for Composite {
            fn name(&self) -> &'static str {
                match self { $(Composite::$topic(op) => op.name()),* }
            }

            fn kind(&self) -> Kind {
                Kind::Composite
            }

            fn moves(&self) -> bool {
                matches!(self, Composite::Movement(_) | Composite::Custom(_) | Composite::Call(_))
            }

            fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
                self.check(inputs.len())?;
                if let Composite::Call(call) = self {
                    return call.fact(inputs);
                }
                inferred(self, inputs, || {
                    let (g, y) = self.scratch(inputs)?;
                    Ok(g.fact(y).clone())
                })
            }

            fn grad(&self, g: &mut Graph, inputs: &[NodeId], output: NodeId, dy: NodeId) -> Gradients {
                match self {
                    $(Composite::$topic(op) => match op.own_gradient() {
                        Some(gradient) => gradient(op, g, inputs, output, dy),
                        None => Err(Error::state(format!("{} has no gradient of its own", self.name()))),
                    }),*
                }
            }

            fn reference(&self, inputs: &[&RefArray], facts: &[Fact], _: &Fact) -> Result<RefArray> {
                let (mut g, y) = self.scratch(facts)?;
                g.set_outputs(vec![y]);
                let inputs: Vec<RefArray> = inputs.iter().map(|&x| x.clone()).collect();
                interpret(&g, &inputs)?.pop().ok_or_else(|| Error::state("the interpreter gave no value"))
            }

            fn inline(&self, g: &mut Graph, inputs: &[NodeId]) -> Result<NodeId> {
                match self { $(Composite::$topic(op) => op.inline(g, inputs)),* }
            }

            fn owns_gradient(&self) -> bool {
                match self { $(Composite::$topic(op) => op.own_gradient().is_some()),* }
            }

            fn factors_gradient(&self) -> bool {
                match self { $(Composite::$topic(op) => Compose::factors_gradient(op)),* }
            }
        }

        impl FromAttributes for Composite {
            fn names() -> Vec<&'static str> {
                [$($topic::NAMES),*].concat()
            }

            fn elementwise() -> Vec<&'static str> {
                [$($topic::ELEMENTWISE),*].concat()
            }

            fn from_attributes(name: &str, a: &mut Attributes) -> Result<Self> {
                $(if $topic::NAMES.contains(&name) {
                    return Ok(Composite::$topic(<$topic as Compose>::from_attributes(name, a)?));
                })*
                Err(Error::value(format!("there is no composite \"{name}\"")))
            }
        }
    };
}

topics! {
    /// Activation functions.
    Activation,
    /// Reductions with axes as given by the caller.
    Reduction,
    /// Reshapes, permutations, joins.
    Movement,
    /// Softmax and the losses on logits.
    Loss,
    /// Normalisation and dropout.
    Norm,
    /// Values with gradients of a program's own.
    Custom,
    /// Calls of recorded graphs.
    Call
}

impl Composite {
    /// The op inlined in a graph of its own.
    fn scratch(&self, inputs: &[Fact]) -> Result<(Graph, NodeId)> {
        let mut g = Graph::new();
        // An empty origin: errors of the parts are named by whoever asked for the composite.
        g.set_origin(Some("".into()));
        let ids: SmallVec<[NodeId; 4]> = inputs.iter().map(|f| g.input(f.clone())).collect();
        let y = self.inline(&mut g, &ids)?;
        Ok((g, y))
    }
}

/// Facts of composites that a thread remembers.
const MAX_INFERRED: usize = 1024;

thread_local! {
    /// Programs record the same ops on the same shapes over and over; inlining them for a shape alone takes microseconds.
    static INFERRED: RefCell<HashMap<(Composite, Vec<Fact>), Fact>> = RefCell::default();
}

/// The fact of `op` on `inputs`: what `infer` gave before, or gives now.
fn inferred(op: &Composite, inputs: &[Fact], infer: impl FnOnce() -> Result<Fact>) -> Result<Fact> {
    let key = (op.clone(), inputs.to_vec());
    if let Some(fact) = INFERRED.with_borrow(|known| known.get(&key).cloned()) {
        return Ok(fact);
    }
    let fact = infer()?;
    INFERRED.with_borrow_mut(|known| {
        if known.len() >= MAX_INFERRED {
            known.clear();
        }
        known.insert(key, fact.clone());
    });
    Ok(fact)
}

/// Reads `axes`, `None` for all.
fn axes_attribute(a: &mut Attributes) -> Result<Option<Axes>> {
    Ok(a.ints_opt("axes")?.map(SmallVec::from_vec))
}

/// Checks that a composite's input is f32.
fn float(g: &Graph, argument: &str, x: NodeId) -> Result<()> {
    super::expect_float(argument, g.fact(x))
}

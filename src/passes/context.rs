//! What passes are told, and what they say of their work.

use super::{PIPELINE, Pass};
use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Origin};
use crate::ops::Op;
use crate::precision::Precision;
use std::collections::HashMap;

/// Which of the pipeline's passes run. Part of a plan's key.
///
/// ```
/// use cnnrs::passes::Passes;
/// let unfolded = Passes::ALL.without("fold_bn")?;
/// assert!(unfolded.contains("simplify") && !unfolded.contains("fold_bn"));
/// assert!(Passes::ALL.without("fold").unwrap_err().to_string().contains("fold_bn"));
/// # Ok::<(), cnnrs::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Passes(u32);

impl Passes {
    /// Every pass of the pipeline.
    pub const ALL: Passes = Passes((1 << PIPELINE.len()) - 1);

    /// The passes of these names, and those that no graph can do without.
    ///
    /// # Errors
    /// When there is no pass of a name; the message names all.
    pub fn only(names: &[&str]) -> Result<Passes> {
        let required = PIPELINE.iter().enumerate().filter(|(_, pass)| pass.is_required());
        let mut chosen = required.fold(0, |bits, (k, _)| bits | 1 << k);
        for name in names {
            chosen |= 1 << place(name)?;
        }
        Ok(Passes(chosen))
    }

    /// All of these but the pass `name`.
    ///
    /// # Errors
    /// When there is no such pass, or no graph can do without it.
    pub fn without(self, name: &str) -> Result<Passes> {
        let k = place(name)?;
        if PIPELINE[k].is_required() {
            return Err(Error::value(format!("passes: {name} can't be left out: no kernel computes what it expands")));
        }
        Ok(Passes(self.0 & !(1 << k)))
    }

    /// Whether the pass `name` is one of them.
    pub fn contains(self, name: &str) -> bool {
        place(name).is_ok_and(|k| self.0 >> k & 1 == 1)
    }
}

impl Default for Passes {
    fn default() -> Self {
        Passes::ALL
    }
}

/// The place of the pass `name` in the pipeline.
fn place(name: &str) -> Result<usize> {
    PIPELINE.iter().position(|pass| pass.name() == name).ok_or_else(|| {
        let names = super::names().collect::<Vec<_>>().join(", ");
        Error::value(format!("passes: expected one of {names}, received {name:?}"))
    })
}

/// What a pass did with a node, or why it did nothing, in words for a reader who knows the network and not the
/// engine. `{}` stands for the names of the others that took part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The pass rewrote the node.
    Done(&'static str),
    /// The pass left alone what a reader might expect it to rewrite.
    Left(&'static str),
}

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The pass.
    pub pass: &'static str,
    /// The op of the node that the entry is about.
    pub op: &'static str,
    /// Where that node comes from.
    pub origin: Origin,
    /// Where the nodes come from that took part besides.
    pub with: Origin,
    /// What happened.
    pub outcome: Outcome,
}

/// A pass that ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassRun {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub does: &'static str,
    /// How many nodes the outputs depended on when it had run.
    pub nodes: usize,
}

/// What passes did, and how much of it: see [`PassContext::with_log`].
#[derive(Clone, Debug, Default)]
pub struct Log {
    entries: Vec<(Entry, usize)>,
    places: HashMap<Entry, usize>,
    runs: Vec<PassRun>,
}

impl Log {
    /// The entries in the order in which they first arose, each with how often it did.
    pub fn entries(&self) -> impl Iterator<Item = (&Entry, usize)> {
        self.entries.iter().map(|(entry, count)| (entry, *count))
    }

    /// The passes that ran, in order.
    pub fn runs(&self) -> &[PassRun] {
        &self.runs
    }

    fn add(&mut self, entry: Entry) {
        match self.places.get(&entry) {
            // A pass that works in rounds meets what it leaves alone in each of them.
            Some(&k) => self.entries[k].1 += usize::from(matches!(entry.outcome, Outcome::Done(_))),
            None => {
                self.places.insert(entry.clone(), self.entries.len());
                self.entries.push((entry, 1));
            }
        }
    }
}

/// What the passes over one graph are told: which of them run, what kernels may do to sums, which inputs are
/// constant. It takes down what they did, if somebody asked for that.
#[derive(Clone, Debug)]
pub struct PassContext {
    passes: Passes,
    precision: Precision,
    /// For each input of the graph, whether it is constant.
    constant_inputs: Vec<bool>,
    /// The pass that runs.
    pass: &'static str,
    log: Option<Log>,
}

impl PassContext {
    /// For all passes over `graph`. Its constant inputs are those that it marks as such.
    pub fn new(graph: &Graph) -> Self {
        let constant = |id: &_| matches!(&graph.node(*id).op, Op::Input(input) if input.constant);
        PassContext {
            passes: Passes::ALL,
            precision: Precision::Fast,
            constant_inputs: graph.inputs().iter().map(constant).collect(),
            pass: "",
            log: None,
        }
    }

    /// The same for `passes` alone.
    pub fn with_passes(self, passes: Passes) -> Self {
        PassContext { passes, ..self }
    }

    /// The same for kernels of `precision`.
    pub fn with_precision(self, precision: Precision) -> Self {
        PassContext { precision, ..self }
    }

    /// The same, where the inputs of numbers `constant` are constant and no others.
    pub fn with_constant_inputs(mut self, constant: &[usize]) -> Self {
        for (k, is_constant) in self.constant_inputs.iter_mut().enumerate() {
            *is_constant = constant.contains(&k);
        }
        self
    }

    /// The same, taking down what passes do.
    pub fn with_log(self) -> Self {
        PassContext { log: Some(Log::default()), ..self }
    }

    /// Which passes run.
    pub fn passes(&self) -> Passes {
        self.passes
    }

    /// What kernels may do to sums of products.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Adds to `constant`, which tells of the first nodes of `graph`, whether each further node depends on constant
    /// inputs and literals alone: its value stays the same over many runs.
    pub fn extend_constant(&self, graph: &Graph, constant: &mut Vec<bool>) {
        for node in &graph.nodes()[constant.len()..] {
            constant.push(match &node.op {
                Op::Input(input) => self.constant_inputs.get(input.index).is_some_and(|&c| c),
                _ => node.inputs.iter().all(|i| constant[i.index()]),
            });
        }
    }

    /// Whether somebody asked for a log: reasons that are not at hand need not be looked for otherwise.
    pub fn is_logging(&self) -> bool {
        self.log.is_some()
    }

    /// Takes down that the pass that runs rewrote `node`; nodes of `with` took part.
    pub fn done(&mut self, node: &Node, with: &Origin, what: &'static str) {
        self.note(node, with, Outcome::Done(what));
    }

    /// Takes down why the pass that runs left `node` alone, because of nodes of `with`.
    pub fn left(&mut self, node: &Node, with: &Origin, why: &'static str) {
        self.note(node, with, Outcome::Left(why));
    }

    fn note(&mut self, node: &Node, with: &Origin, outcome: Outcome) {
        if let Some(log) = &mut self.log {
            let (origin, with) = (node.origin.clone(), with.clone());
            log.add(Entry { pass: self.pass, op: node.op.def().name(), origin, with, outcome });
        }
    }

    /// The log, if somebody asked for one.
    pub fn log(&self) -> Option<&Log> {
        self.log.as_ref()
    }

    /// Runs one pass, whether or not it is chosen.
    ///
    /// # Errors
    /// When the pass refuses the graph; in debug builds also when what it makes is no valid graph.
    pub fn run(&mut self, pass: &dyn Pass, graph: &Graph) -> Result<Graph> {
        self.pass = pass.name();
        let graph = pass.run(graph, self)?;
        crate::reserve::check()?;
        if cfg!(debug_assertions) {
            crate::graph::verify(&graph).map_err(|e| e.at(pass.name()))?;
        }
        if let Some(log) = &mut self.log {
            let nodes = graph.live().iter().filter(|&&live| live).count();
            log.runs.push(PassRun { name: pass.name(), does: pass.does(), nodes });
        }
        Ok(graph)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::DType;
    use crate::graph::NodeId;
    use crate::ops::Real;
    use crate::ops::compose::{Composite, Norm};
    use crate::ops::conv2d::Conv2d;
    use crate::ops::gradient::Gradient;
    use crate::ops::pointwise::Function;
    use crate::ops::window::Padding;
    use crate::passes::{optimise, run};
    use crate::plan::{Plan, PlanOptions};
    use crate::shape::Fact;

    /// A convolution, batch normalisation with given statistics, ReLU, each under the name of a layer. The filters
    /// are constant or not.
    fn block(constant: bool) -> Graph {
        let mut g = Graph::new();
        let x = g.input(Fact::new([1, 6, 6, 8], DType::F32));
        g.set_origin(Some("net/conv".into()));
        let filters = Fact::new([3, 3, 8, 8], DType::F32);
        let w = if constant { g.constant_input(filters) } else { g.input(filters) };
        let conv = Conv2d { strides: [1; 2], dilation: [1; 2], padding: Padding::Same, groups: 1 };
        let y = g.apply(conv, &[x, w]).unwrap();
        g.set_origin(Some("net/bn".into()));
        let [mean, variance, gamma, beta] = std::array::from_fn(|_| g.constant_input(Fact::new([8], DType::F32)));
        let op = Composite::Norm(Norm::BatchInference { epsilon: Real::new(1e-3) });
        let z = g.apply(op, &[y, mean, variance, gamma, beta]).unwrap();
        g.set_origin(Some("net/relu".into()));
        let z = g.unary(Function::Relu, z).unwrap();
        g.set_outputs(vec![z]);
        g
    }

    fn logged(g: &Graph, passes: Passes) -> (Graph, Log) {
        let mut context = PassContext::new(g).with_passes(passes).with_log();
        let optimised = run(g, &mut context).unwrap();
        (optimised, context.log().unwrap().clone())
    }

    /// What `pass` said of nodes of `origin`.
    fn said(log: &Log, pass: &str, origin: &str) -> Vec<Outcome> {
        let entries = log.entries().filter(|(e, _)| e.pass == pass && e.origin.as_deref() == Some(origin));
        entries.map(|(e, _)| e.outcome).collect()
    }

    fn scales(g: &Graph) -> usize {
        let live = g.live();
        let image = |id: &NodeId| g.fact(*id).shape.rank() == 4 && g.fact(*id).shape[1] == 6;
        g.ids().filter(|id| live[id.index()] && g.node(*id).op == Op::Pointwise(Function::Mul)).filter(image).count()
    }

    #[test]
    fn a_pass_that_is_not_chosen_does_not_run() {
        let g = block(true);
        let (all, _) = logged(&g, Passes::ALL);
        let (some, log) = logged(&g, Passes::ALL.without("fold_bn").unwrap());
        assert_eq!((scales(&all), scales(&some)), (0, 1));
        let ran: Vec<&str> = log.runs().iter().map(|run| run.name).collect();
        assert_eq!(ran, super::super::names().filter(|&name| name != "fold_bn").collect::<Vec<_>>());
        assert_eq!(all, optimise(&g).unwrap());
    }

    #[test]
    fn plans_are_compiled_by_the_passes_of_their_options() {
        let g = block(true);
        let plan = |passes| Plan::compile(&g, &PlanOptions { passes, ..PlanOptions::default() }).unwrap().describe();
        assert!(plan(Passes::ALL).contains(" conv2d+add+relu →"), "{}", plan(Passes::ALL));
        let apart = plan(Passes::ALL.without("fold_bn").unwrap());
        assert!(apart.contains(" conv2d+mul+add+relu →"), "{apart}");
    }

    #[test]
    fn required_passes_stay() {
        let none = Passes::only(&[]).unwrap();
        assert!(none.contains("autodiff") && none.contains("inline") && !none.contains("simplify"));
        let e = Passes::ALL.without("inline").unwrap_err().to_string();
        assert!(e.contains("inline can't be left out"), "{e}");
        let e = Passes::only(&["fuse"]).unwrap_err().to_string();
        assert!(e.contains("autodiff, inline, precision") && e.contains("\"fuse\""), "{e}");
    }

    #[test]
    fn folded_normalisations_are_logged_and_those_that_cannot_be() {
        let (_, log) = logged(&block(true), Passes::ALL);
        assert!(
            matches!(said(&log, "fold_bn", "net/bn")[..], [Outcome::Done(what), ..] if what.contains("folded into")),
            "{log:?}"
        );
        assert!(said(&log, "inline", "net/bn").iter().any(|o| matches!(o, Outcome::Done(_))));
        let (_, log) = logged(&block(false), Passes::ALL);
        let said = said(&log, "fold_bn", "net/bn");
        assert!(matches!(said[..], [Outcome::Left(why)] if why.contains("weights change")), "{said:?}");
    }

    #[test]
    fn the_caller_says_which_inputs_are_constant() {
        let g = block(false);
        let mut context = PassContext::new(&g).with_constant_inputs(&[1, 2, 3, 4, 5]);
        assert_eq!(scales(&run(&g, &mut context).unwrap()), 0);
        let mut context = PassContext::new(&g).with_constant_inputs(&[1]);
        assert_eq!(scales(&run(&g, &mut context).unwrap()), 1);
    }

    #[test]
    fn nothing_is_taken_down_unless_asked_for() {
        let g = block(true);
        let mut context = PassContext::new(&g);
        run(&g, &mut context).unwrap();
        assert!(context.log().is_none() && !context.is_logging());
    }

    #[test]
    fn gradients_that_are_zero_are_logged() {
        let mut g = Graph::new();
        g.set_origin(Some("used".into()));
        let w = g.input(Fact::new([2], DType::F32));
        let y = g.unary(Function::Square, w).unwrap();
        let loss = g.sum(y, &[0], false).unwrap();
        g.set_origin(Some("unused".into()));
        let v = g.input(Fact::new([2], DType::F32));
        let gradients = [0, 1].map(|index| g.apply(Gradient { index, seeded: false }, &[loss, w, v]).unwrap());
        g.set_outputs(gradients.to_vec());
        let (_, log) = logged(&g, Passes::ALL);
        let said = log.entries().filter(|(e, _)| e.pass == "autodiff").map(|(e, _)| (e.with.as_deref(), e.outcome));
        let said: Vec<_> = said.collect();
        assert!(said.iter().any(|s| matches!(s, (Some("used"), Outcome::Done(_)))), "{said:?}");
        assert!(said.iter().any(|s| matches!(s, (Some("unused"), Outcome::Left(_)))), "{said:?}");
    }

    /// A pass with a parameter: literals rounded to a multiple of `step`, unless sums are to be strict.
    struct RoundLiterals {
        step: f64,
    }

    impl Pass for RoundLiterals {
        fn name(&self) -> &'static str {
            "round_literals"
        }

        fn does(&self) -> &'static str {
            "rounds literals"
        }

        fn run(&self, graph: &Graph, context: &mut PassContext) -> Result<Graph> {
            use crate::ops::constant::Constant;
            graph.rewrite(|g, node, inputs| match &node.op {
                Op::Constant(c) if context.precision() == Precision::Strict => {
                    context.left(node, &None, "the precision is strict");
                    g.apply(Constant::new(c.value(), node.fact.dtype), &[])
                }
                Op::Constant(c) => {
                    context.done(node, &None, "rounded");
                    g.apply(Constant::new((c.value() / self.step).round() * self.step, node.fact.dtype), &[])
                }
                _ => g.apply(node.op.clone(), inputs),
            })
        }
    }

    #[test]
    fn a_pass_takes_parameters_and_reads_the_context() {
        let mut g = Graph::new();
        let x = g.input(Fact::new([2], DType::F32));
        let y = g.scale(x, 0.3).unwrap();
        g.set_outputs(vec![y]);
        for (precision, expected) in [(Precision::Fast, 0.25), (Precision::Strict, 0.3)] {
            let mut context = PassContext::new(&g).with_precision(precision).with_log();
            let rounded = context.run(&RoundLiterals { step: 0.25 }, &g).unwrap();
            let literal = rounded.nodes().iter().find_map(|n| match &n.op {
                Op::Constant(c) => Some(c.value()),
                _ => None,
            });
            assert!((literal.unwrap() - expected).abs() < 1e-6, "{literal:?}");
            let outcomes: Vec<Outcome> = context.log().unwrap().entries().map(|(e, _)| e.outcome).collect();
            assert_eq!(matches!(outcomes[..], [Outcome::Left(_)]), precision == Precision::Strict, "{outcomes:?}");
        }
    }
}

//! The graph builder and all that follows it. Bytes become calls of the builder over all ops, with attributes that fit
//! and attributes that are absurd; each call is refused or makes a node. Whatever graph comes out verifies, its passes
//! run and keep it so, its plans compile, and a small one computes what the interpreter does in double precision.

#![no_main]

mod attributes;
mod build;
mod expected;
mod fitting;
mod run;

use arbitrary::Unstructured;
use cnnrs::graph::verify;
use cnnrs::passes::{PIPELINE, PassContext};
use cnnrs::plan::{Plan, PlanOptions};
use cnnrs::{Error, ErrorKind, Graph};
use libfuzzer_sys::fuzz_target;

/// Nodes after the passes up to which plans are compiled.
const MOST_NODES: usize = 2_000;

/// The result, or nothing where sizes overflow or memory ends. A verified graph is refused for no other reason.
fn expect<T>(what: &str, g: &Graph, result: Result<T, Error>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(e) if e.kind == ErrorKind::Memory => None,
        Err(e) => panic!("{what}: {e} ({:?})\n{g}", e.kind),
    }
}

/// The graphs before and after all passes; the first is the one that composites and gradients are expanded in.
fn passes(g: &Graph) -> Option<(Graph, Graph)> {
    let (mut now, mut plain) = (g.clone(), None);
    let mut context = PassContext::new(g);
    for pass in PIPELINE {
        now = expect(pass.name(), g, pass.run(&now, &mut context))?;
        expect(pass.name(), &now, verify(&now));
        if pass.name() == "inline" {
            plain = Some(now.clone());
        }
    }
    Some((plain.expect("composites are inlined"), now))
}

fuzz_target!(|bytes: &[u8]| {
    let mut u = Unstructured::new(bytes);
    let settings = run::Settings::take(&mut u);
    let g = build::graph(&mut u);
    expect("the builder", &g, verify(&g));
    let Some((plain, optimised)) = passes(&g) else { return };
    if optimised.nodes().len() > MOST_NODES {
        return;
    }
    let options = |fuse: bool| PlanOptions { fuse, ..settings.options(&g) };
    let unfused = expect("without fusion", &g, Plan::compile(&g, &options(false)));
    let fused = expect("with fusion", &g, Plan::compile(&g, &options(true)));
    let (Some(unfused), Some(fused)) = (unfused, fused) else { return };
    if run::is_small(&plain) && run::is_small(&optimised) {
        run::compare(&settings, &g, &plain, &optimised, &[&unfused, &fused]);
    }
});

//! Graphs as text, and as Graphviz dot.

use super::Graph;
use std::fmt::{self, Write};

impl fmt::Display for Graph {
    /// One line a node: `%4 = conv2d(%1, %3) float32(8, 28, 28, 6)  {attributes}  # origin`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for id in self.ids() {
            let n = self.node(id);
            write!(f, "%{} = {}(", id.0, n.op.def().name())?;
            for (i, x) in n.inputs.iter().enumerate() {
                write!(f, "{}%{}", if i > 0 { ", " } else { "" }, x.0)?;
            }
            write!(f, ") {}  {:?}", n.fact, n.op)?;
            if let Some(o) = &n.origin {
                write!(f, "  # {o}")?;
            }
            writeln!(f)?;
        }
        let outputs: Vec<String> = self.outputs().iter().map(|o| format!("%{}", o.0)).collect();
        writeln!(f, "return {}", outputs.join(", "))
    }
}

impl Graph {
    /// The graph in Graphviz's dot language.
    pub fn to_dot(&self) -> String {
        let mut s = String::from("digraph {\n  node [shape=box, fontname=monospace];\n");
        for id in self.ids() {
            let n = self.node(id);
            let style = if self.outputs().contains(&id) { ", style=bold" } else { "" };
            let _ = writeln!(s, "  n{} [label=\"{}\\n{}\"{style}];", id.0, n.op.def().name(), n.fact);
            for i in &n.inputs {
                let _ = writeln!(s, "  n{} -> n{};", i.0, id.0);
            }
        }
        s.push_str("}\n");
        s
    }
}

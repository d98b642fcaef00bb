//! Functions that kernels call, by subject in the `.wgsl` files beside this one. Each is its own text: a kernel carries those
//! that it calls, and those that they call.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

const TEXTS: [&str; 6] = [
    include_str!("floats.wgsl"),
    include_str!("exponentials.wgsl"),
    include_str!("angles.wgsl"),
    include_str!("integers.wgsl"),
    include_str!("random.wgsl"),
    include_str!("types.wgsl"),
];

/// Texts of functions by name, and that of the variables that stand before them.
static FUNCTIONS: LazyLock<(String, BTreeMap<&'static str, &'static str>)> = LazyLock::new(|| {
    let mut variables = String::new();
    let mut named = BTreeMap::new();
    for text in TEXTS {
        let mut parts = text.split("\nfn ");
        let head = parts.next().unwrap_or_default();
        variables.extend(head.lines().filter(|line| line.starts_with("var")).map(|line| format!("{line}\n")));
        named.extend(parts.filter_map(|part| {
            let end = part.rfind("}\n").map_or(part.len(), |at| at + 2);
            Some((part.split_once('(')?.0, &part[..end]))
        }));
    }
    (variables, named)
});

/// The functions that `text` calls and those that they call, to be put before it.
pub fn called_by(text: &str) -> String {
    let (variables, functions) = &*FUNCTIONS;
    let mut found: BTreeSet<&str> = BTreeSet::new();
    let mut texts = vec![text];
    while let Some(text) = texts.pop() {
        for name in calls(text) {
            if let Some((&name, &body)) = functions.get_key_value(name)
                && found.insert(name)
            {
                texts.push(body);
            }
        }
    }
    let bodies = found.iter().map(|name| format!("fn {}", functions[name]));
    std::iter::once(variables.clone()).chain(bodies).collect()
}

/// The words of `text` behind which a parenthesis opens.
fn calls(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices('(').filter_map(|(at, _)| {
        let before = &text[..at];
        let start = before.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(0, |i| i + 1);
        (start < at).then_some(&before[start..])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_carries_what_it_calls_and_what_that_calls() {
        let text = called_by("fn main() { let x = tanh_(y); }");
        assert!(text.contains("fn tanh_") && text.contains("fn exp_") && text.contains("fn is_nan"), "{text}");
        assert!(!text.contains("fn erf_") && text.contains("var<private> NAN_BITS"), "{text}");
    }
}

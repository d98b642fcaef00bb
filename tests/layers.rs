//! The walls of the crate: which folder imports which. [`ORDER`] is the whole rule; a line that breaks it is named.
//!
//! Unit tests are left out but for those of the ops: they may compile plans by `crate::testing`. Tests of ops that do lie
//! in `tests/ops/`.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The folders and files of `src/`, from the lowest to the highest. What stands in one row may import each other and all
/// rows above it in this list, and nothing else.
const ORDER: &[&[&str]] = &[
    // Facts.
    &["error", "dtype", "shape", "buffer", "value", "precision", "reserve"],
    // Bytes to named arrays and back.
    &["io"],
    // Images of files, decoded and augmented.
    &["data"],
    // The intermediate representation.
    &["graph", "ops"],
    // Graph to graph.
    &["passes"],
    // Which nodes run as one.
    &["fusion"],
    // In which order, and how long values live.
    &["schedule"],
    // What a backend is.
    &["backend/device", "backend/profile", "backend/packed"],
    &[BACKENDS],
    // The list of backends.
    &["backend"],
    &["plan"],
    // Tensors, variables and functions.
    &["lazy"],
    // What tests of all folders share.
    &["testing"],
    // The extension module.
    &["py"],
];

/// In [`ORDER`], the folders of `backend`: one each. They never import each other.
const BACKENDS: &str = "backend/*";

/// Whether `src/backend` has a folder of this name.
fn is_backend(name: &str) -> bool {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/backend").join(name).is_dir()
}

/// The place of a path below `src/` in [`ORDER`], and what stands there.
fn layer(path: &[&str], in_backend: bool) -> Option<(usize, String)> {
    let longest = path.iter().take(2).copied().collect::<Vec<_>>().join("/");
    let found = |name: &str| ORDER.iter().position(|row| row.contains(&name));
    let short = path.first().copied().unwrap_or_default();
    if short == "backend" && in_backend {
        return Some((found(BACKENDS)?, longest));
    }
    [longest.as_str(), short].into_iter().find_map(|name| Some((found(name)?, name.to_owned())))
}

/// The module that a source file is, as a path below the crate.
fn module(file: &Path) -> Vec<String> {
    let mut parts: Vec<String> = file.with_extension("").iter().map(|p| p.to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

/// The paths below the crate that a line names, as far as they say which layer they mean.
fn imports(line: &str, module: &[String]) -> Vec<Vec<String>> {
    let code = line.split("//").next().unwrap_or_default();
    let mut found = Vec::new();
    let words = |text: &str| -> Vec<String> {
        let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len());
        text[..end].split("::").filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            // use crate::{a, b::c};
            Some(group) => found.extend(group.split(['{', '}', ',']).map(|name| words(name.trim()))),
            None => found.push(words(rest)),
        }
    }
    for (at, _) in code.match_indices("super::") {
        if code[..at].ends_with("super::") {
            continue;
        }
        let rest = words(&code[at..]);
        let up = rest.iter().take_while(|word| *word == "super").count();
        if let Some(depth) = module.len().checked_sub(up) {
            found.push(module[..depth].iter().chain(&rest[up..]).cloned().collect());
        }
    }
    found
}

/// Whether unit tests in a row may import what stands above it.
fn tests_are_free(row: usize) -> bool {
    !ORDER[row].contains(&"ops")
}

/// What breaks the order in a file, a line each.
fn broken(file: &Path, source: &str) -> String {
    let module = module(file);
    let own = module.iter().map(String::as_str).collect::<Vec<_>>();
    let mut text = String::new();
    let in_backend = file.iter().count() > 2;
    let Some((row, name)) = layer(&own, in_backend) else {
        if module != ["lib"] {
            let _ = writeln!(text, "src/{}: stands nowhere in the order", file.display());
        }
        return text;
    };
    for (number, line) in source.lines().enumerate() {
        if line.trim_start().starts_with("#[cfg(test)]") && tests_are_free(row) {
            break;
        }
        for import in imports(line, &module) {
            let path = import.iter().map(String::as_str).collect::<Vec<_>>();
            // Names of no layer are the crate's own: macros, and what lib.rs shows.
            let Some((other, above)) = layer(&path, path.get(1).is_some_and(|name| is_backend(name))) else { continue };
            let (file, number, line) = (file.display(), number + 1, line.trim());
            if other > row {
                let _ = writeln!(text, "src/{file}:{number}: {name} stands below {above}: {line}");
            } else if ORDER[row] == [BACKENDS] && other == row && above != name {
                let _ = writeln!(text, "src/{file}:{number}: {name} stands beside {above}: {line}");
            }
        }
    }
    text
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn layers_import_only_what_stands_below_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 100, "{} files in {}", files.len(), root.display());
    let mut text = String::new();
    for file in files {
        let path = file.strip_prefix(&root).unwrap();
        let of_tests = path.iter().any(|part| {
            let part = part.to_string_lossy();
            part.starts_with("tests") || part.ends_with("_tests.rs")
        });
        if !of_tests || path.starts_with("ops") || path.starts_with("graph") {
            text += &broken(path, &std::fs::read_to_string(&file).unwrap());
        }
    }
    assert!(text.is_empty(), "imports against the order of tests/layers.rs:\n{text}");
}

#[test]
fn layers_that_are_broken_are_named() {
    let check = |file: &str, line: &str| broken(Path::new(file), line);
    assert!(check("ops/conv2d/mod.rs", "use crate::graph::Graph;").is_empty());
    assert!(check("backend/cpu/mod.rs", "use super::device::Backend;").is_empty());
    let text = check("ops/conv2d/mod.rs", "\nuse crate::backend::cpu::kernel::CpuKernel;");
    assert!(text.starts_with("src/ops/conv2d/mod.rs:2: ops stands below backend/cpu"), "{text}");
    assert!(check("fusion/mod.rs", "    crate::plan::Plan::compile(g)").contains("fusion stands below plan"));
    assert!(check("schedule/step.rs", "use super::super::plan::Plan;").contains("schedule stands below plan"));
    assert!(check("shape.rs", "use crate::{dtype::DType, py::convert};").contains("shape stands below py"));
    assert!(check("backend/device.rs", "use super::cpu::Cpu;").contains("backend/device stands below backend/cpu"));
    assert!(check("backend/cpu/lower/mod.rs", "use crate::backend::cpu::kernel::CpuKernel;").is_empty());
    assert!(check("backend/cpu/mod.rs", "use super::named;").contains("backend/cpu stands below backend"));
    let text = check("backend/gpu/lower/mod.rs", "use crate::backend::cpu::kernel::CpuKernel;");
    assert!(text.contains("backend/gpu stands beside backend/cpu"), "{text}");
    assert!(check("attic/mod.rs", "").contains("stands nowhere"));
    let test = "#[cfg(test)]\nmod tests {\n    use crate::plan::Plan;\n}";
    assert!(check("passes/mod.rs", test).is_empty());
    assert!(check("ops/mod.rs", test).contains("ops stands below plan"));
}

//! What a process found out of devices, kept for the next one in the user's folder of caches.

use super::device::Device;
use crate::io::write_atomically;
use std::path::PathBuf;

/// A file of lines: what was found, a tab, and what it holds for. Where it can't be read or written, processes find out anew.
pub(super) struct Found(pub &'static str);

/// What holds for a device: the version of this crate, the adapter, and its driver.
pub(super) fn of(device: &Device) -> String {
    let facts = &device.facts;
    let fields = [env!("CARGO_PKG_VERSION"), &facts.name, &facts.api, &facts.driver];
    fields.map(|field| field.replace(['\t', '\n'], " ")).join("\t")
}

impl Found {
    fn path(&self) -> Option<PathBuf> {
        let folder = |name: &str| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
        let cache = if cfg!(windows) {
            folder("LOCALAPPDATA")
        } else if cfg!(target_os = "macos") {
            folder("HOME").map(|home| home.join("Library/Caches"))
        } else {
            folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")))
        };
        Some(cache?.join("cnnrs").join(self.0))
    }

    /// What was found of `key` last.
    pub fn read(&self, key: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.path()?).ok()?;
        text.lines().rev().find_map(|line| Some(line.strip_suffix(key)?.strip_suffix('\t')?.to_owned()))
    }

    /// Keeps `found` of `key`.
    pub fn write(&self, key: &str, found: &str) {
        let Some(path) = self.path() else { return };
        let others = std::fs::read_to_string(&path).unwrap_or_default();
        let others = others.lines().filter(|line| !line.strip_suffix(key).is_some_and(|rest| rest.ends_with('\t')));
        let mut lines: Vec<String> = others.map(str::to_owned).collect();
        lines.push(format!("{found}\t{key}"));
        if path.parent().map(std::fs::create_dir_all).is_some_and(|made| made.is_ok()) {
            // What can't be kept is found out again.
            let _ = write_atomically(&path, |to| lines.iter().try_for_each(|line| writeln!(to, "{line}")));
        }
    }
}

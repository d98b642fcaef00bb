//! Whether the drivers of this machine survive to be asked for their adapters.
//!
//! wgpu asks each adapter what it has when it lists them, and a driver that crashes on a question (that for cooperative
//! matrices is one of the newer) takes its process along. So a process of its own asks first; what became of it is kept for
//! the next ones. Where it crashed, Vulkan is left alone.

use super::found::Found;
use crate::error::{Error, Result};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant, UNIX_EPOCH};

/// The variable that says whether another process asks drivers first: "auto", "never".
pub const PROBE_VARIABLE: &str = "CNNRS_GPU_PROBE";

/// What earlier processes found.
const FOUND: Found = Found("gpu-probe");
/// The first word of what is kept of drivers that answered.
const SURVIVED: &str = "survived";
/// How long drivers may take to answer. Some start a daemon first.
const PATIENCE: Duration = Duration::from_secs(60);

/// The command that lists adapters in a process of its own.
static COMMAND: OnceLock<Vec<OsString>> = OnceLock::new();
/// What this process knows.
static CRASH: OnceLock<Option<String>> = OnceLock::new();

/// Names the command, a program with its arguments, that asks for [`usable`](super::adapter::usable) adapters and ends. The
/// first one counts; without one nobody asks first.
pub fn set_command(command: Vec<OsString>) {
    let _ = COMMAND.set(command);
}

/// How a process ended that asked drivers for their adapters, if it crashed.
///
/// # Errors
/// `Value` when [`PROBE_VARIABLE`] can't be read.
pub(super) fn crash() -> Result<Option<&'static str>> {
    match std::env::var(PROBE_VARIABLE).unwrap_or_default().as_str() {
        "" | "auto" => {}
        "never" => return Ok(None),
        other => {
            return Err(Error::value(format!("{PROBE_VARIABLE}: expected \"auto\" or \"never\", received {other:?}")));
        }
    }
    Ok(CRASH.get_or_init(|| COMMAND.get().and_then(|command| known_or_asked(command))).as_deref())
}

fn known_or_asked(command: &[OsString]) -> Option<String> {
    let key = key();
    if let Some(known) = FOUND.read(&key) {
        return (known != SURVIVED).then_some(known);
    }
    let crash = ask(command)?;
    FOUND.write(&key, crash.as_deref().unwrap_or(SURVIVED));
    crash
}

/// How the command ended, if it crashed; `None` where that says nothing of drivers.
fn ask(command: &[OsString]) -> Option<Option<String>> {
    let (program, arguments) = command.split_first()?;
    let mut asking = Command::new(program)
        .args(arguments)
        .env(PROBE_VARIABLE, "never")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let begun = Instant::now();
    loop {
        match asking.try_wait() {
            Ok(Some(status)) if status.success() => return Some(None),
            Ok(Some(status)) => return crashed(status).map(Some),
            Ok(None) if begun.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(2)),
            Ok(None) => {
                let _ = asking.kill();
                let _ = asking.wait();
                return Some(Some(format!("no answer within {} seconds", PATIENCE.as_secs())));
            }
            Err(_) => return None,
        }
    }
}

/// What killed a process, if it did not end by itself.
fn crashed(status: ExitStatus) -> Option<String> {
    #[cfg(unix)]
    let by = std::os::unix::process::ExitStatusExt::signal(&status).map(|signal| format!("signal {signal}"));
    // Exceptions are the codes of severity "error".
    #[cfg(not(unix))]
    let by = status.code().filter(|code| *code as u32 >= 0xc000_0000).map(|code| format!("exception {code:#x}"));
    by
}

/// What an answer holds for: this version, the variables that choose drivers, and the manifests of drivers, which updates
/// write anew. Windows has those elsewhere.
fn key() -> String {
    const VARIABLES: [&str; 6] = [
        "VK_DRIVER_FILES",
        "VK_ICD_FILENAMES",
        "VK_ADD_DRIVER_FILES",
        "VK_LOADER_DRIVERS_DISABLE",
        "VK_LOADER_DRIVERS_SELECT",
        "VK_INSTANCE_LAYERS",
    ];
    const FOLDERS: [&str; 4] = ["/etc", "/usr/local/etc", "/usr/local/share", "/usr/share"];
    let mut parts = vec![env!("CARGO_PKG_VERSION").to_owned()];
    parts.extend(VARIABLES.iter().map(|name| std::env::var(name).unwrap_or_default()));
    for folder in FOLDERS {
        let Ok(entries) = std::fs::read_dir(PathBuf::from(folder).join("vulkan/icd.d")) else { continue };
        let mut manifests: Vec<String> = entries
            .flatten()
            .filter_map(|entry| {
                let since = entry.metadata().ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
                Some(format!("{} {}", entry.file_name().to_string_lossy(), since.as_secs()))
            })
            .collect();
        manifests.sort();
        parts.extend(manifests);
    }
    parts.join(" | ").replace(['\t', '\n'], " ")
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    fn asked(script: &str) -> Option<Option<String>> {
        ask(&["sh", "-c", script].map(OsString::from))
    }

    #[test]
    fn a_crash_is_told_from_an_answer_and_from_what_says_nothing() {
        assert_eq!(asked("exit 0"), Some(None));
        assert_eq!(asked("kill -SEGV $$"), Some(Some("signal 11".to_owned())));
        assert_eq!(asked("exit 1"), None, "a command that fails by itself never came to ask");
        assert_eq!(asked(&format!("test \"${PROBE_VARIABLE}\" = never")), Some(None), "who asks is not asked about");
        assert_eq!(ask(&[OsString::from("/no/such/program")]), None);
    }
}

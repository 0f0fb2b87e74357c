//! The machine that the figures are from, and the programs on it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The processor, cores, kernel and compiler.
pub fn describe() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kept =
        if pins() { "server and generator on a core each" } else { "server and generator on any core" };
    [
        model.map_or("processor not known", |(_, model)| model).to_owned(),
        format!("{cores} cores"),
        said_by("uname", &["-sr"]),
        said_by("rustc", &["--version"]),
        kept.to_owned(),
    ]
    .join("; ")
}

/// The command for a program, pinned to a core if `taskset` exists.
pub fn pinned(program: &Path, core: &str) -> Command {
    if !pins() {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", core]).arg(program);
    command
}

pub fn pins() -> bool {
    on_path("taskset").is_some()
}

/// The path of a program, if it is on PATH.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.is_file())
}

fn said_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|_| format!("{program} not found"))
}

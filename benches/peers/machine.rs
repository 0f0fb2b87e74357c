//! The machine that the figures are from.

use std::process::Command;

use crate::servers::pins;

/// Processor, cores, kernel, compiler, one after the other.
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

fn said_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|_| format!("{program} not found"))
}

//! The password of a room, from a file or the environment.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use crate::net::explain;
use crate::protocol::{PASSWORD_BYTES, Password};

/// The environment variable that holds the password if no file is named.
pub const VARIABLE: &str = "CHAT_PASSWORD";

/// Loads the password from the first line of `file` or, without a file, from the variable [`VARIABLE`];
/// `None` if there is neither.
///
/// # Errors
///
/// A sentence that says why it cannot be read, or is not a password.
pub fn load(file: Option<&Path>) -> Result<Option<Password>, String> {
    if let Some(path) = file {
        return read(path).map(Some).map_err(|reason| format!("cannot use {}: {reason}", path.display()));
    }
    let Some(password) = std::env::var_os(VARIABLE) else { return Ok(None) };
    let password = password.into_string().map_err(|_| format!("{VARIABLE} is not valid UTF-8"))?;
    Password::parse(&password).map(Some).map_err(|error| format!("cannot use {VARIABLE}: {error}"))
}

fn read(path: &Path) -> Result<Password, String> {
    // Enough to notice that a line is too long.
    let most_bytes = PASSWORD_BYTES as u64 + 2;
    let mut line = Vec::new();
    File::open(path)
        .and_then(|file| BufReader::new(file).take(most_bytes).read_until(b'\n', &mut line))
        .map_err(|error| explain(&error))?;
    let line = line.strip_suffix(b"\n").unwrap_or(&line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let password = std::str::from_utf8(line).map_err(|_| "it is not valid UTF-8".to_owned())?;
    Password::parse(password).map_err(|error| error.to_string())
}

//! How many files and connections the operating system lets a process have open.

/// How many descriptors a process needs beside those of its connections.
pub const OTHER_DESCRIPTORS: u64 = 16;

/// Sees to it that this process may have so many connections, by raising its own limit of descriptors
/// to what the operating system allows it.
///
/// # Errors
///
/// How many descriptors it may have, connections and others, where those are too few.
#[cfg(unix)]
pub fn allow_connections(connections: usize) -> Result<(), u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let needed = (connections as u64).saturating_add(OTHER_DESCRIPTORS);
    let enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= needed);
    // Where there is no number there is no limit.
    let maximum = getrlimit(Resource::Nofile).maximum;
    let raise_to = |current| setrlimit(Resource::Nofile, Rlimit { current, maximum });
    if raise_to(maximum).is_err() && !enough(getrlimit(Resource::Nofile).current) {
        // Some systems do not take the maximum that they name; what is needed may be less. Whether
        // that has worked is asked below.
        let _ = raise_to(Some(needed));
    }
    match getrlimit(Resource::Nofile).current {
        Some(limit) if limit < needed => Err(limit),
        _ => Ok(()),
    }
}

/// Elsewhere connections are no descriptors, and there is no such limit.
///
/// # Errors
///
/// Never.
#[cfg(not(unix))]
pub fn allow_connections(_connections: usize) -> Result<(), u64> {
    Ok(())
}

//! How many files and connections the operating system lets a process have open.

/// How many descriptors a process needs besides those of its connections.
pub const OTHER_DESCRIPTORS: u64 = 16;

/// Makes room for this many connections, by raising the process's own limit of descriptors to the maximum
/// that the operating system allows.
///
/// # Errors
///
/// The limit, for connections and all other descriptors together, if it is too low.
#[cfg(unix)]
pub fn allow_connections(connections: usize) -> Result<(), u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let needed = (connections as u64).saturating_add(OTHER_DESCRIPTORS);
    let enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= needed);
    // `None` means no limit.
    let maximum = getrlimit(Resource::Nofile).maximum;
    let raise_to = |current| setrlimit(Resource::Nofile, Rlimit { current, maximum });
    if raise_to(maximum).is_err() && !enough(getrlimit(Resource::Nofile).current) {
        // Some systems reject the maximum that they report, but accept less. The result is checked
        // below.
        let _ = raise_to(Some(needed));
    }
    match getrlimit(Resource::Nofile).current {
        Some(limit) if limit < needed => Err(limit),
        _ => Ok(()),
    }
}

/// Other systems do not count connections as descriptors, and have no such limit.
///
/// # Errors
///
/// Never.
#[cfg(not(unix))]
pub fn allow_connections(_connections: usize) -> Result<(), u64> {
    Ok(())
}

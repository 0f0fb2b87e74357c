//! What an error of the operating system means, for people and for an accept loop.

use std::io;

/// Whether an error of `accept` concerns only one connection, for example because its other end is already
/// gone. Then the next connection can be accepted at once. All other errors, such as a lack of descriptors or
/// memory, would only be repeated.
#[must_use]
pub fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionReset, HostUnreachable, Interrupted, InvalidInput, NetworkDown,
        NetworkUnreachable, NotConnected,
    };
    let kind = matches!(
        error.kind(),
        // Windows and macOS return the last two for a socket that its peer has reset.
        ConnectionAborted | ConnectionReset | NotConnected | InvalidInput
            // accept(2) passes on pending network errors of the new connection.
            | NetworkDown | NetworkUnreachable | HostUnreachable | Interrupted
    );
    kind || error.raw_os_error().is_some_and(|code| CODES_OF_ONE_CONNECTION.contains(&code))
}

/// Errors of one connection that have no [`io::ErrorKind`].
#[cfg(unix)]
const CODES_OF_ONE_CONNECTION: &[i32] = &[
    libc::EPROTO,
    libc::ENOPROTOOPT,
    libc::EHOSTDOWN,
    libc::EOPNOTSUPP,
    #[cfg(any(target_os = "linux", target_os = "android"))]
    libc::ENONET,
];

/// `WSAENOPROTOOPT`, `WSAEOPNOTSUPP` and `WSAEHOSTDOWN`.
#[cfg(windows)]
const CODES_OF_ONE_CONNECTION: &[i32] = &[10042, 10045, 10064];

/// Describes an error of a socket or a file in plain words.
#[must_use]
pub fn explain(error: &io::Error) -> String {
    let known = match error.kind() {
        io::ErrorKind::AddrInUse => "the port is in use",
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address",
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
            "connection reset"
        }
        io::ErrorKind::TimedOut => "timed out",
        io::ErrorKind::PermissionDenied => "permission denied",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "no way to reach it",
        io::ErrorKind::StorageFull => "no space left on device",
        _ => return explain_text(&error.to_string(), error.raw_os_error()),
    };
    known.to_owned()
}

/// The operating system's description, without the number that Rust appends.
fn explain_text(text: &str, code: Option<i32>) -> String {
    if text.starts_with("failed to lookup address information") {
        return "unknown host".to_owned();
    }
    if cfg!(windows)
        && let Some(known) = code.and_then(explain_windows_code)
    {
        return known.to_owned();
    }
    let sentence = text.split(" (os error").next().unwrap_or_default();
    // Windows has no text for some errors.
    if sentence.contains("FormatMessageW()") {
        return code.map_or_else(|| "an unknown error".to_owned(), |code| format!("system error {code}"));
    }
    // Windows ends its sentences with a full stop, but a reason is part of a sentence of ours.
    sentence.trim_end_matches('.').to_owned()
}

/// Errors that have no [`io::ErrorKind`], or whose description by Windows does not help.
fn explain_windows_code(code: i32) -> Option<&'static str> {
    Some(match code {
        // ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION
        32 | 33 => "another program has it open",
        // WSAEMFILE
        10024 => "too many open sockets",
        // WSAENETDOWN, WSAENETRESET
        10050 | 10052 => "the network is down",
        // WSAENOBUFS
        10055 => "the system has no memory left for sockets",
        // WSAENOTCONN, WSAESHUTDOWN
        10057 | 10058 => "not connected",
        // WSAEHOSTDOWN
        10064 => "no way to reach it",
        // WSAHOST_NOT_FOUND, WSATRY_AGAIN, WSANO_RECOVERY, WSANO_DATA
        11001..=11004 => "unknown host",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_one_connection_are_told_from_those_that_would_be_repeated() {
        use io::ErrorKind::{ConnectionAborted, ConnectionReset, InvalidInput, NotConnected};
        for kind in [ConnectionReset, ConnectionAborted, NotConnected, InvalidInput] {
            assert!(is_of_one_connection(&kind.into()), "{kind}");
        }
        for kind in [io::ErrorKind::OutOfMemory, io::ErrorKind::Other, io::ErrorKind::PermissionDenied] {
            assert!(!is_of_one_connection(&kind.into()), "{kind}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn errors_of_accept_on_linux_are_known() {
        let error = io::Error::from_raw_os_error;
        for code in [
            libc::ENETDOWN,
            libc::EPROTO,
            libc::ENOPROTOOPT,
            libc::EHOSTDOWN,
            libc::ENONET,
            libc::EHOSTUNREACH,
            libc::EOPNOTSUPP,
            libc::ENETUNREACH,
            libc::ECONNABORTED,
            libc::EINTR,
        ] {
            assert!(is_of_one_connection(&error(code)), "{}", error(code));
        }
        for code in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::EBADF] {
            assert!(!is_of_one_connection(&error(code)), "{}", error(code));
        }
    }

    #[test]
    fn a_reason_is_part_of_a_sentence_whatever_the_system_says() {
        for (text, code, reason) in [
            ("No such file or directory (os error 2)", 2, "No such file or directory"),
            (
                "The system cannot find the file specified. (os error 2)",
                2,
                "The system cannot find the file specified",
            ),
            (
                "OS Error 10093 (FormatMessageW() returned error 317) (os error 10093)",
                10093,
                "system error 10093",
            ),
            ("failed to lookup address information: Name or service not known", 0, "unknown host"),
        ] {
            assert_eq!(explain_text(text, Some(code)), reason);
        }
    }

    #[test]
    #[cfg(windows)]
    fn errors_of_windows_are_described_in_plain_words() {
        for (code, reason) in [
            (32, "another program has it open"),
            (10024, "too many open sockets"),
            (10048, "the port is in use"),
            (10054, "connection reset"),
            (10057, "not connected"),
            (10061, "connection refused"),
            (11001, "unknown host"),
        ] {
            assert_eq!(explain(&io::Error::from_raw_os_error(code)), reason, "{code}");
        }
    }
}

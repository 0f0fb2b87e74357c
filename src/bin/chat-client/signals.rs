//! The signals that ask a client without a terminal to leave.

use std::future::pending;
use std::io;

/// Completes when somebody asks the client to leave: a person with Ctrl-C, the system when it ends, a terminal that
/// is closed.
pub async fn asked_to_leave() {
    // Without the handlers a signal ends the process, which the server notices as well.
    if platform::wait().await.is_err() {
        pending::<()>().await;
    }
}

#[cfg(unix)]
mod platform {
    use tokio::signal::unix::{SignalKind, signal};

    use super::{io, pending};

    pub(super) async fn wait() -> io::Result<()> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let hang_up = async {
            // A client that was started to outlive its terminal does so.
            if is_hang_up_ignored() {
                return pending().await;
            }
            signal(SignalKind::hangup())?.recv().await;
            Ok(())
        };
        tokio::select! {
            biased;
            _ = interrupt.recv() => Ok(()),
            _ = terminate.recv() => Ok(()),
            ended = hang_up => ended,
        }
    }

    /// Whether the client was started with `nohup`. Only Linux tells.
    #[cfg(target_os = "linux")]
    fn is_hang_up_ignored() -> bool {
        use std::fs::File;
        use std::io::{BufRead as _, BufReader, Read as _};

        /// The most that is read of what the system tells of the process, in bytes.
        const STATUS_BYTES: u64 = 16 * 1_024;
        /// SIGHUP among the ignored signals, which are one bit each.
        const HANG_UP: u64 = 1;

        let Ok(status) = File::open("/proc/self/status") else { return false };
        let mut lines = BufReader::new(status).take(STATUS_BYTES).lines().map_while(Result::ok);
        let ignored = lines.find_map(|line| line.strip_prefix("SigIgn:").map(|mask| mask.trim().to_owned()));
        ignored.and_then(|mask| u64::from_str_radix(&mask, 16).ok()).is_some_and(|mask| mask & HANG_UP != 0)
    }

    #[cfg(not(target_os = "linux"))]
    fn is_hang_up_ignored() -> bool {
        false
    }
}

#[cfg(windows)]
mod platform {
    use tokio::signal::windows;

    use super::io;

    pub(super) async fn wait() -> io::Result<()> {
        let mut ctrl_c = windows::ctrl_c()?;
        let mut ctrl_break = windows::ctrl_break()?;
        let mut close = windows::ctrl_close()?;
        let mut logoff = windows::ctrl_logoff()?;
        let mut shutdown = windows::ctrl_shutdown()?;
        tokio::select! {
            biased;
            _ = ctrl_c.recv() => {}
            _ = ctrl_break.recv() => {}
            _ = close.recv() => {}
            _ = logoff.recv() => {}
            _ = shutdown.recv() => {}
        }
        Ok(())
    }
}

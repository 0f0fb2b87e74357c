//! What a process has used, as the operating system tells: on Linux; elsewhere it is not told.

use std::time::Duration;

/// The processor time of a process so far, in the unit of the scheduler's clock (10 ms as a rule).
#[cfg(target_os = "linux")]
#[must_use]
pub fn cpu_time(process: u32) -> Option<Duration> {
    let stat = std::fs::read(format!("/proc/{process}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The name in brackets may contain anything; behind it user and system time are the 12th and
    // 13th field.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Some(Duration::from_millis(ticks * 1_000 / rustix::param::clock_ticks_per_second()))
}

/// The memory of a process that is resident, in bytes. What the kernel holds for its sockets is
/// not in it.
#[cfg(target_os = "linux")]
#[must_use]
pub fn resident_bytes(process: u32) -> Option<u64> {
    let statm = std::fs::read(format!("/proc/{process}/statm")).ok()?;
    let pages: u64 = String::from_utf8_lossy(&statm).split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * u64::try_from(rustix::param::page_size()).ok()?)
}

/// The processor time of a process is not told here.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn cpu_time(_process: u32) -> Option<Duration> {
    None
}

/// The memory of a process is not told here.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn resident_bytes(_process: u32) -> Option<u64> {
    None
}

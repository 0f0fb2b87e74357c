//! What a process has used, as Linux tells. Elsewhere it is not known.

use std::time::Duration;

/// The processor time of a process so far, in ticks of the scheduler (usually 10 ms).
#[cfg(target_os = "linux")]
#[must_use]
pub fn cpu_time(process: u32) -> Option<Duration> {
    let stat = std::fs::read(format!("/proc/{process}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The name in brackets may contain anything; after it user and system time are the 12th and
    // 13th fields.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Some(Duration::from_millis(ticks * 1_000 / rustix::param::clock_ticks_per_second()))
}

/// The processor time of a process so far, and the time for which its threads had work to do and waited for a
/// processor. A process that spins wants a processor all the time, however little a busy machine gives it.
#[cfg(target_os = "linux")]
#[must_use]
pub fn wanted_cpu_time(process: u32) -> Option<Duration> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).ok()?;
    // The second field, in nanoseconds; kernels without this statistic have no such file.
    let waited = |thread: &std::path::Path| -> Option<u64> {
        let statistics = std::fs::read(thread.join("schedstat")).ok()?;
        String::from_utf8_lossy(&statistics).split_whitespace().nth(1)?.parse().ok()
    };
    let waited: u64 = threads.flatten().filter_map(|thread| waited(&thread.path())).sum();
    Some(cpu_time(process)? + Duration::from_nanos(waited))
}

/// The resident memory of a process, in bytes, without what the kernel holds for its sockets.
#[cfg(target_os = "linux")]
#[must_use]
pub fn resident_bytes(process: u32) -> Option<u64> {
    let statm = std::fs::read(format!("/proc/{process}/statm")).ok()?;
    let pages: u64 = String::from_utf8_lossy(&statm).split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * u64::try_from(rustix::param::page_size()).ok()?)
}

/// Not known here.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn cpu_time(_process: u32) -> Option<Duration> {
    None
}

/// Not known here.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn wanted_cpu_time(_process: u32) -> Option<Duration> {
    None
}

/// Not known here.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn resident_bytes(_process: u32) -> Option<u64> {
    None
}

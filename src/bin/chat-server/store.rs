//! `--store`: the file in which the room outlives the server.

use std::path::Path;
use std::time::Duration;

use commonroom::commit_log::{Keep, Sqlite};
use commonroom::protocol::Timestamp;
use commonroom::server::{Config, Store};

const BYTES_IN_MEBIBYTE: u64 = 1_024 * 1_024;
const BYTES_IN_GIBIBYTE: u64 = 1_024 * BYTES_IN_MEBIBYTE;
const SECONDS_IN_DAY: u64 = 24 * 60 * 60;

/// The smallest store: what the largest snapshot takes, several times over.
const LEAST_BYTES: u64 = 16 * BYTES_IN_MEBIBYTE;

/// Parses how much is kept: a size, a number of days, or both: `10GiB,90d`.
pub fn parse_keep(text: &str) -> Result<Keep, String> {
    let mut keep = Keep { bytes: u64::MAX, age: None };
    for part in text.split(',') {
        if let Some(days) = number_before(part, "d") {
            keep.age = Some(Duration::from_secs(days.saturating_mul(SECONDS_IN_DAY)));
        } else if let Some(size) = number_before(part, "MiB") {
            keep.bytes = size.saturating_mul(BYTES_IN_MEBIBYTE);
        } else if let Some(size) = number_before(part, "GiB") {
            keep.bytes = size.saturating_mul(BYTES_IN_GIBIBYTE);
        } else {
            return Err("give a size, a number of days, or both, as in 500MiB or 10GiB,90d".to_owned());
        }
    }
    if keep.bytes < LEAST_BYTES {
        return Err(format!("a store has at least {} MiB", LEAST_BYTES / BYTES_IN_MEBIBYTE));
    }
    Ok(keep)
}

fn number_before(text: &str, unit: &str) -> Option<u64> {
    text.trim().strip_suffix(unit)?.trim_end().parse().ok()
}

/// Opens the store, and reads the room that is in it. The log exists.
pub async fn open(
    path: &Path,
    log: &Path,
    keep: Keep,
    now: fn() -> Timestamp,
    config: &Config,
) -> Result<Store<Sqlite>, String> {
    if let (Ok(store), Ok(log)) = (path.canonicalize(), log.canonicalize())
        && store == log
    {
        return Err(format!(
            "the store {} is the log as well; choose another file with --store",
            path.display()
        ));
    }
    let log = Sqlite::open(path, keep, now).map_err(|error| error.to_string())?;
    Store::recover(log, config).await.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_and_an_age_are_given_with_their_units() {
        let keep = |text| parse_keep(text).map(|keep| (keep.bytes, keep.age.map(|age| age.as_secs())));
        assert_eq!(keep("500MiB"), Ok((500 << 20, None)));
        assert_eq!(keep("10GiB, 90d"), Ok((10 << 30, Some(90 * 86_400))));
        assert_eq!(keep("1d"), Ok((u64::MAX, Some(86_400))));
        assert_eq!(keep("1MiB"), Err("a store has at least 16 MiB".to_owned()));
        for wrong in ["", "10", "10GB", "d", "-1d", "1GiB;2d"] {
            assert!(keep(wrong).is_err_and(|error| error.starts_with("give a size")), "{wrong}");
        }
    }
}

//! Moments of the wall clock.

use std::fmt;

/// A moment, in milliseconds since 1970 in UTC. It says when something happened, for people; nothing is ordered by
/// it, since clocks are set. Displayed to the minute, in UTC: `2026-11-24 18:07`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The whole seconds since 1970.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.0 / 1_000
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.seconds() / 60;
        let (year, month, day) = date(minutes / (24 * 60));
        let (hour, minute) = (minutes / 60 % 24, minutes % 60);
        write!(formatter, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}")
    }
}

/// The Gregorian date that is so many days after 1970-01-01.
fn date(days: u64) -> (u64, u64, u64) {
    const DAYS_IN_ERA: u64 = 146_097;
    // Eras of 400 years that begin on 1 March, so that a leap day is the last of its year.
    let days = days + 719_468;
    let (era, day_of_era) = (days / DAYS_IN_ERA, days % DAYS_IN_ERA);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months + 2) / 5 + 1;
    let (month, is_next_year) = if months < 10 { (months + 3, 0) } else { (months - 9, 1) };
    (400 * era + year_of_era + is_next_year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_displayed_as_people_read_it() {
        for (seconds, shown) in [
            (0, "1970-01-01 00:00"),
            (951_782_400, "2000-02-29 00:00"),
            (951_868_799, "2000-02-29 23:59"),
            (951_868_800, "2000-03-01 00:00"),
            (1_795_543_678, "2026-11-24 18:07"),
            (4_107_542_400, "2100-03-01 00:00"),
        ] {
            assert_eq!(Timestamp(seconds * 1_000 + 999).to_string(), shown);
        }
        assert!(!Timestamp(u64::MAX).to_string().is_empty(), "whatever a store says");
    }

    #[test]
    fn each_day_of_400_years_follows_the_one_before() {
        let lengths = |year: u64| {
            let is_leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
            [31, if is_leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        };
        let mut days = 0;
        for year in 1970..2370 {
            for (month, length) in (1..).zip(lengths(year)) {
                for day in 1..=length {
                    assert_eq!(date(days), (year, month, day));
                    days += 1;
                }
            }
        }
    }
}

//! NumericDates (RFC 7519 §2) in the words of a calendar.

use crate::clock::Now;
use crate::encoding::json::Object;
use std::fmt;

/// A claim that is a NumericDate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Date {
    pub(super) claim: String,
    /// Whole seconds since the epoch, rounded down.
    pub(super) seconds: i64,
    /// Seconds from now; negative in the past.
    pub(super) in_seconds: i64,
}

/// Claims of RFC 7519 and OpenID Connect that are NumericDates.
const DATE_CLAIMS: [&str; 5] = ["iat", "nbf", "exp", "auth_time", "updated_at"];

/// The year 9999 and as far back: beyond it a calendar says little.
const CALENDAR_SECONDS_MAX: i64 = 253_402_300_799;

pub(super) fn of_claims(claims: Option<&Object<'_>>, now: Now) -> Vec<Date> {
    let Some(claims) = claims else {
        return Vec::new();
    };
    DATE_CLAIMS
        .into_iter()
        .filter_map(|claim| {
            let number = claims.get(claim)?.as_number()?;
            let (seconds, _) = number.floor_and_ceil(CALENDAR_SECONDS_MAX)?;
            // The side that verification takes: the later for `exp`, the earlier for the others.
            let now = if claim == "exp" {
                now.latest
            } else {
                now.earliest
            };
            Some(Date {
                claim: claim.to_owned(),
                seconds,
                in_seconds: seconds - now,
            })
        })
        .collect()
}

impl Date {
    /// As RFC 3339 writes it, in UTC.
    pub(super) fn rfc3339(&self) -> String {
        let days = self.seconds.div_euclid(86_400);
        let second = self.seconds.rem_euclid(86_400);
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.claim, self.rfc3339())?;
        match self.in_seconds {
            0 => f.write_str("(now)"),
            1.. => write!(f, "(in {})", Span(self.in_seconds)),
            _ => write!(f, "({} ago)", Span(-self.in_seconds)),
        }
    }
}

/// A duration in its two largest units.
pub(super) struct Span(pub(super) i64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(i64, &str); 5] = [
            (31_556_952, "y"),
            (86_400, "d"),
            (3_600, "h"),
            (60, "min"),
            (1, "s"),
        ];
        let largest = UNITS
            .iter()
            .position(|(unit, _)| self.0 >= *unit)
            .unwrap_or(4);
        let mut rest = self.0;
        for (index, (unit, name)) in UNITS.iter().enumerate().skip(largest).take(2) {
            let count = rest / unit;
            rest %= unit;
            if index == largest {
                write!(f, "{count} {name}")?;
            } else if count > 0 {
                write!(f, " {count} {name}")?;
            }
        }
        Ok(())
    }
}

/// Days since the epoch to a date of the Gregorian calendar, by counting years from the first of March, so
/// that the leap day comes last.
fn civil(days: i64) -> (i64, i64, i64) {
    // 719,468 days lie between 0000-03-01 and the epoch; 146,097 days are 400 years.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Five months from March have 153 days, and so have five from August.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> String {
        Date {
            claim: "exp".to_owned(),
            seconds,
            in_seconds: 0,
        }
        .rfc3339()
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(-1), "1969-12-31T23:59:59Z");
        // RFC 7519 §3.1's `exp`, and leap days on either side of a century that is none.
        assert_eq!(at(1_300_819_380), "2011-03-22T18:43:00Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00Z");
        assert_eq!(at(CALENDAR_SECONDS_MAX), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn spans_name_their_two_largest_units() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3_723, "1 h 2 min"),
            (90_061, "1 d 1 h"),
        ] {
            assert_eq!(Span(seconds).to_string(), text);
        }
    }
}

//! Times as object stores write them (ISO 8601, RFC 3339).

use twinpeak_core::time::{mjd_of_date, whole_numbers};

/// MJD of 1970-01-01.
const UNIX_MJD: i64 = 40_587;

/// Milliseconds since 1970 (UTC) of `2026-01-30T12:00:00.000Z`; the fraction may have any length or be absent, and
/// the zone may be an offset. `None` where it is no such time.
pub(super) fn unix_ms(text: &str) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let (time, rest) = rest.strip_prefix('T')?.split_at_checked(8)?;
    let [year, month, day] = whole_numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = whole_numbers(time, ':', [2, 2, 2])?;
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).filter(|&digits| digits > 0)?),
        None => ("0", rest),
    };
    let [millisecond] = whole_numbers(&format!("{fraction:0<3.3}"), '.', [3])?;
    let offset_min = match zone.split_at_checked(1)? {
        ("Z", "") => 0,
        ("+", offset) => minutes_of(offset)?,
        ("-", offset) => -minutes_of(offset)?,
        _ => return None,
    };
    let days = mjd_of_date(year, month, day)? - UNIX_MJD;
    let sound = hour < 24 && minute < 60 && second <= 60;
    let minutes = (days * 24 + hour) * 60 + minute - offset_min;
    sound.then_some((minutes * 60 + second) * 1000 + millisecond)
}

fn minutes_of(offset: &str) -> Option<i64> {
    let [hours, minutes] = whole_numbers(offset, ':', [2, 2])?;
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        // The numbers are those of `date -u -d TEXT +%s%3N`.
        for (text, ms) in [
            ("1970-01-01T00:00:00.000Z", 0),
            ("2017-09-04T09:22:31Z", 1_504_516_951_000),
            ("2019-11-22T13:47:35.124724Z", 1_574_430_455_124),
            ("2000-02-29T23:59:59.9Z", 951_868_799_900),
            ("2026-01-30T12:00:00.050+02:00", 1_769_767_200_050),
            ("2026-01-30T12:00:00.0000000000000000000000000Z", 1_769_774_400_000),
            ("2026-01-30T12:00:00-05:30", 1_769_794_200_000),
            ("1969-12-31T23:59:59Z", -1_000),
            ("0000-01-01T00:00:00Z", -62_167_219_200_000),
            ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
        ] {
            assert_eq!(unix_ms(text), Some(ms), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_not_read() {
        for text in [
            "",
            "The time, in ISO-8601 format",
            "2026-01-30",
            "2026-01-30T12:00:00",
            "2026-01-30T12:00:00.",
            "2026-01-30T12:00:00.Z",
            "2026-01-30T12:00:00.5",
            "2026-01-30T12:00:00.٣Z",
            "2026-01-30 12:00:00Z",
            "2026-02-29T12:00:00Z",
            "2026-13-01T12:00:00Z",
            "2026-00-01T12:00:00Z",
            "2026-01-00T12:00:00Z",
            "2026-01-30T24:00:00Z",
            "2026-01-30T12:60:00Z",
            "2026-01-30T12:00:61Z",
            "+026-01-30T12:00:00Z",
            "2026-01-30T12:00:00+2:000",
            "2026-01-30T12:00:00+25:00",
            "2026-01-30T12:00:00Zulu",
            "2026-1-030T12:00:00Z",
            "2026-01-30T12:0:000Z",
            "éé26-01-30T12:00:00Z",
        ] {
            assert_eq!(unix_ms(text), None, "{text}");
        }
    }
}

//! Times as object stores write them (ISO 8601, RFC 3339).

/// Milliseconds since 1970 (UTC) of `2026-01-30T12:00:00.000Z`; the fraction may have any length or be absent, and
/// the zone may be an offset. `None` where it is no such time.
pub(super) fn unix_ms(text: &str) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let (time, rest) = rest.strip_prefix('T')?.split_at_checked(8)?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).filter(|&digits| digits > 0)?),
        None => ("0", rest),
    };
    let [millisecond] = numbers(&format!("{fraction:0<3.3}"), '.', [3])?;
    let offset_min = match zone.split_at_checked(1)? {
        ("Z", "") => 0,
        ("+", offset) => minutes_of(offset)?,
        ("-", offset) => -minutes_of(offset)?,
        _ => return None,
    };
    let sound = (1..=days_in(year, month)?).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    let minutes = (days_since_1970(year, month, day) * 24 + hour) * 60 + minute - offset_min;
    sound.then_some((minutes * 60 + second) * 1000 + millisecond)
}

/// Numbers of so many digits each, a sign between them.
fn numbers<const N: usize>(text: &str, sign: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut numbers = [0; N];
    let mut parts = text.split(sign);
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next().filter(|part| part.len() == digits && part.bytes().all(|b| b.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

fn minutes_of(offset: &str) -> Option<i64> {
    let [hours, minutes] = numbers(offset, ':', [2, 2])?;
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

fn days_in(year: i64, month: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 => Some(if leap { 29 } else { 28 }),
        _ => None,
    }
}

/// Days of the Gregorian calendar, counted in years that begin in March, so that the leap day is a year's last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
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

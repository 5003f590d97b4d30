//! Times of exposures: from what headers write, in any of the usual time scales, to MJD (TAI).
//!
//! The scales and the ways of writing are those of the FITS standard 4.0, section 9, after Rots et al. 2015, A&A 574, A36.

/// Seconds of a day.
pub const DAY_S: f64 = 86_400.0;

/// What an exposure's time may be, MJD: the years 1980 to 2100. Whatever lies outside is in another unit, or no time.
pub const SANE_MJD: std::ops::Range<f64> = 44_239.0..88_069.0;

/// TAI - UTC, s, from 0h UTC of a day on (MJD). International Earth Rotation Service, Bulletin C; none was announced
/// after that of 2017.
const LEAP_SECONDS: [(i64, f64); 19] = [
    (44_239, 19.0), // 1980-01-01
    (44_786, 20.0), // 1981-07-01
    (45_151, 21.0), // 1982-07-01
    (45_516, 22.0), // 1983-07-01
    (46_247, 23.0), // 1985-07-01
    (47_161, 24.0), // 1988-01-01
    (47_892, 25.0), // 1990-01-01
    (48_257, 26.0), // 1991-01-01
    (48_804, 27.0), // 1992-07-01
    (49_169, 28.0), // 1993-07-01
    (49_534, 29.0), // 1994-07-01
    (50_083, 30.0), // 1996-01-01
    (50_630, 31.0), // 1997-07-01
    (51_179, 32.0), // 1999-01-01
    (53_736, 33.0), // 2006-01-01
    (54_832, 34.0), // 2009-01-01
    (56_109, 35.0), // 2012-07-01
    (57_204, 36.0), // 2015-07-01
    (57_754, 37.0), // 2017-01-01
];

/// TT - TAI, s.
const TT_AHEAD_S: f64 = 32.184;
/// TAI - GPS, s.
const GPS_BEHIND_S: f64 = 19.0;

/// A time scale in which headers count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeScale {
    /// Coordinated Universal Time, with leap seconds; the standard's default.
    Utc,
    /// International Atomic Time.
    Tai,
    /// Terrestrial Time, once called TDT and ET.
    Tt,
    /// Barycentric Dynamical Time, within 2 ms of TT.
    Tdb,
    /// The time of GPS.
    Gps,
}

/// A day and the seconds since its midnight, in some time scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DayTime {
    /// Day, MJD.
    pub day: i64,
    /// Seconds since its midnight, s; 86,400 and more in a leap second.
    pub second: f64,
}

impl TimeScale {
    /// By its name in the card TIMESYS; what stands in brackets behind it (a realisation) is passed over. `None` for a
    /// scale that cannot be converted, such as a local time or UT1.
    pub fn named(name: &str) -> Option<Self> {
        match name.split('(').next().unwrap_or_default().trim().to_uppercase().as_str() {
            "UTC" | "UT" | "GMT" => Some(Self::Utc),
            "TAI" | "IAT" => Some(Self::Tai),
            "TT" | "TDT" | "ET" => Some(Self::Tt),
            "TDB" => Some(Self::Tdb),
            "GPS" => Some(Self::Gps),
            _ => None,
        }
    }

    /// MJD (TAI) of a time in this scale.
    pub fn tai_of(self, time: DayTime) -> f64 {
        let ahead_s = match self {
            Self::Utc => utc_behind_s(time.day),
            Self::Tai => 0.0,
            Self::Tt => -TT_AHEAD_S,
            Self::Tdb => -TT_AHEAD_S - tdb_ahead_s(time.day as f64 + time.second / DAY_S),
            Self::Gps => GPS_BEHIND_S,
        };
        time.day as f64 + (time.second + ahead_s) / DAY_S
    }

    /// MJD (TAI) of an MJD in this scale. A day of UTC that ends with a leap second has 86,401 s, and its fractions are
    /// parts of that.
    pub fn tai_of_mjd(self, mjd: f64) -> f64 {
        let day = mjd.floor() as i64;
        let length_s =
            if self == Self::Utc { DAY_S + utc_behind_s(day.saturating_add(1)) - utc_behind_s(day) } else { DAY_S };
        self.tai_of(DayTime { day, second: (mjd - mjd.floor()) * length_s })
    }
}

/// TAI - UTC on a day, s.
fn utc_behind_s(day: i64) -> f64 {
    let known = LEAP_SECONDS.iter().take_while(|(from, _)| *from <= day).last();
    known.unwrap_or(&LEAP_SECONDS[0]).1
}

/// TDB - TT, s, to .05 ms (Explanatory Supplement to the Astronomical Almanac, 1992, equation 2.222-1).
fn tdb_ahead_s(mjd: f64) -> f64 {
    let anomaly = (357.53 + 0.985_600_28 * (mjd - 51_544.5)).to_radians();
    0.001_658 * anomaly.sin() + 0.000_014 * (2.0 * anomaly).sin()
}

/// Reads a calendar date: `2003-04-29`, or the standard's old form of the years before 2000, `29/04/99`. MJD of the day.
pub fn day_of(date: &str) -> Option<i64> {
    let date = date.trim();
    let (year, month, day) = match whole_numbers(date, '-', [4, 2, 2]) {
        Some([year, month, day]) => (year, month, day),
        None => whole_numbers(date, '/', [2, 2, 2]).map(|[day, month, year]| (1900 + year, month, day))?,
    };
    mjd_of_date(year, month, day)
}

/// MJD of a day of the Gregorian calendar; `None` where there is no such day.
pub fn mjd_of_date(year: i64, month: i64, day: i64) -> Option<i64> {
    ((1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day)).then(|| mjd_of(year, month, day))
}

/// Reads a time of day: `04:48:39.69`, to the minute at least. Seconds since midnight; a leap second is 60.
pub fn second_of(time: &str) -> Option<f64> {
    let mut parts = time.trim().trim_end_matches('Z').split(':');
    let digits = |part: &str| (1..=2).contains(&part.len()).then(|| part.parse::<u32>().ok()).flatten();
    let (hour, minute) = (digits(parts.next()?)?, digits(parts.next()?)?);
    let second = match parts.next() {
        Some(text) if text.bytes().all(|b| b.is_ascii_digit() || b == b'.') => text.parse::<f64>().ok()?,
        Some(_) => return None,
        None => 0.0,
    };
    let sound = hour < 24 && minute < 60 && second < 61.0 && parts.next().is_none();
    sound.then(|| f64::from(hour * 3600 + minute * 60) + second)
}

/// Numbers of so many digits each, a sign between them, and nothing else.
pub fn whole_numbers<const N: usize>(text: &str, sign: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut numbers = [0; N];
    let mut parts = text.split(sign);
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next().filter(|p| p.len() == digits && p.bytes().all(|b| b.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

fn days_in(year: i64, month: i64) -> i64 {
    let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    mjd_of(next_year, next_month, 1) - mjd_of(year, month, 1)
}

/// MJD of a day of the Gregorian calendar, counted in years that begin in March, so that the leap day is a year's last.
fn mjd_of(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 678_881
}

#[cfg(test)]
mod tests {
    use super::*;

    /// astropy 7: `Time("2014-10-29T04:30:05.235990", scale=SCALE).tai.mjd`, and of other days.
    #[test]
    fn scales_are_astropys() {
        let at = |scale: &str, date, time| {
            TimeScale::named(scale)
                .unwrap()
                .tai_of(DayTime { day: day_of(date).unwrap(), second: second_of(time).unwrap() })
        };
        for (scale, date, time, mjd_tai) in SCALES {
            let found = at(scale, date, time);
            assert!((found - mjd_tai).abs() * DAY_S < 1e-4, "{scale} {date} {time}: {found} is not {mjd_tai}");
        }
        assert_eq!(TimeScale::named("UTC(NIST)"), Some(TimeScale::Utc));
        assert_eq!(["UT1", "LOCAL", "TCB", ""].map(TimeScale::named), [None; 4]);
    }

    const SCALES: [(&str, &str, &str, f64); 7] = [
        ("UTC", "2014-10-29", "04:30:05.235990", 56959.1879656943),
        ("TAI", "2014-10-29", "04:30:05.235990", 56959.1875606017),
        ("TT", "2014-10-29", "04:30:05.235990", 56959.1871881017),
        ("TDB", "2014-10-29", "04:30:05.235990", 56959.1871881191),
        ("UTC", "1980-06-01", "12:00:00", 44391.5002199074),
        ("UTC", "2016-12-31", "23:59:60.5", 57754.0004224537),
        ("UTC", "2026-11-30", "23:59:59.999", 61375.0004282292),
    ];

    /// The days of a leap second: astropy's `Time(57753.75, format="mjd", scale="utc").tai.mjd`.
    #[test]
    fn a_day_with_a_leap_second_is_longer() {
        assert!((TimeScale::Utc.tai_of_mjd(57_753.75) - 57753.7504253472).abs() * DAY_S < 1e-4);
        assert_eq!(TimeScale::Utc.tai_of_mjd(57_754.0), 57_754.0 + 37.0 / DAY_S);
    }

    #[test]
    fn what_is_no_date_is_none() {
        assert_eq!(
            [day_of("1858-11-17"), day_of("2000-01-01"), day_of("31/12/99")],
            [Some(0), Some(51_544), Some(51_543)]
        );
        for bad in ["", "2003", "2003-02-29", "2003-13-01", "03-04-29", "29.04.2003", "2003-04-29T00:00"] {
            assert_eq!(day_of(bad), None, "{bad}");
        }
        assert_eq!(
            [second_of("04:48:39.5"), second_of("23:59:60.25"), second_of("4:08")],
            [Some(17_319.5), Some(86_400.25), Some(14_880.0)]
        );
        for bad in ["", "4", "24:00:00", "04:60:00", "04:48:61", "04:48:39:00", "04:48:-3", "04:48:nan"] {
            assert_eq!(second_of(bad), None, "{bad}");
        }
    }
}

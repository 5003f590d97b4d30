//! When an exposure was taken, by any of the cards that the FITS standard knows for it, and for how long.
//!
//! The survey's own card comes first; then, of the standard's, a middle, a beginning with an end, a beginning, an end; last
//! SDSS's TAI. A card whose time lies before 1980 or after tomorrow is passed over while another one tells; where none does, the
//! frame is refused: a header whose time is absurd is no header to trust. So is one whose exposure ends before it begins. A
//! frame without any time card has no time.

use std::time::{SystemTime, UNIX_EPOCH};

use super::file_error::FileError;
use super::header::Header;
use twinpeak_core::survey::Survey;
use twinpeak_core::time::{DAY_S, DayTime, SANE_MJD, TimeScale, day_of, second_of};

/// Cards with seconds of exposure, where the survey names none: XPOSURE is the standard's, EXPTIME everybody's.
const EXPOSURE_CARDS: [&str; 2] = ["EXPTIME", "XPOSURE"];
/// No exposure is longer, s.
const LONGEST_S: f64 = 1e6;
/// Cards with a time of day that belongs to a DATE-OBS of a date alone.
const TIME_OF_DAY_CARDS: [&str; 3] = ["TIME-OBS", "UTC-OBS", "UT"];
/// MJD of the Unix epoch.
const UNIX_MJD: f64 = 40_587.0;
/// A clock that is earlier than this (2023) was not set.
const SET_MJD: f64 = 60_000.0;
/// How far an end may lie before its beginning by rounding, days.
const ROUNDING_DAYS: f64 = 1e-8;

/// No exposure was taken after this, MJD: tomorrow, whatever the time zone; where the clock is not set, 2100.
fn latest_mjd() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    let now_mjd = UNIX_MJD + now / DAY_S;
    if now_mjd < SET_MJD { SANE_MJD.end } else { (now_mjd + 1.0).min(SANE_MJD.end) }
}

/// Exposure time, s: a positive number, or text such as `53.9 s`. `None` where the header gives none.
pub(super) fn exposure_s(headers: &[&Header; 2], survey: &Survey) -> Option<f64> {
    let own = survey.profile().cards.exposure_s.as_deref();
    let cards = own.into_iter().chain(EXPOSURE_CARDS);
    let seconds = |card| headers.iter().find_map(|h| h.number(card).or_else(|| seconds_of(h.text(card)?)));
    cards.filter_map(seconds).find(|s| *s > 0.0 && *s <= LONGEST_S)
}

/// A number of seconds with its unit.
fn seconds_of(text: &str) -> Option<f64> {
    let text = text.trim().to_lowercase();
    ["seconds", "second", "secs", "sec", "s"].iter().find_map(|unit| text.strip_suffix(unit)?.trim().parse().ok())
}

/// The middle of the exposure, MJD (TAI); `None` where no card tells.
pub(super) fn midpoint_mjd_tai(
    headers: &[&Header; 2],
    survey: &Survey,
    exposure_s: Option<f64>,
) -> Result<Option<f64>, FileError> {
    let half_s = exposure_s.unwrap_or(survey.profile().typical.exposure_s) / 2.0;
    let cards = TimeCards { headers, latest_mjd: latest_mjd(), absurd: None };
    cards.midpoint(survey.profile().cards.start_tai_s.as_deref(), half_s)
}

struct TimeCards<'a> {
    headers: &'a [&'a Header; 2],
    /// No time lies later.
    latest_mjd: f64,
    /// The first card that was there and told no time that can be.
    absurd: Option<FileError>,
}

impl TimeCards<'_> {
    fn midpoint(mut self, own: Option<&str>, half_s: f64) -> Result<Option<f64>, FileError> {
        let scale = self.scale();
        self.ends_last(scale)?;
        if let Some(start) = own.and_then(|card| self.tai_card(card)) {
            return Ok(Some((start + half_s) / DAY_S));
        }
        let (begin, end) = (self.of(scale, &["BEG", "OBS"]), self.of(scale, &["END"]));
        let whole = begin.zip(end).filter(|(begin, end)| end > begin).map(|(begin, end)| (begin + end) / 2.0);
        let told = self.of(scale, &["AVG"]).or(whole);
        let told =
            told.or_else(|| begin.map(|mjd| mjd + half_s / DAY_S)).or_else(|| end.map(|mjd| mjd - half_s / DAY_S));
        let told = told.or_else(|| self.tai_card("TAI").map(|start_s| (start_s + half_s) / DAY_S));
        match (told, self.absurd) {
            (None, Some(absurd)) => Err(absurd),
            (told, _) => Ok(told),
        }
    }

    /// Refuses an end before its beginning; both are told in one way, so that no time scale is between them.
    fn ends_last(&self, scale: Option<TimeScale>) -> Result<(), FileError> {
        for (kind, epoch) in ["MJD", "DATE"].into_iter().flat_map(|kind| ["BEG", "OBS"].map(|epoch| (kind, epoch))) {
            let (begin, end) = (format!("{kind}-{epoch}"), format!("{kind}-END"));
            let told = |card: &str| match kind {
                "MJD" => self.number(card).filter(|mjd| SANE_MJD.contains(mjd)),
                _ => self.date_time(card)?.and_then(|time| Some(scale?.tai_of(time))),
            };
            if let (Some(from), Some(to)) = (told(&begin), told(&end))
                && to < from - ROUNDING_DAYS
            {
                return Err(FileError::EndsFirst { begin, end, earlier_s: (from - to) * DAY_S });
            }
        }
        Ok(())
    }

    /// The header's time scale, by default UTC; `None` where it cannot be converted.
    fn scale(&mut self) -> Option<TimeScale> {
        let Some(name) = self.text("TIMESYS").map(str::to_owned).filter(|name| !name.trim().is_empty()) else {
            return Some(TimeScale::Utc);
        };
        let scale = TimeScale::named(&name);
        if scale.is_none() {
            self.absurd.get_or_insert(FileError::TimeScale { name });
        }
        scale
    }

    /// MJD (TAI) of the first of these epochs that has a card: as MJD, or as a date with a time of day.
    fn of(&mut self, scale: Option<TimeScale>, epochs: &[&str]) -> Option<f64> {
        epochs.iter().find_map(|epoch| {
            let (mjd, date) = (format!("MJD-{epoch}"), format!("DATE-{epoch}"));
            let mjd_tai = self.number(&mjd).map(|mjd| scale.map(|scale| scale.tai_of_mjd(mjd)));
            let mjd_tai = mjd_tai.and_then(|tai| self.sane(&mjd, tai));
            mjd_tai.or_else(|| {
                let tai = self.date_time(&date)?.map(|time| scale.map(|scale| scale.tai_of(time)));
                self.sane(&date, tai.flatten())
            })
        })
    }

    /// What a card of a date says: nothing (outer `None`) where it is absent or has no time of day, `Some(None)` where it
    /// is no date.
    fn date_time(&self, card: &str) -> Option<Option<DayTime>> {
        let text = self.text(card)?.trim();
        if text.is_empty() {
            return None;
        }
        let time = |date: &str, time: &str| Some(DayTime { day: day_of(date)?, second: second_of(time)? });
        match text.split_once('T').or_else(|| text.split_once(' ')) {
            Some((date, of_day)) => Some(time(date, of_day)),
            None if day_of(text).is_none() => Some(None),
            None if card == "DATE-OBS" => {
                let of_day = TIME_OF_DAY_CARDS.iter().find_map(|card| self.text(card))?;
                Some(time(text, of_day))
            }
            None => None,
        }
    }

    /// Seconds since MJD 0 (TAI). A number that as seconds would lie before 1980 and as days does not is of days.
    fn tai_card(&mut self, card: &str) -> Option<f64> {
        let value = self.number(card)?;
        let seconds = if SANE_MJD.contains(&value) { value * DAY_S } else { value };
        self.sane(card, Some(seconds / DAY_S))?;
        Some(seconds)
    }

    /// Lets pass what can be the time of an exposure, and notes what cannot.
    fn sane(&mut self, card: &str, mjd_tai: Option<f64>) -> Option<f64> {
        let sane = mjd_tai.filter(|mjd| SANE_MJD.contains(mjd) && *mjd <= self.latest_mjd);
        if sane.is_none() {
            let text = self.text(card).map(str::to_owned);
            let written = text.or_else(|| self.number(card).map(|v| v.to_string())).unwrap_or_default();
            self.note(card, &written);
        }
        sane
    }

    fn note(&mut self, card: &str, value: &str) {
        let absurd = FileError::Time { card: card.to_owned(), value: value.to_owned() };
        self.absurd.get_or_insert(absurd);
    }

    fn number(&self, card: &str) -> Option<f64> {
        self.headers.iter().find_map(|h| h.number(card)).filter(|v| v.is_finite())
    }

    fn text(&self, card: &str) -> Option<&str> {
        self.headers.iter().find_map(|h| h.text(card))
    }
}

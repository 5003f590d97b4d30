//! What an error of the client says, in our words. Its own text is never passed on: a store that refuses a
//! signature repeats what was signed and by whom.

use std::error::Error;

use object_store::client::{HttpError, HttpErrorKind};

/// Why a request failed, its tries included.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The store answered with this status and S3's own code for the fault, empty where there was none.
    Status(u16, String),
    /// No answer in time.
    Timeout,
    /// No answer at all, or not the whole of one: in the words of the deepest cause.
    Broken(String),
}

impl Answer {
    /// Reads an error. The client keeps status and code to itself, except in its text.
    pub fn of(error: &object_store::Error) -> Self {
        if let Some(http) = chain(error).find_map(|e| e.downcast_ref::<HttpError>()) {
            let cause = chain(error).last().map(|e| one_line(&e.to_string())).unwrap_or_default();
            return if http.kind() == HttpErrorKind::Timeout { Self::Timeout } else { Self::Broken(cause) };
        }
        let text = chain(error).last().map(ToString::to_string).unwrap_or_default();
        if let Some(status) = after(&text, "status code: ", |c| c.is_ascii_digit()).and_then(|s| s.parse().ok()) {
            return Self::Status(status, after(&text, "<Code>", |c| c.is_ascii_alphanumeric()).unwrap_or_default());
        }
        if text.starts_with("Received redirect") {
            return Self::Status(301, String::new());
        }
        match error {
            object_store::Error::NotFound { .. } => Self::Status(404, String::new()),
            object_store::Error::PermissionDenied { .. } => Self::Status(403, String::new()),
            object_store::Error::Unauthenticated { .. } => Self::Status(401, String::new()),
            _ => Self::Broken("an answer that is not S3's".into()),
        }
    }
}

/// The error and its causes, the deepest last.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |e| (*e).source())
}

/// Up to 64 of the characters after `mark` that are as they should be.
fn after(text: &str, mark: &str, fits: impl Fn(char) -> bool) -> Option<String> {
    let rest = &text[text.find(mark)? + mark.len()..];
    Some(rest.chars().take_while(|c| fits(*c)).take(64).collect())
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

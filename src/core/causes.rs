//! An error with its causes, in one line, as logs and the last words of a program tell it.

use std::error::Error;
use std::fmt;

/// Tells an error and its causes in one line; a cause that was told already is not told again.
///
/// ```
/// use twinpeak_core::causes::causes;
/// let error = "no room".parse::<f64>().unwrap_err();
/// assert_eq!(causes(&error).to_string(), "invalid float literal");
/// ```
pub fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl fmt::Display + 'a {
    Causes(error)
}

struct Causes<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = String::new();
        let mut next = Some(self.0);
        while let Some(cause) = next {
            let said = cause.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
            if !line.contains(&said) {
                line = if line.is_empty() { said } else { line + ": " + &said };
            }
            next = cause.source();
        }
        f.write_str(&line)
    }
}

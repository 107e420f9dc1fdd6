//! One rule for each value, from a variable or from a file: shells, Secrets and editors add blanks, newlines and quotes.

use thiserror::Error;

/// Quotes that a shell or a reader of YAML would have removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the value is in quotes, and quotes are not removed here")]
pub struct Quoted;

/// The value without what surrounds it by accident; empty means that there is none.
///
/// # Errors
/// When it is in quotes, which would otherwise count as part of a password or of a path.
pub fn bare(text: &str) -> Result<&str, Quoted> {
    let text = text.trim();
    if is_quoted(text) { Err(Quoted) } else { Ok(text) }
}

/// [`bare`], for a list too: no entry of it is in quotes.
///
/// # Errors
/// When it or an entry of it is in quotes.
pub fn bare_list(text: &str) -> Result<&str, Quoted> {
    let text = bare(text)?;
    if text.split(',').any(|entry| is_quoted(entry.trim())) { Err(Quoted) } else { Ok(text) }
}

/// The first line that is not blank, as [`bare`] has it.
///
/// # Errors
/// When it is in quotes.
pub fn first_line(text: &str) -> Result<&str, Quoted> {
    bare(text.trim().split(['\n', '\r']).next().unwrap_or_default())
}

fn is_quoted(text: &str) -> bool {
    ['"', '\''].into_iter().any(|quote| text.strip_prefix(quote).is_some_and(|rest| rest.ends_with(quote)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_surrounds_a_value_goes_and_what_is_in_it_stays() {
        assert_eq!(bare(" \r\n\tpass word\n\n"), Ok("pass word"));
        assert_eq!(bare("\n"), Ok(""));
        assert_eq!(first_line("\n secret \r\n# comment\n"), Ok("secret"));
        for inner in ["pass\"word", "\"", "'", "\"half", "half'", "\"mixed'"] {
            assert_eq!(bare(inner), Ok(inner));
        }
    }

    #[test]
    fn a_value_or_an_entry_in_quotes_is_refused() {
        for quoted in ["\"x\"", "'x'", "\"\"", " \"x\"\n"] {
            assert_eq!((bare(quoted), first_line(quoted)), (Err(Quoted), Err(Quoted)), "{quoted}");
        }
        assert_eq!(bare_list("a.example, \"b.example\""), Err(Quoted));
        assert_eq!(bare_list("a.example, b.example"), Ok("a.example, b.example"));
    }
}

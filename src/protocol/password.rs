//! The password of a room.

use std::fmt;

use subtle::{Choice, ConstantTimeEq as _};

/// The longest password, in bytes.
pub const PASSWORD_BYTES: usize = 128;

/// The password that newcomers must know: text without control characters, 1 to [`PASSWORD_BYTES`] bytes.
#[derive(Clone)]
pub struct Password(String);

/// Why something is not a password. It does not reveal the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordError {
    /// It is empty.
    Empty,
    /// It is longer than [`PASSWORD_BYTES`].
    TooLong,
    /// It contains a control character, which could not be sent as part of one line.
    Control,
}

impl Password {
    /// Checks a password, given without its line ending.
    ///
    /// # Errors
    ///
    /// The first rule that it breaks.
    pub fn parse(text: &str) -> Result<Self, PasswordError> {
        if text.is_empty() {
            Err(PasswordError::Empty)
        } else if text.len() > PASSWORD_BYTES {
            Err(PasswordError::TooLong)
        } else if text.contains(char::is_control) {
            Err(PasswordError::Control)
        } else {
            Ok(Self(text.to_owned()))
        }
    }

    /// The password itself, to be sent to a server and to nobody else.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// Whether `given` is this password. The comparison takes constant time, wherever the two differ and
    /// whatever their lengths are.
    #[must_use]
    pub fn is(&self, given: &str) -> bool {
        let fits = Choice::from(u8::from(given.len() <= PASSWORD_BYTES));
        (padded(&self.0).ct_eq(&padded(given)) & fits).into()
    }
}

/// Padded with NUL, which no password contains, so that no two of them become equal.
fn padded(text: &str) -> [u8; PASSWORD_BYTES] {
    let mut padded = [0; PASSWORD_BYTES];
    let length = text.len().min(PASSWORD_BYTES);
    padded[..length].copy_from_slice(&text.as_bytes()[..length]);
    padded
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(…)")
    }
}

impl fmt::Display for PasswordError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(formatter, "the password is empty"),
            Self::TooLong => write!(formatter, "a password has at most {PASSWORD_BYTES} bytes"),
            Self::Control => write!(formatter, "a password cannot contain control characters"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_identical_text_is_the_password() {
        let longest = "x".repeat(PASSWORD_BYTES);
        for text in ["open sesame", "é", &longest] {
            let password = Password::parse(text).unwrap();
            assert!(password.is(text));
            let others = [String::new(), format!("{text} "), format!(" {text}"), text.to_uppercase() + "x"];
            for other in others {
                assert!(!password.is(&other), "{other:?}");
            }
        }
    }

    #[test]
    fn a_text_that_could_not_be_sent_as_one_line_is_no_password() {
        assert_eq!(Password::parse("").unwrap_err(), PasswordError::Empty);
        assert_eq!(Password::parse(&"x".repeat(PASSWORD_BYTES + 1)).unwrap_err(), PasswordError::TooLong);
        assert_eq!(Password::parse("two\nlines").unwrap_err(), PasswordError::Control);
    }

    #[test]
    fn debug_output_names_the_password_and_does_not_show_it() {
        let password = Password::parse("sesame").unwrap();
        let shown = format!("{password:?}");
        assert!(shown.contains("Password") && !shown.contains("sesame"), "{shown}");
        assert_eq!(password.secret(), "sesame");
    }

    #[test]
    fn each_error_is_a_sentence() {
        for (error, sentence) in [
            (PasswordError::Empty, "the password is empty"),
            (PasswordError::TooLong, "a password has at most 128 bytes"),
            (PasswordError::Control, "a password cannot contain control characters"),
        ] {
            assert_eq!(error.to_string(), sentence);
        }
    }
}

//! What names a session across connections: its token, and the epoch of the log that it counts in.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::Password;

/// The length of a session's number, in bytes.
const ID_BYTES: usize = 16;

/// The length of a session's secret, in bytes.
pub const SECRET_BYTES: usize = 32;

/// A session's number. It is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId(pub u128);

/// The SHA-256 of a session's secret: all that a server keeps of it.
#[derive(Clone, Copy, Debug)]
pub struct SecretHash([u8; 32]);

/// The key to a session, `ID.SECRET` in hexadecimal: whoever has it speaks as the member.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    id: SessionId,
    secret: [u8; SECRET_BYTES],
}

/// Tells one log from another: positions of one mean nothing in the other. `5c1e` on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEpoch(pub u64);

impl Token {
    /// A token of these random bytes.
    #[must_use]
    pub fn new(id: SessionId, secret: [u8; SECRET_BYTES]) -> Self {
        Self { id, secret }
    }

    /// Parses `ID.SECRET`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.split_once('.')?;
        let id: [u8; ID_BYTES] = parse_hex(id)?;
        Some(Self { id: SessionId(u128::from_be_bytes(id)), secret: parse_hex(secret)? })
    }

    /// The number of the session.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The token of which a room with this password keeps the hash: under another password, it is of no session.
    #[must_use]
    pub fn bound_to(&self, password: Option<&Password>) -> Self {
        let Some(password) = password else { return self.clone() };
        let secret = Sha256::new().chain_update(self.secret).chain_update(password.secret()).finalize();
        Self { id: self.id, secret: secret.into() }
    }

    /// What a server keeps of the secret.
    #[must_use]
    pub fn hash(&self) -> SecretHash {
        SecretHash(Sha256::digest(self.secret).into())
    }
}

impl SecretHash {
    /// The hash, to be kept.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A hash that was kept.
    #[must_use]
    pub fn from_bytes(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// Whether this is the hash of the token's secret, compared in constant time.
    #[must_use]
    pub fn is_of(&self, token: &Token) -> bool {
        self.0.ct_eq(&token.hash().0).into()
    }
}

impl fmt::Display for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}.", self.id.0)?;
        self.secret.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// Without the secret.
impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Token({:032x}.…)", self.id.0)
    }
}

impl fmt::Display for LogEpoch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:x}", self.0)
    }
}

impl LogEpoch {
    /// Parses an epoch as it is displayed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        parse_digits(text, 16).map(Self)
    }
}

/// A number of digits alone: without a sign, which Rust would take.
pub(super) fn parse_digits(text: &str, radix: u32) -> Option<u64> {
    text.chars().all(|digit| digit.is_digit(radix)).then(|| u64::from_str_radix(text, radix).ok())?
}

/// Exactly as many bytes, each of two digits.
fn parse_hex<const BYTES: usize>(text: &str) -> Option<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    let (digits, rest) = text.as_bytes().as_chunks::<2>();
    if digits.len() != BYTES || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(digits) {
        let digit = |digit: &u8| char::from(*digit).to_digit(16);
        *byte = u8::try_from(digit(high)? * 16 + digit(low)?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_is_two_numbers_in_hexadecimal() {
        let text = format!("{}.{}", "0f".repeat(16), "a1".repeat(32));
        let token = Token::parse(&text).unwrap();
        assert_eq!((token.to_string(), token.id()), (text.clone(), SessionId(u128::from_be_bytes([15; 16]))));
        for not in
            ["", ".", &text[1..], &text[..text.len() - 1], &text.replace('.', ""), &text.replace('f', "g")]
        {
            assert_eq!(Token::parse(not), None, "{not:?}");
        }
        assert_eq!(Token::parse(&text.replace("0f0f", "+f+f")), None);
    }

    #[test]
    fn a_hash_is_of_one_secret_alone_and_no_debug_output_shows_it() {
        let token = Token::new(SessionId(7), [1; SECRET_BYTES]);
        let mut secret = [1; SECRET_BYTES];
        secret[31] = 2;
        assert!(token.hash().is_of(&token));
        assert!(!token.hash().is_of(&Token::new(SessionId(7), secret)));
        assert_eq!(format!("{token:?}"), "Token(00000000000000000000000000000007.…)");
    }

    proptest! {
        #[test]
        fn what_is_displayed_is_parsed(id: u128, secret: [u8; SECRET_BYTES], epoch: u64) {
            let token = Token::new(SessionId(id), secret);
            prop_assert_eq!(Token::parse(&token.to_string()), Some(token));
            prop_assert_eq!(LogEpoch::parse(&LogEpoch(epoch).to_string()), Some(LogEpoch(epoch)));
        }

        #[test]
        fn no_text_makes_parsing_panic(text: String) {
            let _ = (Token::parse(&text), LogEpoch::parse(&text));
        }
    }
}

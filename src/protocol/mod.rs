//! The wire protocol, sans-IO: bytes in, commands out, and the sentences that go back.
//!
//! Nothing here knows a socket, a runtime or a clock, so that all of it can be tested with plain
//! function calls. `docs/protocol.md` is the normative text; reading order of the code:
//!
//! 1. [`Nickname`]: parsed once, then always valid.
//! 2. [`Decoder`]: a stream of bytes becomes messages, in one of two [`Framing`]s.
//! 3. [`Command`] and [`Text`]: a member's message, parsed.
//! 4. [`Broadcast`], [`Notice`] and [`Refusal`]: every sentence that the server says, and
//!    [`Heard`]: how a client tells them apart.
//! 5. [`Words`] and [`Found`]: what members ask about what was said, and the answer.
//! 6. [`Resume`] and [`SessionNotice`]: how a session goes on in another connection.

mod characters;
mod command;
mod framing;
mod keystrokes;
mod lookalike;
mod nickname;
mod notice;
mod password;
mod refusal;
mod sanitize;
mod search;
mod session;
mod timestamp;
mod token;

pub use command::{Command, Numbered, TEXT_BYTES, Text};
pub use framing::{Decoder, Framing, LINE_BYTES, Patience};
pub use nickname::{NICKNAME_CHARACTERS, Nickname, NicknameError};
pub use notice::{Broadcast, Heard, Notice};
pub use password::{PASSWORD_BYTES, Password, PasswordError};
pub use refusal::Refusal;
pub use sanitize::Sanitized;
pub use search::{Found, SEARCHED_WORDS, Words, is_same_word, words};
pub use session::{Progress, Resume, SessionNotice};
pub use timestamp::Timestamp;
pub use token::{LogEpoch, SECRET_BYTES, SecretHash, SessionId, Token};

/// The server's request for a nickname: these four bytes and no newline, as in the report.
pub const NICKNAME_REQUEST: &str = "NICK";

/// The server's request for the password of the room, sent after the nickname: a line of its own, or in the
/// report's framing only these four bytes.
pub const PASSWORD_REQUEST: &str = "PASS";

/// The port of the report, and the default.
pub const DEFAULT_PORT: u16 = 5555;

//! Entries as bytes, so that a log can keep them.
//!
//! An entry begins with a tag. A tag that is not known is an error, and so is anything that is missing or
//! left over: an entry that is skipped would change everything after it. If the encoding of an entry ever
//! changes, it gets another tag.

use std::fmt;
use std::net::SocketAddr;

use super::{Attachment, DisconnectReason, Entry, MemberId, Origin};
use crate::protocol::{Nickname, SecretHash, SessionId, Text};

/// Bytes that no entry and no room becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("it is damaged, or of a newer version")
    }
}

impl std::error::Error for Malformed {}

const JOIN: u8 = 1;
const SAY: u8 = 2;
const ACT: u8 = 3;
const WHISPER: u8 = 4;
const RENAME: u8 = 5;
const ANSWER: u8 = 6;
const BEGIN: u8 = 7;
const DETACH: u8 = 8;
const RESUME: u8 = 9;
const EXPIRE: u8 = 10;
const FORGET: u8 = 11;
const LEAVE: u8 = 12;
const START: u8 = 13;

impl<'a> Entry<'a> {
    /// Encodes everything but the text, which is given back: what was said, or answered.
    #[must_use]
    pub fn encode(&self) -> (Vec<u8>, &'a str) {
        let mut out = Encoder::default();
        let text = match self {
            Entry::Say { text, .. } | Entry::Act { text, .. } | Entry::Whisper { text, .. } => text.as_str(),
            Entry::Answer { lines, .. } => lines,
            _ => "",
        };
        let length = text.len() as u64;
        match self {
            Entry::Join { nickname, from } => out.byte(JOIN).text(nickname.as_str()).address(*from),
            Entry::Say { by, .. } => out.byte(SAY).origin(*by).number(length),
            Entry::Act { by, .. } => out.byte(ACT).origin(*by).number(length),
            Entry::Whisper { by, to, .. } => out.byte(WHISPER).origin(*by).number(to.0).number(length),
            Entry::Rename { by, nickname } => out.byte(RENAME).origin(*by).text(nickname.as_str()),
            Entry::Answer { by, .. } => out.byte(ANSWER).origin(*by).number(length),
            Entry::Begin { attachment, session, secret } => {
                out.byte(BEGIN).attachment(*attachment).session(*session).bytes(secret.as_bytes())
            }
            Entry::Detach { attachment, reason } => {
                out.byte(DETACH).attachment(*attachment).text(reason.cause())
            }
            Entry::Resume { session, from, private_lines } => {
                out.byte(RESUME).session(*session).address(*from).number(*private_lines)
            }
            Entry::Expire { attachment } => out.byte(EXPIRE).attachment(*attachment),
            Entry::Forget { session } => out.byte(FORGET).session(*session),
            Entry::Leave { attachment, reason } => {
                out.byte(LEAVE).attachment(*attachment).text(reason.cause())
            }
            Entry::Start => out.byte(START),
        };
        (out.0, text)
    }

    /// Decodes an entry. Its text is the end of `text`.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if these are not the bytes of an entry that is known.
    pub fn decode(head: &[u8], text: &'a str) -> Result<Self, Malformed> {
        let mut head = Decoder(head);
        let entry = match head.byte()? {
            JOIN => Entry::Join { nickname: head.nickname()?, from: head.address()? },
            SAY => Entry::Say { by: head.origin()?, text: head.said_in(text)? },
            ACT => Entry::Act { by: head.origin()?, text: head.said_in(text)? },
            WHISPER => {
                let (by, to) = (head.origin()?, MemberId(head.number()?));
                Entry::Whisper { by, to, text: head.said_in(text)? }
            }
            RENAME => Entry::Rename { by: head.origin()?, nickname: head.nickname()? },
            ANSWER => Entry::Answer { by: head.origin()?, lines: head.end_of(text)? },
            BEGIN => Entry::Begin {
                attachment: head.attachment()?,
                session: head.session()?,
                secret: SecretHash::from_bytes(head.bytes()?),
            },
            DETACH => Entry::Detach { attachment: head.attachment()?, reason: head.reason()? },
            RESUME => {
                let (session, from) = (head.session()?, head.address()?);
                Entry::Resume { session, from, private_lines: head.number()? }
            }
            EXPIRE => Entry::Expire { attachment: head.attachment()? },
            FORGET => Entry::Forget { session: head.session()? },
            LEAVE => Entry::Leave { attachment: head.attachment()?, reason: head.reason()? },
            START => Entry::Start,
            _ => return Err(Malformed),
        };
        head.end()?;
        Ok(entry)
    }
}

/// Appends values to bytes. Numbers take as many as they need (LEB128); texts begin with their length.
#[derive(Default)]
pub(super) struct Encoder(pub(super) Vec<u8>);

impl Encoder {
    pub(super) fn byte(&mut self, byte: u8) -> &mut Self {
        self.bytes(&[byte])
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn number(&mut self, mut number: u64) -> &mut Self {
        while number >= 0x80 {
            self.0.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.byte((number & 0x7f) as u8)
    }

    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.number(text.len() as u64).bytes(text.as_bytes())
    }

    pub(super) fn session(&mut self, session: SessionId) -> &mut Self {
        self.bytes(&session.0.to_be_bytes())
    }

    pub(super) fn attachment(&mut self, attachment: Attachment) -> &mut Self {
        self.number(attachment.member.0).number(attachment.number.into())
    }

    fn origin(&mut self, by: Origin) -> &mut Self {
        self.attachment(by.attachment);
        match by.number {
            None => self.byte(0),
            Some(number) => self.byte(1).number(number),
        }
    }

    fn address(&mut self, address: SocketAddr) -> &mut Self {
        self.text(&address.to_string())
    }
}

/// Takes values from the front of bytes.
pub(super) struct Decoder<'a>(pub(super) &'a [u8]);

impl<'a> Decoder<'a> {
    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        self.bytes().map(|[byte]| byte)
    }

    pub(super) fn bytes<const COUNT: usize>(&mut self) -> Result<[u8; COUNT], Malformed> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*bytes)
    }

    pub(super) fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return Err(Malformed);
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Malformed)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Malformed> {
        let length = self.length()?;
        let (text, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        std::str::from_utf8(text).map_err(|_| Malformed)
    }

    pub(super) fn nickname(&mut self) -> Result<Nickname, Malformed> {
        self.text().map(Nickname::kept)
    }

    pub(super) fn session(&mut self) -> Result<SessionId, Malformed> {
        Ok(SessionId(u128::from_be_bytes(self.bytes()?)))
    }

    pub(super) fn attachment(&mut self) -> Result<Attachment, Malformed> {
        let member = MemberId(self.number()?);
        let number = u32::try_from(self.number()?).map_err(|_| Malformed)?;
        Ok(Attachment { member, number })
    }

    pub(super) fn reason(&mut self) -> Result<DisconnectReason, Malformed> {
        DisconnectReason::from_cause(self.text()?).ok_or(Malformed)
    }

    pub(super) fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }

    fn origin(&mut self) -> Result<Origin, Malformed> {
        let attachment = self.attachment()?;
        let number = match self.byte()? {
            0 => None,
            1 => Some(self.number()?),
            _ => return Err(Malformed),
        };
        Ok(Origin { attachment, number })
    }

    fn address(&mut self) -> Result<SocketAddr, Malformed> {
        self.text()?.parse().map_err(|_| Malformed)
    }

    fn said_in<'t>(&mut self, text: &'t str) -> Result<Text<'t>, Malformed> {
        Text::parse(self.end_of(text)?).map_err(|_| Malformed)
    }

    /// The last bytes of a text; how many comes next.
    fn end_of<'t>(&mut self, text: &'t str) -> Result<&'t str, Malformed> {
        let begin = text.len().checked_sub(self.length()?).ok_or(Malformed)?;
        text.get(begin..).ok_or(Malformed)
    }

    fn length(&mut self) -> Result<usize, Malformed> {
        usize::try_from(self.number()?).map_err(|_| Malformed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn origin() -> impl Strategy<Value = Origin> {
        let number = prop_oneof![Just(None), any::<u64>().prop_map(Some)];
        (attachment(), number).prop_map(|(attachment, number)| Origin { attachment, number })
    }

    fn attachment() -> impl Strategy<Value = Attachment> {
        (any::<u64>(), any::<u32>())
            .prop_map(|(member, number)| Attachment { member: MemberId(member), number })
    }

    fn reason() -> impl Strategy<Value = DisconnectReason> {
        proptest::sample::select(DisconnectReason::ALL.to_vec())
    }

    fn entries() -> impl Strategy<Value = Entry<'static>> {
        let text = || Text::parse("über alles").unwrap();
        let nickname = || Nickname::parse("Zoë").unwrap();
        let from = any::<(std::net::IpAddr, u16)>().prop_map(SocketAddr::from);
        prop_oneof![
            from.clone().prop_map(move |from| Entry::Join { nickname: nickname(), from }),
            origin().prop_map(move |by| Entry::Say { by, text: text() }),
            origin().prop_map(move |by| Entry::Act { by, text: text() }),
            (origin(), any::<u64>()).prop_map(move |(by, to)| Entry::Whisper {
                by,
                to: MemberId(to),
                text: text()
            }),
            origin().prop_map(move |by| Entry::Rename { by, nickname: nickname() }),
            origin().prop_map(|by| Entry::Answer { by, lines: "-- one\n-- two" }),
            origin().prop_map(|by| Entry::Answer { by, lines: "" }),
            (attachment(), any::<u128>(), any::<[u8; 32]>()).prop_map(|(attachment, session, secret)| {
                let (session, secret) = (SessionId(session), SecretHash::from_bytes(secret));
                Entry::Begin { attachment, session, secret }
            }),
            (attachment(), reason()).prop_map(|(attachment, reason)| Entry::Detach { attachment, reason }),
            (any::<u128>(), from, any::<u64>()).prop_map(|(session, from, private_lines)| {
                Entry::Resume { session: SessionId(session), from, private_lines }
            }),
            attachment().prop_map(|attachment| Entry::Expire { attachment }),
            any::<u128>().prop_map(|session| Entry::Forget { session: SessionId(session) }),
            (attachment(), reason()).prop_map(|(attachment, reason)| Entry::Leave { attachment, reason }),
            Just(Entry::Start),
        ]
    }

    proptest! {
        #[test]
        fn an_entry_is_the_same_after_encoding_and_decoding_and_no_part_of_it_is_one(entry in entries()) {
            let (head, text) = entry.encode();
            let line = format!("Zoë: {text}");
            let decoded = Entry::decode(&head, &line).unwrap();
            prop_assert_eq!(format!("{decoded:?}"), format!("{entry:?}"));
            for length in 0..head.len() {
                prop_assert!(Entry::decode(&head[..length], &line).is_err());
            }
            prop_assert!(Entry::decode(&[&head[..], &[0]].concat(), &line).is_err(), "something is left over");
        }

        #[test]
        fn no_bytes_make_decoding_panic(head: Vec<u8>, text: String) {
            let _ = Entry::decode(&head, &text);
        }
    }

    #[test]
    fn an_unknown_tag_is_an_error() {
        assert_eq!(Entry::decode(&[START + 1], "").err(), Some(Malformed));
        assert_eq!(Malformed.to_string(), "it is damaged, or of a newer version");
    }
}

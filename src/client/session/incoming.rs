//! The input from a server: bytes become requests and lines.

use super::RECEIVED_LINE_BYTES;
use crate::protocol::{Decoder, Framing, NICKNAME_REQUEST, PASSWORD_REQUEST, Refusal};

/// Decodes the bytes of one connection.
#[derive(Debug)]
pub(super) struct Incoming {
    framing: Framing,
    decoder: Decoder,
    /// The first bytes, until they can be told to be the request for a nickname, which no newline ends.
    greeting: Option<Vec<u8>>,
    /// No message has come since that request.
    heard_nothing: bool,
}

/// Something that a server has sent.
#[derive(Debug)]
pub(super) enum Received {
    NicknameRequest,
    PasswordRequest,
    Line(String),
    Unreadable(Refusal),
}

impl Incoming {
    pub(super) fn new(framing: Framing) -> Self {
        Self {
            framing,
            decoder: Decoder::with_framing(framing).with_line_bytes(RECEIVED_LINE_BYTES),
            greeting: Some(Vec::new()),
            heard_nothing: true,
        }
    }

    /// Adds the bytes of a read. Take everything with [`next`](Self::next) before the next one.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        match &mut self.greeting {
            Some(greeting) => greeting.extend_from_slice(bytes),
            None => self.decoder.push(bytes),
        }
    }

    /// Nothing more will come.
    pub(super) fn end(&mut self) {
        if let Some(greeting) = self.greeting.take() {
            self.decoder.push(&greeting);
        }
    }

    pub(super) fn next(&mut self) -> Option<Received> {
        if self.greeting.is_some() {
            return self.next_greeting();
        }
        let message = self.decoder.next_message()?;
        let is_first = std::mem::replace(&mut self.heard_nothing, false);
        Some(match message {
            // In lines no text of a member can stand alone. In the report's framing it can, and the
            // report's own client falls for it.
            Ok(NICKNAME_REQUEST) if self.framing == Framing::Lines => Received::NicknameRequest,
            Ok(PASSWORD_REQUEST) if self.framing == Framing::Lines || is_first => Received::PasswordRequest,
            Ok(line) => Received::Line(line.to_owned()),
            Err(refusal) => Received::Unreadable(refusal),
        })
    }

    fn next_greeting(&mut self) -> Option<Received> {
        let request = NICKNAME_REQUEST.as_bytes();
        let greeting = self
            .greeting
            .take_if(|greeting| greeting.len() >= request.len() || !request.starts_with(greeting))?;
        let Some(rest) = greeting.strip_prefix(request) else {
            self.decoder.push(&greeting);
            return self.next();
        };
        self.decoder.push(rest);
        Some(Received::NicknameRequest)
    }
}

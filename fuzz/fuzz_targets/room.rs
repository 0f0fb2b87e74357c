//! Two clients send any bytes at all, cut anywhere, in either framing, through the decoder to the room; they lose
//! their connections and resume their sessions. A third member is the witness. The promises are asserted at
//! every step.
#![no_main]

mod chat;
mod cuts;
mod screen;

use chat::{Chat, RETENTION_BYTES, Resuming};
use commonroom::protocol::{Decoder, Framing, LINE_BYTES, Nickname, Refusal, Resume};
use commonroom::room::{Attachment, Transcript};
use cuts::Event;
use libfuzzer_sys::fuzz_target;
use screen::Screen;

/// More than a line may have.
const LONG_BYTES: usize = 1_400;

/// A client that sends this and nothing more resumes its own session, with what it has counted: the fuzzer could
/// not guess that.
const RESUME: &str = "/resume";

fuzz_target!(|input: &[u8]| {
    let mut chat = Chat::new();
    let mut witness = Screen::default();
    let watching = chat.join(Nickname::parse("Witness").expect("a nickname")).expect("an empty room");
    let mut clients = [Client::default(), Client::default()];
    for step in cuts::steps(input, LONG_BYTES) {
        let client = &mut clients[step.connection];
        match step.event {
            Event::Bytes(bytes) => client.deliver(&bytes),
            Event::Lost => client.lose_connection(&mut chat, &witness),
            Event::Slow => client.screen.slow = true,
            Event::Later => chat.expire(),
        }
        assert!(witness.read(&mut chat, watching));
        while client.take_message(&mut chat, &witness) {
            assert!(witness.read(&mut chat, watching));
        }
        for client in &mut clients {
            client.read(&mut chat);
        }
        assert!(witness.read(&mut chat, watching));
        let bound = Transcript::bound_bytes(RETENTION_BYTES, 2 * LINE_BYTES);
        assert!(chat.room.transcript().retained_bytes() <= bound, "the transcript is bounded");
    }
    for client in &clients {
        client.is_right(&chat, &witness);
    }
});

/// A client, and the server's end of its connection.
#[derive(Default)]
struct Client {
    decoder: Decoder,
    /// Its present connection, and the nickname that it has chosen.
    member: Option<(Attachment, String)>,
    /// It has left, or was dropped.
    gone: bool,
    /// It outlives the connections.
    screen: Screen,
    sent: Vec<u8>,
    messages: Vec<Result<String, Refusal>>,
}

impl Client {
    fn deliver(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            self.decoder.quiet();
        } else {
            self.sent.extend_from_slice(bytes);
            self.decoder.push(bytes);
        }
    }

    /// Handles one message, as a session does. Returns whether there was one.
    fn take_message(&mut self, chat: &mut Chat, witness: &Screen) -> bool {
        let Some(message) = self.decoder.next_message() else {
            let held = self.decoder.held_bytes();
            assert!(held <= LINE_BYTES + 1, "{held} bytes of an incomplete message are held");
            return false;
        };
        let message = message.map(str::to_owned);
        self.messages.push(message.clone());
        match &self.member {
            _ if self.gone => {}
            Some((attachment, chosen)) => {
                if chat.handle(*attachment, chosen, message.as_deref().map_err(|&refusal| refusal)) {
                    self.gone = true;
                    chat.leave(*attachment);
                }
            }
            None => self.come_in(chat, witness, message),
        }
        true
    }

    fn come_in(&mut self, chat: &mut Chat, witness: &Screen, message: Result<String, Refusal>) {
        let Ok(answer) = message else { return };
        if self.decoder.framing() == Some(Framing::Lines) {
            let own = self.screen.saved.clone().filter(|_| answer == RESUME);
            if let Some(request) = own.or_else(|| Resume::parse(&answer)) {
                return self.resume(chat, witness, request);
            }
        }
        let joined = Nickname::parse(&answer).map_err(Refusal::from).and_then(|name| chat.join(name));
        if let Ok(attachment) = joined {
            self.begin_screen(witness, Screen::default());
            self.decoder.set_report_prefix(&format!("{answer}: "));
            self.member = Some((attachment, answer));
        }
    }

    fn resume(&mut self, chat: &mut Chat, witness: &Screen, request: Resume) {
        let is_its_own = self.screen.saved.as_ref() == Some(&request);
        if let Resuming::Goes { attachment, nickname, private_from } = chat.resume(&request) {
            if !is_its_own {
                self.begin_screen(witness, Screen::of_another(request));
            }
            self.screen.resumed(private_from);
            self.member = Some((attachment, nickname.to_string()));
        }
    }

    fn begin_screen(&mut self, witness: &Screen, screen: Screen) {
        self.screen.agrees_with(witness);
        self.screen = screen;
    }

    fn read(&mut self, chat: &mut Chat) {
        if let Some((attachment, _)) = self.member
            && !self.screen.read(chat, attachment)
            && !self.gone
        {
            // It is too slow: the server drops it.
            self.gone = true;
            chat.lose(attachment);
        }
    }

    /// The connection is lost. Another one takes its place, in which the client has said nothing yet.
    fn lose_connection(&mut self, chat: &mut Chat, witness: &Screen) {
        self.is_right(chat, witness);
        if let Some((attachment, _)) = self.member.take() {
            if !self.gone {
                chat.lose(attachment);
            }
            chat.readers.remove(attachment);
        }
        *self = Self { screen: std::mem::take(&mut self.screen), ..Self::default() };
    }

    fn is_right(&self, chat: &Chat, witness: &Screen) {
        self.screen.agrees_with(witness);
        if let Some((attachment, _)) = self.member {
            self.screen.has_its_private_lines(chat, attachment);
        }
        self.does_not_depend_on_the_cuts();
    }

    /// Lines are the same lines however they arrive.
    fn does_not_depend_on_the_cuts(&self) {
        if self.decoder.framing() != Some(Framing::Lines) {
            return;
        }
        let mut whole = Decoder::new();
        whole.push(&self.sent);
        for message in &self.messages {
            assert_eq!(whole.next_message().map(|found| found.map(str::to_owned)), Some(message.clone()));
        }
        assert_eq!(whole.next_message(), None);
    }
}

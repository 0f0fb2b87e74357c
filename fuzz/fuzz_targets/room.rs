//! Two connections send any bytes at all, cut anywhere, in either framing, through the decoder to the
//! room; a third member is the witness. The promises are asserted at every step.
#![no_main]

mod cuts;

use commonroom::protocol::{
    Command, Decoder, Framing, Heard, LINE_BYTES, Nickname, Notice, Refusal, Sanitized,
};
use commonroom::room::{DisconnectReason, Entry, MemberId, Outcome, Read, Readers, Room, Transcript};
use libfuzzer_sys::fuzz_target;

/// Small enough for lines to fall off the end of the transcript all the time.
const RETENTION_BYTES: usize = 4 * 1_024;
const PRIVATE_BYTES: usize = 1_024;
const READ_BYTES: usize = 512;

/// More than a line may have.
const LONG_BYTES: usize = 1_400;

fuzz_target!(|input: &[u8]| {
    let mut chat = Chat { room: Room::new(RETENTION_BYTES), readers: Readers::new(PRIVATE_BYTES) };
    let mut witness = Screen::default();
    let watching = chat.join(Nickname::parse("Witness").expect("a nickname")).expect("an empty room");
    let mut connections = [Connection::default(), Connection::default()];
    for piece in cuts::pieces(input, LONG_BYTES) {
        let connection = &mut connections[piece.connection];
        connection.deliver(&piece.bytes);
        while connection.take_message(&mut chat) {
            witness.read(&mut chat, watching);
        }
        for connection in &mut connections {
            connection.read(&mut chat);
        }
        let bound = Transcript::bound_bytes(RETENTION_BYTES, 2 * LINE_BYTES);
        assert!(chat.room.transcript().retained_bytes() <= bound, "the transcript is bounded");
    }
    for connection in &connections {
        connection.agrees_with(&witness);
        connection.does_not_depend_on_the_cuts();
    }
});

/// The room and its readers, as a server has them.
struct Chat {
    room: Room,
    readers: Readers<()>,
}

impl Chat {
    fn join(&mut self, nickname: Nickname) -> Result<MemberId, Refusal> {
        let joining = self.room.transcript().end();
        match self.room.apply(&Entry::Join { nickname, from: ([127, 0, 0, 1], 1).into() }) {
            Outcome::Joined(id) => {
                self.readers.add(id, joining, ());
                self.tell(id, &Notice::Connected);
                Ok(id)
            }
            Outcome::Refused(refusal) => Err(refusal),
            other => panic!("a joining comes to {other:?}"),
        }
    }

    fn leave(&mut self, member: MemberId) {
        let until = self.room.transcript().end();
        self.room.apply(&Entry::Leave { member, reason: DisconnectReason::Quit });
        self.readers.end(member, until);
    }

    fn tell(&mut self, id: MemberId, notice: &Notice<'_>) {
        self.readers.tell(id, self.room.transcript().end(), notice);
    }
}

#[derive(Default)]
struct Connection {
    decoder: Decoder,
    member: Option<(MemberId, String)>,
    gone: bool,
    screen: Screen,
    sent: Vec<u8>,
    messages: Vec<Result<String, Refusal>>,
}

impl Connection {
    fn deliver(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            self.decoder.quiet();
        } else {
            self.sent.extend_from_slice(bytes);
            self.decoder.push(bytes);
        }
    }

    /// Handles one message, as a session does. Returns whether there was one.
    fn take_message(&mut self, chat: &mut Chat) -> bool {
        let Some(message) = self.decoder.next_message() else {
            let held = self.decoder.held_bytes();
            assert!(held <= LINE_BYTES + 1, "{held} bytes of an incomplete message are held");
            return false;
        };
        let message = message.map(str::to_owned);
        self.messages.push(message.clone());
        match self.member.clone() {
            _ if self.gone => {}
            Some((id, chosen)) => self.handle(chat, id, &chosen, message),
            None => self.join(chat, message),
        }
        true
    }

    fn join(&mut self, chat: &mut Chat, message: Result<String, Refusal>) {
        let Ok(chosen) = message else { return };
        let joined = Nickname::parse(&chosen).map_err(Refusal::from).and_then(|name| chat.join(name));
        if let Ok(id) = joined {
            self.decoder.set_report_prefix(&format!("{chosen}: "));
            self.member = Some((id, chosen));
        }
    }

    fn handle(&mut self, chat: &mut Chat, member: MemberId, chosen: &str, message: Result<String, Refusal>) {
        let Some(nickname) = chat.room.nickname(member).cloned() else { return };
        let prefixes = [nickname.as_str(), chosen];
        let message = message.as_deref().map_err(|&refusal| refusal);
        let entry = match message.and_then(|text| Command::parse(text, &prefixes)) {
            Ok(Command::Say(text)) => Entry::Say { member, text },
            Ok(Command::Act(text)) => Entry::Act { member, text },
            Ok(Command::Whisper { to, text }) => match chat.room.find(to) {
                Some(to) if chat.readers.may_be_told_more(to) => Entry::Whisper { member, to, text },
                _ => return chat.tell(member, &Notice::NotSent(Refusal::NobodyOfThatName)),
            },
            Ok(Command::Rename(name)) => match Nickname::parse(name) {
                Ok(nickname) => Entry::Rename { member, nickname },
                Err(error) => return chat.tell(member, &Notice::NotSent(error.into())),
            },
            Ok(Command::Ping(token)) => return chat.tell(member, &Notice::Pong(token)),
            Ok(Command::Help) => return chat.tell(member, &Notice::Help),
            Ok(Command::Quit) => {
                self.gone = true;
                return chat.leave(member);
            }
            Ok(_) => return,
            Err(refusal) => return chat.tell(member, &Notice::NotSent(refusal)),
        };
        match (chat.room.apply(&entry), entry) {
            (Outcome::Refused(refusal), _) => chat.tell(member, &Notice::NotSent(refusal)),
            (Outcome::Whispered { from, to: addressee }, Entry::Whisper { to, text, .. }) => {
                chat.tell(to, &Notice::WhisperFrom(&from, text));
                chat.tell(member, &Notice::WhisperTo(&addressee, text));
            }
            _ => {}
        }
    }

    fn read(&mut self, chat: &mut Chat) {
        if let Some((id, _)) = self.member {
            self.screen.read(chat, id);
        }
    }

    /// One order: the lines that it was told are a slice of those that the witness was told, from its joining
    /// on.
    fn agrees_with(&self, witness: &Screen) {
        let Some(joining) = self.screen.everyone.first() else { return };
        let stretches = (0..witness.everyone.len()).filter(|&line| witness.everyone[line] == *joining);
        let mut stretches = stretches.map(|line| &witness.everyone[line..]);
        let told = &self.screen.everyone;
        assert!(
            stretches.any(|stretch| stretch.starts_with(told)),
            "{told:?} is not in {:?}",
            witness.everyone
        );
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

/// The lines that a member was told.
#[derive(Default)]
struct Screen {
    everyone: Vec<String>,
    /// The beginning of a line whose end has not been read yet.
    unfinished: Vec<u8>,
    behind: bool,
}

impl Screen {
    fn read(&mut self, chat: &mut Chat, id: MemberId) {
        while !self.behind {
            let Chat { room, readers } = chat;
            let read = readers.visit_one(id, |reader| match reader.read(room.transcript(), READ_BYTES) {
                Ok(Read::Data { bytes, .. }) => {
                    // The socket takes a part of it.
                    let taken = bytes.len().div_ceil(2);
                    reader.advance(room.transcript(), taken);
                    Ok(Some(bytes[..taken].to_vec()))
                }
                Ok(Read::Idle | Read::End) => Ok(None),
                Err(error) => Err(error),
            });
            match read {
                Some(Ok(Some(bytes))) => self.take(&bytes),
                Some(Ok(None)) | None => {
                    assert!(self.unfinished.is_empty(), "lines are sent whole");
                    return;
                }
                // It is not a member any more.
                Some(Err(_)) => self.behind = true,
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.unfinished.extend_from_slice(bytes);
        let whole = self.unfinished.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let whole: Vec<u8> = self.unfinished.drain(..whole).collect();
        let text = String::from_utf8(whole).expect("lines are UTF-8");
        for line in text.lines() {
            assert_eq!(Sanitized(line).to_string(), line, "nothing that is sent acts on a terminal");
            assert!(line.len() <= 2 * LINE_BYTES, "a line has {} bytes", line.len());
            if let Heard::Everyone(line) = Heard::parse(line) {
                self.everyone.push(line.to_owned());
            }
        }
    }
}

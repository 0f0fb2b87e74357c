//! Two connections send anything at all, cut anywhere, in either framing, to the decoder with the
//! room behind it; a third member looks on. What must hold is asserted at every step.
#![no_main]

mod cuts;

use commonroom::protocol::{
    Command, Decoder, Framing, Sanitized, Heard, LINE_BYTES, Nickname, Notice, Refusal,
};
use commonroom::room::{MemberId, Read, Room, Transcript};
use libfuzzer_sys::fuzz_target;

/// So little that lines fall off the end of the log all the time.
const RETENTION_BYTES: usize = 4 * 1_024;
const PRIVATE_BYTES: usize = 1_024;
const READ_BYTES: usize = 512;

/// More than a line may have.
const LONG_BYTES: usize = 1_400;

fuzz_target!(|input: &[u8]| {
    let mut room = Room::new(RETENTION_BYTES, PRIVATE_BYTES);
    let mut witness = Screen::default();
    let watching = room.join(Nickname::parse("Witness").expect("a nickname"), 0).expect("an empty room");
    let mut connections = [Connection::default(), Connection::default()];
    for piece in cuts::pieces(input, LONG_BYTES) {
        let connection = &mut connections[piece.connection];
        connection.deliver(&piece.bytes);
        while connection.take_message(&mut room) {
            witness.read(&mut room, watching);
        }
        for connection in &mut connections {
            connection.read(&mut room);
        }
        let bound = Transcript::bound_bytes(RETENTION_BYTES, 2 * LINE_BYTES);
        assert!(room.retained_bytes() <= bound, "the log is bounded");
    }
    for connection in &connections {
        connection.agrees_with(&witness);
        connection.does_not_depend_on_the_cuts();
    }
});

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

    /// Does what one message asks for, as a session does. Returns whether there was one.
    fn take_message(&mut self, room: &mut Room) -> bool {
        let Some(message) = self.decoder.next_message() else {
            let held = self.decoder.held_bytes();
            assert!(held <= LINE_BYTES + 1, "{held} bytes are held of what is no message yet");
            return false;
        };
        let message = message.map(str::to_owned);
        self.messages.push(message.clone());
        match &self.member {
            _ if self.gone => {}
            Some(_) => self.obey(room, message),
            None => self.join(room, message),
        }
        true
    }

    fn join(&mut self, room: &mut Room, message: Result<String, Refusal>) {
        let Ok(chosen) = message else { return };
        let joined = Nickname::parse(&chosen).map_err(Refusal::from).and_then(|name| room.join(name, 0));
        if let Ok(id) = joined {
            self.decoder.set_report_prefix(&format!("{chosen}: "));
            self.member = Some((id, chosen));
        }
    }

    fn obey(&mut self, room: &mut Room, message: Result<String, Refusal>) {
        let Some((id, chosen)) = self.member.clone() else { return };
        let Some(nickname) = room.nickname(id).cloned() else { return };
        let prefixes = [nickname.as_str(), &chosen];
        let done = match message
            .as_deref()
            .map_err(|&refusal| refusal)
            .and_then(|text| Command::parse(text, &prefixes))
        {
            Ok(Command::Say(text)) => {
                room.say(id, text);
                Ok(())
            }
            Ok(Command::Act(text)) => {
                room.act(id, text);
                Ok(())
            }
            Ok(Command::Whisper { to, text }) => room.whisper(id, to, text).map(drop),
            Ok(Command::Rename(name)) => {
                Nickname::parse(name).map_err(Refusal::from).and_then(|new| room.rename(id, new)).map(drop)
            }
            Ok(Command::Ping(token)) => Ok(room.tell(id, &Notice::Pong(token))),
            Ok(Command::Help) => Ok(room.tell(id, &Notice::Help)),
            Ok(Command::Quit) => {
                room.leave(id);
                self.gone = true;
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(refusal) => Err(refusal),
        };
        if let Err(refusal) = done {
            room.tell(id, &Notice::NotSent(refusal));
        }
    }

    fn read(&mut self, room: &mut Room) {
        if let Some((id, _)) = self.member {
            self.screen.read(room, id);
        }
    }

    /// One order: what it was told is a stretch of what the witness was told, from its joining on.
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

/// What a member has been told.
#[derive(Default)]
struct Screen {
    everyone: Vec<String>,
    /// The beginning of a line whose end has not been read yet.
    unfinished: Vec<u8>,
    behind: bool,
}

impl Screen {
    fn read(&mut self, room: &mut Room, id: MemberId) {
        while !self.behind {
            match room.read(id, READ_BYTES) {
                Ok(Read::Data { stretch, .. }) => {
                    // The socket takes a part of it.
                    let taken = stretch.len().div_ceil(2);
                    room.advance(id, taken);
                    self.take(&stretch[..taken]);
                }
                Ok(_) => {
                    assert!(self.unfinished.is_empty(), "lines are sent whole");
                    return;
                }
                // It is no member any more.
                Err(_) => self.behind = true,
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.unfinished.extend_from_slice(bytes);
        let whole = self.unfinished.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let whole: Vec<u8> = self.unfinished.drain(..whole).collect();
        let text = String::from_utf8(whole).expect("what is sent is UTF-8");
        for line in text.lines() {
            assert_eq!(Sanitized(line).to_string(), line, "nothing that is sent acts on a terminal");
            assert!(line.len() <= 2 * LINE_BYTES, "a line has {} bytes", line.len());
            if let Heard::Everyone(line) = Heard::parse(line) {
                self.everyone.push(line.to_owned());
            }
        }
    }
}

//! What a client has been told, and how it counts that.

use commonroom::protocol::{Heard, LINE_BYTES, Resume, Sanitized, SessionNotice};
use commonroom::room::{Attachment, Read};

use super::chat::{Chat, HEARTBEAT};

/// How much a slow reader reads at a time, and any other.
const SLOW_BYTES: usize = 7;
const READ_BYTES: usize = 512;

/// The lines that a client was told, in as many connections as its session had.
#[derive(Default)]
pub struct Screen {
    /// Those for everyone.
    everyone: Vec<Line>,
    /// Those for it alone that count in its session.
    private: Vec<Line>,
    /// The number of the first of those.
    private_from: usize,
    /// What it would ask for in another connection, if it has a session.
    pub saved: Option<Resume>,
    /// It has counted wrongly, and so may get anything.
    pub lies: bool,
    /// The beginning of a line whose end has not been read yet.
    unfinished: Vec<u8>,
    /// It has not read everything that there was.
    unread: bool,
    pub slow: bool,
}

enum Line {
    Told(String),
    /// So many lines are missing here.
    Missing(u64),
}

impl Screen {
    /// The screen of a client that goes on with a session of another one.
    pub fn of_another(request: Resume) -> Self {
        Self { saved: Some(request), lies: true, ..Self::default() }
    }

    /// The session goes on in another connection, with the private lines from this one on.
    pub fn resumed(&mut self, private_from: usize) {
        if self.lies {
            self.private_from = private_from;
        }
        self.unfinished.clear();
        self.slow = false;
    }

    /// Reads what there is. Returns false if that is no longer all there.
    pub fn read(&mut self, chat: &mut Chat, attachment: Attachment) -> bool {
        let read_bytes = if self.slow { SLOW_BYTES } else { READ_BYTES };
        loop {
            let Chat { room, readers, .. } = chat;
            let read = readers.visit_one(attachment, |reader| {
                match reader.read(room.transcript(), read_bytes) {
                    Ok(Read::Data { bytes, .. }) => {
                        // The socket takes a part of it.
                        let taken = bytes.len().div_ceil(2);
                        reader.advance(room.transcript(), taken);
                        Ok(Some(bytes[..taken].to_vec()))
                    }
                    Ok(Read::Idle | Read::End) => Ok(None),
                    Err(error) => Err(error),
                }
            });
            self.unread = !matches!(read, Some(Ok(None)));
            match read {
                Some(Ok(Some(bytes))) => {
                    self.take(&bytes);
                    if self.slow {
                        return true;
                    }
                }
                Some(Ok(None)) => {
                    assert!(self.unfinished.is_empty(), "lines are sent whole");
                    return true;
                }
                None => return true,
                Some(Err(_)) => return false,
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
            match Heard::parse(line) {
                Heard::Everyone(line) => self.hear(line),
                Heard::Connected => {}
                _ => self.hear_alone(line),
            }
        }
    }

    fn hear(&mut self, line: &str) {
        self.everyone.push(Line::Told(line.to_owned()));
        if let Some(saved) = &mut self.saved {
            saved.public_lines = saved.public_lines.saturating_add(1);
        }
    }

    fn hear_alone(&mut self, line: &str) {
        let told = line.strip_prefix("-- ").expect("a line for one member alone");
        match (SessionNotice::parse(told), &mut self.saved) {
            (Some(SessionNotice::Begun { token, epoch, public_lines }), saved) => {
                *saved = Some(Resume { token, epoch, public_lines, private_lines: 0 });
            }
            (Some(SessionNotice::PublicMissing(count)), Some(saved)) => {
                saved.public_lines = saved.public_lines.saturating_add(count);
                self.everyone.push(Line::Missing(count));
            }
            (Some(SessionNotice::PrivateMissing(count)), Some(saved)) => {
                saved.private_lines = saved.private_lines.saturating_add(count);
                self.private.push(Line::Missing(count));
            }
            (None, Some(saved)) if !is_heartbeat(told) => {
                saved.private_lines = saved.private_lines.saturating_add(1);
                self.private.push(Line::Told(line.to_owned()));
            }
            _ => {}
        }
    }

    /// One order: the lines that it was told are a slice of those that the witness was told.
    pub fn agrees_with(&self, witness: &Self) {
        let told = match &self.everyone[..] {
            [] => return,
            _ if self.lies => return,
            told => told,
        };
        let is_slice = (0..=witness.everyone.len()).any(|begin| {
            let line = |index: u64| match witness.everyone.get(usize::try_from(index).ok()?)? {
                Line::Told(line) => Some(line.as_str()),
                Line::Missing(_) => None,
            };
            follows(told, begin as u64, line)
        });
        assert!(is_slice, "{} is not in {}", shown(told), shown(&witness.everyone));
    }

    /// Every private line that counts came once, in order, or is said to be missing.
    pub fn has_its_private_lines(&self, chat: &Chat, attachment: Attachment) {
        let Some((told, is_current)) = chat.told(attachment) else { return };
        if self.lies {
            return;
        }
        let line = |index: u64| told.get(usize::try_from(index).ok()?).map(String::as_str);
        let from = self.private_from as u64;
        assert!(follows(&self.private, from, line), "{} is not of {told:?}", shown(&self.private));
        if is_current && !self.unread {
            let count: u64 = self.private.iter().map(Line::count).sum();
            assert_eq!(from + count, told.len() as u64, "everything was read");
        }
    }
}

impl Line {
    fn count(&self) -> u64 {
        match self {
            Self::Told(_) => 1,
            Self::Missing(count) => *count,
        }
    }
}

/// Whether these lines are those from `begin` on.
fn follows<'a>(lines: &[Line], begin: u64, line: impl Fn(u64) -> Option<&'a str>) -> bool {
    let mut next = begin;
    lines.iter().all(|told| {
        let fits = match told {
            Line::Told(told) => line(next) == Some(told),
            Line::Missing(_) => true,
        };
        next += told.count();
        fits
    })
}

fn shown(lines: &[Line]) -> String {
    let lines = lines.iter().map(|line| match line {
        Line::Told(line) => line.clone(),
        Line::Missing(count) => format!("({count} are missing)"),
    });
    lines.collect::<Vec<_>>().join(" / ")
}

fn is_heartbeat(told: &str) -> bool {
    told.strip_prefix("pong ").is_some_and(|rest| rest.starts_with(HEARTBEAT))
}

//! What the client hears.

use std::time::Duration;

use super::Session;
use super::attachment::Phase;
use super::event::{Disconnected, Event};
use super::heartbeat::Reply;
use super::incoming::Received;
use super::receipts::Receipt;
use crate::protocol::{Framing, Heard, Nickname, Progress, SessionNotice};

/// The reason to give for a server that does not understand the request to go on with a session.
const KNOWS_NO_SESSIONS: &str = "the server knows no sessions";

impl Session {
    pub(super) fn hear_all(&mut self, now: Duration) {
        while let Some(received) = self.attachment.as_mut().and_then(|attachment| attachment.incoming.next())
        {
            self.hear(received, now);
        }
    }

    fn hear(&mut self, received: Received, now: Duration) {
        let Some(attachment) = &mut self.attachment else { return };
        let is_resuming = match attachment.phase {
            Phase::Connected => self.kept.is_some(),
            phase => phase == Phase::Resuming,
        };
        match received {
            Received::NicknameRequest => self.hear_nickname_request(now),
            Received::PasswordRequest if is_resuming => self.give_up_resuming(now),
            Received::PasswordRequest => self.events.extend(attachment.password_requested(&self.config, now)),
            Received::Unreadable(_) if is_resuming => {}
            Received::Unreadable(refusal) => {
                self.events.push_back(Event::Unreadable(refusal));
                if let Some(kept) = &mut self.kept {
                    // Of whatever kind it is, the private ones are short and clean.
                    kept.add(1, 0);
                }
            }
            Received::Line(line) if is_resuming => self.hear_while_resuming(&line, now),
            Received::Line(line) => self.hear_line(line, now),
        }
    }

    fn hear_nickname_request(&mut self, now: Duration) {
        let Some(attachment) = &mut self.attachment else { return };
        match &self.kept {
            Some(kept) if attachment.phase == Phase::Connected && attachment.ending.is_none() => {
                attachment.send_resume(&kept.resume, now);
                return;
            }
            Some(_) if attachment.phase == Phase::Resuming => {
                self.not_resumed(KNOWS_NO_SESSIONS.to_owned(), None);
            }
            _ => {}
        }
        if let Some(attachment) = &mut self.attachment {
            self.events.extend(attachment.nickname_requested(&self.config, now));
        }
    }

    /// Until the session goes on, nothing is for the user; not why an attempt has failed, either.
    fn hear_while_resuming(&mut self, line: &str, now: Duration) {
        match session_notice(line) {
            Some(SessionNotice::Resumed { nickname, public_lines, taken }) => {
                self.resumed(&nickname, public_lines, taken, now);
            }
            Some(SessionNotice::NotResumed { reason, taken }) => self.not_resumed(reason, taken),
            _ if Heard::parse(line) == Heard::Connected => self.give_up_resuming(now),
            _ => {}
        }
    }

    /// The server has taken the request to go on for a nickname.
    fn give_up_resuming(&mut self, now: Duration) {
        self.not_resumed(KNOWS_NO_SESSIONS.to_owned(), None);
        self.disconnect(Disconnected::Closed, now);
    }

    fn hear_line(&mut self, line: String, now: Duration) {
        let Some(attachment) = &mut self.attachment else { return };
        match attachment.heartbeat.hear(&line) {
            Some(Reply::Pong(progress)) => return self.hear_pong(progress),
            Some(Reply::NotUnderstood) => return self.has_no_session(),
            None => {}
        }
        if attachment.phase == Phase::Joined
            && self.config.outlives().is_some()
            && let Some(notice) = session_notice(&line)
        {
            return self.hear_notice(notice, now);
        }
        if let Some(kept) = &mut self.kept {
            kept.count(&line);
        }
        match self.receipts.hear(&line, self.config.nickname.as_str()) {
            Receipt::SessionRefused => return self.has_no_session(),
            Receipt::Refused(refused) => self.events.push_back(Event::NotSent(refused)),
            Receipt::Confirmed | Receipt::None => {}
        }
        self.hear_news(line, now);
    }

    fn hear_pong(&mut self, progress: Option<Progress>) {
        let Some(attachment) = &mut self.attachment else { return };
        let wants_session = self.kept.is_none() && self.config.outlives().is_some();
        if wants_session && attachment.ending.is_none() && !attachment.session_asked {
            attachment.session_asked = true;
            attachment.send("/session");
            self.receipts.session_asked();
        }
        self.receipts.ponged();
        self.replayed();
        if let (Some(progress), Some(_)) = (progress, &self.kept) {
            self.receipts.settle(progress.taken);
        }
        self.events.push_back(Event::Pong);
    }

    fn hear_notice(&mut self, notice: SessionNotice, now: Duration) {
        match notice {
            SessionNotice::Begun { token, epoch, public_lines } => {
                self.session_begun(token, epoch, public_lines);
            }
            SessionNotice::TakenOver => self.taken_over(now),
            SessionNotice::Kept(grace) => {
                if let Some(kept) = &mut self.kept {
                    kept.grace = grace;
                }
            }
            SessionNotice::Held => {
                if let Some(attachment) = &mut self.attachment {
                    attachment.heartbeat.hold();
                }
                self.hear_news(format!("-- {notice}"), now);
            }
            SessionNotice::ShuttingDown => self.hear_news(format!("-- {notice}"), now),
            SessionNotice::PublicMissing(lines) => self.hear_missing(lines, 0),
            SessionNotice::PrivateMissing(lines) => self.hear_missing(0, lines),
            // These answer the request to go on alone.
            _ => {}
        }
    }

    fn hear_missing(&mut self, public_lines: u64, private_lines: u64) {
        let Some(kept) = &mut self.kept else { return };
        kept.add(public_lines, private_lines);
        self.events.push_back(Event::Missing { public_lines, private_lines });
        let unknown = self.receipts.answers_are_missing();
        self.report_unconfirmed(unknown);
    }

    /// A line of the room, or about joining it.
    fn hear_news(&mut self, line: String, now: Duration) {
        let Some(attachment) = &mut self.attachment else { return };
        let heard = Heard::parse(&line);
        let meaning = if attachment.joins(heard, now) {
            if self.config.outlives().is_some() {
                attachment.hold(now);
            }
            Some(Event::Joined)
        } else if let Heard::NotJoined(reason) = heard {
            attachment.refused(reason)
        } else {
            self.renamed(heard).map(|nickname| {
                self.config.nickname = nickname.clone();
                Event::Renamed(nickname)
            })
        };
        self.events.push_back(Event::Line(line));
        if meaning == Some(Event::Joined) {
            // The first ping goes out before anything else that is heard or said.
            self.handle_timeout(now);
        }
        self.events.extend(meaning);
    }

    /// The client's new nickname, if this line tells everyone about it. In the report's framing lines are merged, so
    /// anybody could say it.
    fn renamed(&self, heard: Heard<'_>) -> Option<Nickname> {
        let Heard::Everyone(line) = heard else { return None };
        let rest = line.strip_prefix(self.config.nickname.as_str())?;
        let new = rest.strip_prefix(" is now known as ")?.strip_suffix('.')?;
        let is_member = self.attachment.as_ref().is_some_and(|attachment| attachment.phase == Phase::Joined);
        // What an earlier client has missed may be about another member of that nickname.
        let is_past = self.kept.as_ref().is_some_and(|kept| kept.is_inherited);
        let can_be = is_member && !is_past && self.config.framing == Framing::Lines;
        Nickname::parse(new).ok().filter(|_| can_be)
    }
}

fn session_notice(line: &str) -> Option<SessionNotice> {
    SessionNotice::parse(line.strip_prefix("-- ")?)
}

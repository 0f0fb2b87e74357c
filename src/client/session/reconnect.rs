//! The ends of connections, and of sessions.

use std::time::Duration;

use super::Session;
use super::attachment::Attachment;
use super::event::{Disconnected, Event};
use super::kept::Kept;
use super::search::{Attempt, Search};
use crate::protocol::{LogEpoch, Nickname, Token};

impl Session {
    /// The server keeps a session for the client.
    pub(super) fn session_begun(&mut self, token: Token, epoch: LogEpoch, public_lines: u64) {
        let Some(attachment) = &mut self.attachment else { return };
        self.kept = Some(Kept::new(token, epoch, public_lines));
        self.receipts.session_begun();
        attachment.heartbeat.has_session();
        attachment.release();
        self.search = None;
        self.backoff.succeeded();
        self.events.push_back(Event::SessionKept);
        self.send_waiting(self.now);
    }

    /// The server keeps none, as far as the client can tell.
    pub(super) fn has_no_session(&mut self) {
        if self.attachment.as_mut().is_some_and(Attachment::release) {
            self.search = None;
            self.send_waiting(self.now);
        }
    }

    /// The session goes on in this connection.
    pub(super) fn resumed(&mut self, nickname: &str, public_lines: u64, taken: u64, now: Duration) {
        let (Some(attachment), Some(kept)) = (&mut self.attachment, &mut self.kept) else { return };
        kept.next_number = kept.next_number.max(taken.saturating_add(1));
        let nickname = Nickname::parse(nickname).unwrap_or_else(|_| self.config.nickname.clone());
        if kept.is_inherited {
            self.config.nickname = nickname.clone();
        }
        kept.replay = Some(nickname);
        let missed_lines = public_lines.saturating_sub(kept.resume.public_lines);
        self.receipts.resumed(taken);
        // Its pong ends the answers to earlier lines, so it goes out before any other line.
        let ping = attachment.resumed(now);
        let lost = self.search.take().filter(|_| !kept.is_inherited);
        let away = lost.map(|search| now.saturating_sub(search.since));
        self.backoff.succeeded();
        self.events.push_back(Event::Resumed { away, missed_lines });
        self.events.push_back(Event::SessionKept);
        if let Some(ping) = ping {
            self.ping(&ping);
        }
        self.send_waiting(now);
    }

    /// Everything that was missed has come.
    pub(super) fn replayed(&mut self) {
        let Some(kept) = &mut self.kept else { return };
        let Some(nickname) = kept.replay.take() else { return };
        kept.is_inherited = false;
        let unknown = self.receipts.replayed();
        self.report_unconfirmed(unknown);
        // The line that told of it is no longer kept.
        if nickname != self.config.nickname {
            self.config.nickname = nickname.clone();
            self.events.push_back(Event::Renamed(nickname));
        }
    }

    /// The session does not go on. The client is a newcomer, whom the server asks for a nickname next.
    pub(super) fn not_resumed(&mut self, reason: String, taken: Option<u64>) {
        self.kept = None;
        if let Some(attachment) = &mut self.attachment {
            attachment.not_resumed();
        }
        self.events.push_back(Event::NotResumed(reason));
        let unknown = self.receipts.session_over(taken);
        self.report_unconfirmed(unknown);
    }

    /// Another client goes on with the session.
    pub(super) fn taken_over(&mut self, now: Duration) {
        self.kept = None;
        self.events.push_back(Event::TakenOver);
        if let Some(attachment) = &mut self.attachment {
            attachment.taken_over(now);
        }
    }

    pub(super) fn report_unconfirmed(&mut self, lines: Vec<String>) {
        if !lines.is_empty() {
            self.events.push_back(Event::Unconfirmed(lines));
        }
    }

    /// The connection is gone: if a session goes on without it, another one is looked for.
    pub(super) fn disconnect(&mut self, how: Disconnected, now: Duration) {
        let Some(attachment) = self.attachment.take() else { return };
        self.pings = attachment.heartbeat.pings();
        if attachment.leaves() || self.kept.is_none() && self.search.is_none() {
            self.kept = None;
            self.search = None;
            self.pings = 0;
            self.events.push_back(Event::Disconnected(how));
            return;
        }
        self.receipts.connection_lost();
        if self.search.is_none() {
            let grace = self.kept.as_ref().map_or(Duration::ZERO, |kept| kept.grace);
            let at_most = self.config.outlives().and_then(|reconnect| reconnect.for_at_most);
            let until = now.saturating_add(at_most.unwrap_or(grace));
            self.search = Some(Search { how, since: now, until, attempt: Attempt::Due(now) });
            self.events.push_back(Event::ConnectionLost(how));
        }
        self.try_again(now);
    }

    /// Plans the next attempt to connect, the last of them at the end of the time that there is for them.
    pub(super) fn try_again(&mut self, now: Duration) {
        let Some(search) = &mut self.search else { return };
        let has_tried = search.attempt != Attempt::Due(search.since);
        if has_tried && now >= search.until {
            let how = search.how;
            self.search = None;
            self.kept = None;
            self.pings = 0;
            self.events.push_back(Event::Disconnected(how));
            return;
        }
        let pause = self.backoff.pause(now).min(search.until.saturating_sub(now));
        search.attempt = Attempt::Due(now + pause);
        self.events.push_back(Event::TryingAgain(pause));
        self.search_on(now);
    }

    /// Begins the next attempt if it is due.
    pub(super) fn search_on(&mut self, now: Duration) {
        if let Some(search) = &mut self.search
            && let Attempt::Due(at) = search.attempt
            && now >= at
        {
            search.attempt = Attempt::Connecting;
            self.backoff.attempted(now);
        }
    }
}

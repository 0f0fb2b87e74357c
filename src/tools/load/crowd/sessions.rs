//! Members with sessions, which lose their connections and go on in others.

use super::Crowd;
use crate::protocol::Sanitized;
use crate::tools::load::connection::Connection;

/// How a member asks for a session, right after its nickname.
pub(super) const REQUEST: &[u8] = b"/session\n";

impl Crowd {
    /// Closes the connections of all members. [`Crowd::open_next`] then lets them connect again.
    pub(in crate::tools::load) fn lose_connections(&mut self) -> Result<(), String> {
        self.resuming = true;
        self.opened = 0;
        for index in 0..self.members.len() {
            let member = &mut self.members[index];
            (member.established, member.joined) = (false, false);
            let closed = member.connection.close(&self.poller);
            closed.map_err(|error| self.lost_connection(index, &error))?;
        }
        Ok(())
    }

    /// Connects a member again, which then asks to go on with its session.
    pub(super) fn open_again(&mut self, index: usize) -> Result<(), String> {
        let mut connection = Connection::open(self.plan.address, &self.poller, index)
            .map_err(|error| self.cannot_connect(&error))?;
        let request = self.members[index].resume.as_ref().map(ToString::to_string).unwrap_or_default();
        connection.outgoing().extend_from_slice(request.as_bytes());
        connection.outgoing().push(b'\n');
        self.members[index].connection = connection;
        Ok(())
    }

    /// A member that wants a session has not joined before it has one.
    pub(super) fn welcomed(&mut self, index: usize) -> Result<(), String> {
        if self.plan.sessions { Ok(()) } else { self.joined(index) }
    }

    /// Counts a line for everyone. While sessions go on in other connections, nobody is told anything.
    pub(super) fn count_public(&mut self, index: usize, line: &[u8]) -> Result<(), String> {
        let member = &mut self.members[index];
        let Some(resume) = &mut member.resume else { return Ok(()) };
        if self.resuming {
            let line = String::from_utf8_lossy(line);
            return Err(format!("{} was told after its return: {}", member.name, Sanitized(&line)));
        }
        resume.public_lines += 1;
        Ok(())
    }
}

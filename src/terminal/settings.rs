//! A client as its command line describes it, and its way to a room.

use super::Failure;
use super::token_file::TokenFile;
use crate::client::{Config, Connection, Reconnect, connect};
use crate::net::Connect;
use crate::protocol::{Framing, Nickname, Password};

/// A room, and how a client speaks to it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The server.
    pub address: String,
    /// Whether the network encrypts the connection.
    pub encrypted: bool,
    /// How messages are delimited.
    pub framing: Framing,
    /// What to be called, if that is known already.
    pub nickname: Option<Nickname>,
    /// The password of the room.
    pub password: Option<Password>,
    /// How to outlive a connection, if the client is to. [`Reconnect::resume`] is not for the user to give: it
    /// comes from the file of the nickname.
    pub reconnect: Option<Reconnect>,
}

impl Settings {
    /// Connects, and begins to shake hands as this member; if an earlier client of the nickname was killed, with
    /// its session.
    ///
    /// # Errors
    ///
    /// [`Failure::CannotConnect`].
    pub async fn connect<N: Connect>(
        self,
        network: &N,
        nickname: Nickname,
    ) -> Result<(Connection<N::Stream>, TokenFile), Failure> {
        let mut tokens = match self.reconnect {
            Some(_) if self.framing == Framing::Lines => TokenFile::of_user(&self.address, self.encrypted),
            _ => TokenFile::none(),
        };
        let resume = tokens.claim(&nickname);
        let mut config = Config::new(nickname).with_framing(self.framing).with_password(self.password);
        config.reconnect = self.reconnect.map(|reconnect| Reconnect { resume, ..reconnect });
        match connect(network, &self.address, config).await {
            Ok(connection) => Ok((connection, tokens)),
            Err(error) => Err(Failure::CannotConnect { address: self.address, error }),
        }
    }
}

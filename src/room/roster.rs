//! The roster: the members, and the nicknames that are taken.

use std::collections::BTreeMap;

use super::encoding::{Decoder, Encoder};
use super::{Malformed, MemberId};
use crate::protocol::Nickname;

/// The members and their nicknames. No two members share a key of their nicknames
/// ([`Nickname::keys`]), so no two look alike.
#[derive(Debug, Default)]
pub(super) struct Roster {
    /// In the order of joining.
    members: BTreeMap<MemberId, Nickname>,
    holders: BTreeMap<Box<str>, MemberId>,
    joined_so_far: u64,
}

/// Another member has the nickname, or one that looks the same.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Taken;

impl Roster {
    /// Adds a member.
    pub(super) fn add(&mut self, nickname: Nickname) -> Result<MemberId, Taken> {
        let id = MemberId(self.joined_so_far);
        self.hold(id, &nickname)?;
        self.joined_so_far += 1;
        self.members.insert(id, nickname);
        Ok(id)
    }

    /// Removes a member. Returns its nickname, or `None` if it is not a member.
    pub(super) fn remove(&mut self, id: MemberId) -> Option<Nickname> {
        let nickname = self.members.remove(&id)?;
        self.release(&nickname);
        Some(nickname)
    }

    /// Gives a member another nickname. Returns the old one, or `None` if it is not a member.
    pub(super) fn rename(&mut self, id: MemberId, new: &Nickname) -> Result<Option<Nickname>, Taken> {
        let Some(old) = self.members.get(&id).cloned() else { return Ok(None) };
        self.hold(id, new)?;
        // Keys that the two share are still held.
        let kept = new.keys();
        for key in old.keys().iter().filter(|key| !kept.contains(key)) {
            self.holders.remove(key);
        }
        self.members.insert(id, new.clone());
        Ok(Some(old))
    }

    pub(super) fn nickname(&self, id: MemberId) -> Option<&Nickname> {
        self.members.get(&id)
    }

    /// The member that has this nickname, however it is written.
    pub(super) fn find(&self, nickname: &Nickname) -> Option<MemberId> {
        let [key, _] = nickname.keys();
        self.holders.get(&key).copied()
    }

    pub(super) fn members(&self) -> impl ExactSizeIterator<Item = (MemberId, &Nickname)> {
        self.members.iter().map(|(&id, nickname)| (id, nickname))
    }

    pub(super) fn encode(&self, out: &mut Encoder) {
        out.number(self.joined_so_far).number(self.members.len() as u64);
        for (id, nickname) in &self.members {
            out.number(id.0).text(nickname.as_str());
        }
    }

    pub(super) fn decode(bytes: &mut Decoder<'_>) -> Result<Self, Malformed> {
        let mut roster = Self { joined_so_far: bytes.number()?, ..Self::default() };
        for _ in 0..bytes.number()? {
            let (id, nickname) = (MemberId(bytes.number()?), bytes.nickname()?);
            for key in nickname.keys() {
                // Newer tables of Unicode may make two nicknames alike that were not. Both stay.
                roster.holders.entry(key).or_insert(id);
            }
            roster.members.insert(id, nickname);
        }
        Ok(roster)
    }

    fn hold(&mut self, id: MemberId, nickname: &Nickname) -> Result<(), Taken> {
        let keys = nickname.keys();
        if keys.iter().any(|key| self.holders.get(key).is_some_and(|&holder| holder != id)) {
            return Err(Taken);
        }
        self.holders.extend(keys.map(|key| (key, id)));
        Ok(())
    }

    fn release(&mut self, nickname: &Nickname) {
        for key in nickname.keys() {
            self.holders.remove(&key);
        }
    }
}

//! The places of connections: as a member, as a newcomer, or only to be told why there is none.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use super::address_of;
use crate::protocol::Refusal;
use crate::server::Limits;
use crate::server::grace::Away;
use crate::server::limits::{NEWCOMERS, TURNED_AWAY_CONNECTIONS};

/// All open connections, each in one of three kinds of places.
///
/// *Members* have the places that the operator has set. *Newcomers* choose a nickname: there may be
/// more of them than places are free, since most of those who are refused never become members. *Turned
/// away* are those that are only told why, in a few places of their own. Where newcomers or turned
/// away are too many, the oldest gives way to the next: quick clients get in, and lingering ones keep
/// nobody out.
#[derive(Default)]
pub(in crate::server) struct Places(Mutex<State>);

#[derive(Default)]
struct State {
    members: usize,
    newcomers: Queue,
    turned_away: Queue,
    /// How many members and newcomers each address has. One without any takes no memory.
    addresses: BTreeMap<Ipv6Addr, usize>,
    /// Nobody is let in any more.
    closed: bool,
}

/// Connections in order of arrival, each with the waker of its task. One that is not here any more has to end.
#[derive(Default)]
struct Queue {
    waiting: BTreeMap<u64, Waker>,
    so_far: u64,
}

/// One connection's place. It is free again when this is dropped.
pub(in crate::server) struct Place {
    places: Arc<Places>,
    address: Ipv6Addr,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    /// Not yet.
    None,
    Member,
    /// With its number in the queue of newcomers.
    Newcomer(u64),
    /// With its number in the queue of those who are turned away.
    TurnedAway(u64),
}

impl Places {
    /// A connection from this address, which has no place yet.
    pub(in crate::server) fn come(self: &Arc<Self>, address: IpAddr) -> Place {
        Place { places: Arc::clone(self), address: address_of(address), kind: Kind::None }
    }

    /// From now on every newcomer gives way: the server ends.
    pub(in crate::server) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        std::mem::take(&mut state.newcomers.waiting).into_values().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything that could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Gives a connection that comes a place as a newcomer, or turns it away, and says why.
    ///
    /// A limit of 0 means no limit.
    pub(in crate::server) fn enter(&mut self, limits: &Limits) -> Result<(), Refusal> {
        let mut state = self.places.lock();
        let of_address = state.addresses.get(&self.address).copied().unwrap_or(0);
        let entered = if is_reached(limits.connections, state.members) {
            Err(Refusal::Full)
        } else if is_reached(limits.connections_per_address, of_address) {
            Err(Refusal::TooMany)
        } else {
            Ok(())
        };
        self.kind = if entered.is_err() {
            Kind::TurnedAway(state.turned_away.enter(TURNED_AWAY_CONNECTIONS))
        } else {
            let free = if limits.connections == 0 { usize::MAX } else { limits.connections - state.members };
            *state.addresses.entry(self.address).or_default() += 1;
            let number = state.newcomers.enter(free.saturating_add(NEWCOMERS));
            if state.closed {
                state.newcomers.leave(number);
            }
            Kind::Newcomer(number)
        };
        entered
    }

    /// Makes a member of a newcomer if there is a place for one, and if `join` lets it in. Members that are
    /// `away` have no connection, but keep their places.
    pub(in crate::server) fn become_member<T>(
        &mut self,
        limits: &Limits,
        away: Away,
        join: impl FnOnce() -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mut state = self.places.lock();
        if is_reached(limits.connections, state.members + away.all) {
            return Err(Refusal::Full);
        }
        // This newcomer is one of them.
        let of_address = state.addresses.get(&self.address).map_or(0, |count| count.saturating_sub(1));
        if is_reached(limits.connections_per_address, of_address + away.of_address) {
            return Err(Refusal::TooMany);
        }
        let joined = join()?;
        state.let_in(&mut self.kind);
        Ok(joined)
    }

    /// The address that it counts for.
    pub(in crate::server) fn address(&self) -> Ipv6Addr {
        self.address
    }

    /// Gives a newcomer the place of a member that it already is.
    pub(in crate::server) fn come_back(&mut self) {
        self.places.lock().let_in(&mut self.kind);
    }

    /// Gives the place up: from here on this connection is only told why.
    pub(in crate::server) fn turn_away(&mut self) {
        let mut state = self.places.lock();
        state.leave(self.kind, self.address);
        self.kind = Kind::TurnedAway(state.turned_away.enter(TURNED_AWAY_CONNECTIONS));
    }

    /// Completes when a connection that is not a member must end because others need its place, or the server
    /// ends. That is the place that it has now: do not wait for this once it has another.
    pub(in crate::server) fn gives_way(&self) -> impl Future<Output = ()> + use<> {
        let (places, kind) = (Arc::clone(&self.places), self.kind);
        poll_fn(move |context| {
            let state = &mut *places.lock();
            let (queue, number) = match kind {
                Kind::None | Kind::Member => return Poll::Pending,
                Kind::Newcomer(number) => (&mut state.newcomers, number),
                Kind::TurnedAway(number) => (&mut state.turned_away, number),
            };
            match queue.waiting.get_mut(&number) {
                Some(waker) => {
                    waker.clone_from(context.waker());
                    Poll::Pending
                }
                None => Poll::Ready(()),
            }
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().leave(self.kind, self.address);
    }
}

impl State {
    fn let_in(&mut self, kind: &mut Kind) {
        if let Kind::Newcomer(number) = *kind {
            self.newcomers.leave(number);
            self.members += 1;
            *kind = Kind::Member;
        }
    }

    fn leave(&mut self, kind: Kind, address: Ipv6Addr) {
        match kind {
            Kind::None => return,
            Kind::Member => self.members -= 1,
            Kind::Newcomer(number) => self.newcomers.leave(number),
            Kind::TurnedAway(number) => return self.turned_away.leave(number),
        }
        if let Some(of_address) = self.addresses.get_mut(&address) {
            *of_address -= 1;
            if *of_address == 0 {
                self.addresses.remove(&address);
            }
        }
    }
}

impl Queue {
    /// Takes one more in, and returns its number. Beyond `limit` the oldest gives way.
    fn enter(&mut self, limit: usize) -> u64 {
        if self.waiting.len() >= limit
            && let Some((_, oldest)) = self.waiting.pop_first()
        {
            oldest.wake();
        }
        let number = self.so_far;
        self.so_far += 1;
        self.waiting.insert(number, Waker::noop().clone());
        number
    }

    fn leave(&mut self, number: u64) {
        self.waiting.remove(&number);
    }
}

/// Whether a limit is reached. A limit of 0 never is.
fn is_reached(limit: usize, there_are: usize) -> bool {
    limit != 0 && there_are >= limit
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Context;

    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn limits(connections: usize, connections_per_address: usize) -> Limits {
        Limits { connections, connections_per_address, ..Limits::default() }
    }

    fn enter(places: &Arc<Places>, address: IpAddr, limits: &Limits) -> (Place, Option<Refusal>) {
        let mut place = places.come(address);
        let refusal = place.enter(limits).err();
        (place, refusal)
    }

    fn gives_way(place: &Place) -> bool {
        pin!(place.gives_way()).poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    fn counts(places: &Places) -> (usize, usize, usize, usize) {
        let State { members, newcomers, turned_away, addresses, .. } = &*places.lock();
        (*members, newcomers.waiting.len(), turned_away.waiting.len(), addresses.values().sum())
    }

    fn join(place: &mut Place, limits: &Limits) -> Result<(), Refusal> {
        place.become_member(limits, Away::default(), || Ok(()))
    }

    #[test]
    fn an_address_has_a_bounded_number_of_places_and_each_is_free_again_when_it_is_left() {
        let (places, limits) = (Arc::<Places>::default(), limits(10, 2));
        let (first, refused) = enter(&places, address("10.0.0.1"), &limits);
        assert_eq!(refused, None);
        let (_second, refused) = enter(&places, address("::ffff:10.0.0.1"), &limits);
        assert_eq!(refused, None, "the same address, as a dual-stack socket reports it");
        let (_told, refused) = enter(&places, address("10.0.0.1"), &limits);
        assert_eq!(refused, Some(Refusal::TooMany));
        let (_other, refused) = enter(&places, address("10.0.0.2"), &limits);
        assert_eq!(refused, None, "another address has places of its own");
        drop(first);
        assert_eq!(enter(&places, address("10.0.0.1"), &limits).1, None, "being turned away takes no place");
    }

    #[test]
    fn members_that_are_away_count_for_their_address_when_another_joins() {
        let (places, limits) = (Arc::<Places>::default(), limits(10, 2));
        let (mut newcomer, _) = enter(&places, address("::1"), &limits);
        let mut join = |of_address| newcomer.become_member(&limits, Away { all: 2, of_address }, || Ok(()));
        assert_eq!((join(2), join(1)), (Err(Refusal::TooMany), Ok(())));
    }

    #[test]
    fn newcomers_take_no_places_of_members_and_the_oldest_gives_way() {
        let (places, limits) = (Arc::<Places>::default(), limits(2, 0));
        let enter = || enter(&places, address("::1"), &limits);
        let mut newcomers: Vec<_> = (0..2 + NEWCOMERS).map(|_| enter().0).collect();
        assert!(!newcomers.iter().any(gives_way));
        let (next, refused) = enter();
        assert_eq!(refused, None);
        assert!(gives_way(&newcomers[0]) && !gives_way(&newcomers[1]));
        newcomers.push(next);
        let [third, second, first] = [(); 3].map(|()| newcomers.pop().unwrap());
        let [mut first, mut second, mut third] = [first, second, third];
        assert_eq!(join(&mut first, &limits), Ok(()));
        let taken = second.become_member::<()>(&limits, Away::default(), || Err(Refusal::NicknameTaken));
        assert_eq!(taken, Err(Refusal::NicknameTaken));
        assert_eq!(join(&mut third, &limits), Ok(()), "a newcomer that was refused has taken no place");
        assert_eq!(join(&mut second, &limits), Err(Refusal::Full));
        assert_eq!(enter().1, Some(Refusal::Full));
        first.turn_away();
        assert_eq!(
            join(&mut second, &limits),
            Ok(()),
            "a member that is turned away gives up its place at once"
        );
    }

    #[test]
    fn newcomers_give_way_when_the_server_ends_and_so_do_those_that_come_later() {
        let (places, limits) = (Arc::<Places>::default(), limits(2, 0));
        let (mut member, _) = enter(&places, address("::1"), &limits);
        join(&mut member, &limits).unwrap();
        let (newcomer, _) = enter(&places, address("::1"), &limits);
        assert!(!gives_way(&newcomer));
        places.close();
        let (late, _) = enter(&places, address("::1"), &limits);
        assert!(gives_way(&newcomer) && gives_way(&late) && !gives_way(&member));
    }

    #[test]
    fn members_that_are_away_keep_their_places_and_come_back_to_them() {
        let (places, limits) = (Arc::<Places>::default(), limits(2, 0));
        let [mut member, mut newcomer, mut back] =
            [(); 3].map(|()| enter(&places, address("::1"), &limits).0);
        join(&mut member, &limits).unwrap();
        let one = Away { all: 1, of_address: 0 };
        assert_eq!(newcomer.become_member(&limits, one, || Ok(())), Err(Refusal::Full));
        back.come_back();
        assert_eq!(counts(&places), (2, 1, 0, 3));
    }

    #[test]
    fn the_oldest_that_is_turned_away_gives_way_to_the_next() {
        let (places, limits) = (Arc::<Places>::default(), limits(1, 0));
        let (mut member, _) = enter(&places, address("::1"), &limits);
        join(&mut member, &limits).unwrap();
        let turned_away: Vec<_> =
            (0..TURNED_AWAY_CONNECTIONS).map(|_| enter(&places, address("::1"), &limits).0).collect();
        assert!(!turned_away.iter().any(gives_way));
        let (_next, refused) = enter(&places, address("::1"), &limits);
        assert_eq!(refused, Some(Refusal::Full));
        assert!(gives_way(&turned_away[0]));
        assert!(!turned_away[1..].iter().any(gives_way));
        assert_eq!(counts(&places), (1, 0, TURNED_AWAY_CONNECTIONS, 1));
        drop(turned_away);
        assert!(!gives_way(&member), "a member never does");
    }

    #[test]
    fn without_a_limit_there_is_always_a_place() {
        let (places, limits) = (Arc::<Places>::default(), limits(0, 0));
        let mut open: Vec<_> = (0..200).map(|_| enter(&places, address("::1"), &limits)).collect();
        for (place, refused) in &mut open {
            assert_eq!(*refused, None);
            assert!(!gives_way(place));
            assert_eq!(join(place, &limits), Ok(()));
        }
    }

    proptest! {
        /// Connections come, join, leave and are turned away in any order: no limit is exceeded, and at the end
        /// every place is free.
        #[test]
        fn no_limit_is_exceeded_and_every_place_is_free_at_the_end(
            connections in 1..5_usize,
            per_address in 1..4_usize,
            steps in proptest::collection::vec((0..6_u8, any::<prop::sample::Index>()), 0..200),
        ) {
            let (places, limits) = (Arc::<Places>::default(), limits(connections, per_address));
            let mut open: Vec<Place> = Vec::new();
            for (what, index) in steps {
                let index = if open.is_empty() { 0 } else { index.index(open.len()) };
                match (what, open.get_mut(index)) {
                    (0, Some(_)) => drop(open.swap_remove(index)),
                    (1, Some(place)) => drop(join(place, &limits)),
                    (2, Some(place)) => {
                        let refused = place.become_member::<()>(&limits, Away::default(), || Err(Refusal::NicknameTaken));
                        prop_assert!(refused.is_err());
                    }
                    (3, Some(place)) => place.turn_away(),
                    _ => open.push(enter(&places, IpAddr::V4(u32::try_from(index % 7).unwrap().into()), &limits).0),
                }
                let (members, newcomers, turned_away, counted) = counts(&places);
                prop_assert!(members <= connections);
                prop_assert!(newcomers <= connections + NEWCOMERS);
                prop_assert!(turned_away <= TURNED_AWAY_CONNECTIONS);
                prop_assert!(members + newcomers <= counted, "those that give way count until they end");
                prop_assert!(places.lock().addresses.values().all(|&count| count <= per_address));
            }
            drop(open);
            prop_assert_eq!(counts(&places), (0, 0, 0, 0));
            prop_assert!(places.lock().addresses.is_empty());
        }
    }
}

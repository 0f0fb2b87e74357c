//! Whether everyone has heard what was said.

use super::Crowd;
use crate::tools::load::hearing::{Fault, FaultKind};
use crate::tools::load::sender::Sender;

impl Crowd {
    /// How many lines have been said since the beginning.
    pub(in crate::tools::load) fn lines_said(&self) -> u64 {
        self.senders.iter().map(Sender::said).sum()
    }

    /// Whether everyone has heard everything.
    pub(in crate::tools::load) fn all_heard(&self) -> bool {
        self.deliveries == self.lines_said() * self.plan.hearers() as u64
    }

    /// Whether all receivers have heard the lines of all senders in one order.
    pub(in crate::tools::load) fn one_order(&self) -> bool {
        let mut orders = self.members[..self.plan.receivers].iter().map(|member| member.hearing.order());
        let first = orders.next();
        orders.all(|order| Some(order) == first)
    }

    /// The first line that a receiver has not heard, as a fault.
    pub(in crate::tools::load) fn first_missing(&self) -> Option<Fault> {
        self.members[..self.plan.receivers].iter().find_map(|member| {
            let heard = |sender| member.hearing.next(sender).number();
            let sender =
                (0..self.senders.len()).find(|&sender| heard(sender) < self.senders[sender].said())?;
            let (name, number) = (member.name.clone(), heard(sender));
            Some(Fault { kind: FaultKind::Lost, member: name, sender, number })
        })
    }
}

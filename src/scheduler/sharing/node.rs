//! A node whose cards are given out in thousandths.

use smallvec::SmallVec;

/// A whole card.
pub const CARD_MILLI: u32 = 1000;

/// Most cards that a node can have here.
pub const MAX_CARDS: usize = 64;

/// GPU models by number, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelSet(pub u64);

impl ModelSet {
    /// Every model.
    pub const ANY: Self = Self(u64::MAX);

    /// Whether the set has that model.
    #[must_use]
    pub fn has(self, model: u8) -> bool {
        self.0 >> model & 1 == 1
    }
}

/// What one request needs on one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SharedDemand {
    /// Thousandths of a CPU.
    pub cpu_milli: u32,
    /// Memory, in MiB.
    pub mem_mib: u32,
    /// Number of cards.
    pub cards: u8,
    /// Thousandths of each card; 1000 is the whole card, 0 without cards.
    pub card_milli: u16,
    /// Models that will do.
    pub models: ModelSet,
}

impl SharedDemand {
    /// Thousandths of cards in total.
    #[must_use]
    pub fn total_milli(&self) -> u32 {
        u32::from(self.cards) * u32::from(self.card_milli)
    }

    /// Whether it shares its card with others.
    #[must_use]
    pub fn is_sharing(&self) -> bool {
        self.cards == 1 && u32::from(self.card_milli) < CARD_MILLI
    }

    /// Its kind, as GPU clustering tells them apart: 0 shares a card, k takes k cards. `None` without GPU.
    #[must_use]
    pub fn kind(&self) -> Option<u8> {
        (self.cards > 0).then_some(if self.is_sharing() { 0 } else { self.cards })
    }
}

/// What was taken of one card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CardShare {
    /// The card, by position on its node.
    pub card: u8,
    /// Thousandths of it.
    pub milli: u16,
}

/// What is free on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedNode {
    /// Thousandths of CPUs that are free.
    pub cpu_milli: u32,
    /// Free memory, in MiB.
    pub mem_mib: u32,
    /// The model of its cards, by number below 64.
    pub model: u8,
    /// Free thousandths, card by card.
    pub cards: SmallVec<[u16; 8]>,
    /// How many requests of each kind sit on the node: (kind, count), by kind.
    kinds: SmallVec<[(u8, u16); 4]>,
}

impl SharedNode {
    /// An empty node.
    ///
    /// # Panics
    /// If it has more than 64 cards or the model's number is above 63; readers refuse both.
    #[must_use]
    pub fn new(cpu_milli: u32, mem_mib: u32, model: u8, cards: usize) -> Self {
        assert!(cards <= MAX_CARDS && model < 64, "readers refuse larger nodes");
        let cards = SmallVec::from_elem(CARD_MILLI as u16, cards);
        Self { cpu_milli, mem_mib, model, cards, kinds: SmallVec::new() }
    }

    /// Free thousandths of all cards.
    #[must_use]
    pub fn free_milli(&self) -> u32 {
        self.cards.iter().map(|free| u32::from(*free)).sum()
    }

    /// Cards that nobody uses.
    #[must_use]
    pub fn whole_cards(&self) -> u8 {
        self.cards.iter().filter(|free| u32::from(**free) == CARD_MILLI).count() as u8
    }

    /// The kinds of requests on the node, one bit each; see [`SharedDemand::kind`].
    #[must_use]
    pub fn kinds(&self) -> u128 {
        self.kinds.iter().fold(0, |bits, (kind, _)| bits | 1 << kind)
    }

    /// Whether the demand fits now.
    #[inline]
    #[must_use]
    pub fn holds(&self, demand: &SharedDemand) -> bool {
        self.cpu_milli >= demand.cpu_milli
            && self.mem_mib >= demand.mem_mib
            && demand.models.has(self.model)
            && (demand.cards == 0
                || self.cards.iter().filter(|free| **free >= demand.card_milli).count()
                    >= usize::from(demand.cards))
    }

    /// The cards with room, by index.
    pub fn roomy(&self, milli: u16) -> impl Iterator<Item = u8> {
        (0u8..).zip(&self.cards).filter(move |(_, free)| **free >= milli).map(|(card, _)| card)
    }

    /// The cards that a demand takes by the common rule: the lowest free ones for whole cards, the ones
    /// with the smallest sufficient rest otherwise (ties: lowest index).
    #[must_use]
    pub fn tightest(&self, demand: &SharedDemand) -> SmallVec<[u8; 8]> {
        let mut cards: SmallVec<[u8; 8]> = self.roomy(demand.card_milli).collect();
        cards.sort_by_key(|card| self.cards[usize::from(*card)]);
        cards.truncate(usize::from(demand.cards));
        cards
    }

    /// Takes the demand on `cards`.
    ///
    /// # Panics
    /// If it does not fit there: callers choose among the cards with room.
    pub fn take(&mut self, demand: &SharedDemand, cards: &[u8]) -> SmallVec<[CardShare; 1]> {
        assert!(self.holds(demand) && cards.len() == usize::from(demand.cards), "the demand fits");
        self.cpu_milli -= demand.cpu_milli;
        self.mem_mib -= demand.mem_mib;
        for card in cards {
            let free = &mut self.cards[usize::from(*card)];
            *free = free.checked_sub(demand.card_milli).expect("the card has room");
        }
        if let Some(kind) = demand.kind() {
            match self.kinds.binary_search_by_key(&kind, |(kind, _)| *kind) {
                Ok(at) => self.kinds[at].1 += 1,
                Err(at) => self.kinds.insert(at, (kind, 1)),
            }
        }
        cards.iter().map(|card| CardShare { card: *card, milli: demand.card_milli }).collect()
    }

    /// Gives back what [`take`](Self::take) took.
    ///
    /// # Panics
    /// If that was not taken.
    pub fn give_back(&mut self, demand: &SharedDemand, shares: &[CardShare]) {
        self.cpu_milli += demand.cpu_milli;
        self.mem_mib += demand.mem_mib;
        for share in shares {
            let free = &mut self.cards[usize::from(share.card)];
            *free += share.milli;
            assert!(u32::from(*free) <= CARD_MILLI, "more is given back than a card has");
        }
        if let Some(kind) = demand.kind() {
            let found = self.kinds.binary_search_by_key(&kind, |(kind, _)| *kind);
            let at = found.expect("a request of that kind sits on the node");
            self.kinds[at].1 -= 1;
            if self.kinds[at].1 == 0 {
                self.kinds.remove(at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(cards: u8, card_milli: u16) -> SharedDemand {
        SharedDemand { cpu_milli: 1000, mem_mib: 10, cards, card_milli, models: ModelSet::ANY }
    }

    #[test]
    fn whole_cards_take_the_lowest_and_shares_the_tightest() {
        let mut node = SharedNode::new(8000, 100, 0, 4);
        node.take(&demand(1, 600), &[2]);
        node.take(&demand(1, 300), &[0]);
        assert_eq!(node.tightest(&demand(2, 1000)).as_slice(), [1, 3]);
        assert_eq!(node.tightest(&demand(1, 400)).as_slice(), [2]);
        assert_eq!(node.tightest(&demand(1, 401)).as_slice(), [0]);
        assert!(node.holds(&demand(2, 1000)) && !node.holds(&demand(3, 1000)));
        assert_eq!((node.free_milli(), node.whole_cards(), node.kinds()), (3100, 2, 0b1));
    }

    #[test]
    fn models_bind() {
        let node = SharedNode::new(8000, 100, 3, 1);
        let asks = |models| SharedDemand { models: ModelSet(models), ..demand(1, 500) };
        assert!(node.holds(&asks(0b1000)) && node.holds(&asks(u64::MAX)) && !node.holds(&asks(0b0111)));
    }
}

//! The order in which outbox rows leave.
//!
//! Rows of one lane leave one after the other; lanes do not wait for each other. The rows are in the store, and this is rebuilt from it
//! at start. What new rows hold is kept here as well, for the first of them: what leaves at once need not be unsealed and read again.

use crate::kernel::lock;
use crate::outbox::Departure;
use crate::payload::Payload;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::id::OutboxId;
use swingbridge_domain::store::{Lane, Target};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// How many rows of each target may have their payload kept here.
const OPEN: usize = 1024;

/// All lanes, by where their rows go.
#[derive(Default)]
pub(crate) struct Lanes {
    targets: BTreeMap<Target, Queue>,
}

#[derive(Default)]
struct Queue {
    lanes: HashMap<Lane, Rows>,
    ready: VecDeque<Lane>,
    delayed: BinaryHeap<Reverse<(Timestamp, Lane)>>,
    /// How many rows wait with their payload.
    open: usize,
    /// Where what finds its lane free leaves at once; `None` while nobody sends.
    exit: Option<Exit>,
}

/// Where rows leave with the commit that adds them.
pub(crate) struct Exit {
    pub slots: Arc<Semaphore>,
    pub leaving: mpsc::UnboundedSender<(Seat, Departure)>,
}

/// A lane and a slot, taken for a row until it is done with. Dropped, both are free again.
pub(crate) struct Seat {
    lanes: Arc<Mutex<Lanes>>,
    target: Target,
    lane: Lane,
    leaving: mpsc::UnboundedSender<(Seat, Departure)>,
    _slot: OwnedSemaphorePermit,
}

impl Seat {
    /// Of a lane whose head was taken.
    pub fn of(
        lanes: &Arc<Mutex<Lanes>>,
        target: &Target,
        lane: &Lane,
        leaving: &mpsc::UnboundedSender<(Seat, Departure)>,
        slot: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            lanes: lanes.clone(),
            target: target.clone(),
            lane: lane.clone(),
            leaving: leaving.clone(),
            _slot: slot,
        }
    }

    /// Takes the lane and a slot for a row that is not committed yet, where both are free and nothing that waits is due before.
    pub fn take(lanes: &Arc<Mutex<Lanes>>, target: &Target, lane: &Lane) -> Option<Self> {
        let mut all = lock(lanes);
        let queue = all.targets.get_mut(target)?;
        if queue.is_due() || queue.lanes.contains_key(lane) {
            return None;
        }
        let exit = queue.exit.as_ref()?;
        let slot = exit.slots.clone().try_acquire_owned().ok()?;
        let seat = Self::of(lanes, target, lane, &exit.leaving, slot);
        let engaged = Rows {
            engaged: true,
            ..Rows::default()
        };
        queue.lanes.insert(lane.clone(), engaged);
        Some(seat)
    }

    /// The row is committed: it leaves.
    pub fn leave(self, departure: Departure) {
        // Without anybody who sends it stays marked as being sent, and is settled at the next start.
        let _ = self.leaving.clone().send((self, departure));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        lock(&self.lanes).release(&self.target, &self.lane);
    }
}

#[derive(Default)]
struct Rows {
    ids: VecDeque<(OutboxId, Kept)>,
    not_before: Timestamp,
    /// The head is out, or the lane waits in `ready` or `delayed`.
    engaged: bool,
    /// How often in a row the head came back.
    returned: u32,
}

/// What a row holds, where it is still known. A row's payload never changes, and ids are not used twice.
pub(crate) type Kept = Option<Box<Payload>>;

/// The head of a lane.
pub(crate) struct Head {
    pub lane: Lane,
    pub id: OutboxId,
    pub payload: Kept,
}

/// A change to the lanes, made known once it is committed.
#[derive(Debug)]
pub(crate) enum Change {
    /// A new row, at the end of its lane.
    Added {
        target: Target,
        lane: Lane,
        id: OutboxId,
        payload: Kept,
    },
    /// A row that is to be tried again, at the head of its lane.
    Returned {
        target: Target,
        lane: Lane,
        id: OutboxId,
        not_before: Timestamp,
    },
}

impl Lanes {
    /// From now on rows of `target` may leave by `exit`; `None`: no more of them.
    pub fn open_exit(&mut self, target: &Target, exit: Option<Exit>) {
        self.targets.entry(target.clone()).or_default().exit = exit;
    }

    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Added {
                target,
                lane,
                id,
                payload,
            } => {
                let queue = self.targets.entry(target).or_default();
                let payload = payload.filter(|_| queue.open < OPEN);
                queue.open += usize::from(payload.is_some());
                let rows = queue.lanes.entry(lane.clone()).or_default();
                rows.ids.push_back((id, payload));
                queue.engage(&lane);
            }
            Change::Returned {
                target,
                lane,
                id,
                not_before,
            } => {
                let queue = self.targets.entry(target).or_default();
                let rows = queue.lanes.entry(lane.clone()).or_default();
                if !rows.ids.iter().any(|(known, _)| *known == id) {
                    rows.ids.push_front((id, None));
                }
                rows.not_before = not_before;
                queue.engage(&lane);
            }
        }
    }

    /// Takes the heads of up to `most` lanes that are due. Each stays engaged until [`Lanes::release`].
    pub fn take(&mut self, target: &Target, now: Timestamp, most: usize) -> Vec<Head> {
        let Some(queue) = self.targets.get_mut(target) else {
            return Vec::new();
        };
        while queue.delayed.peek().is_some_and(|Reverse((due, _))| *due <= now) {
            if let Some(Reverse((_, lane))) = queue.delayed.pop() {
                queue.ready.push_back(lane);
            }
        }
        let mut taken = Vec::new();
        while taken.len() < most {
            let Some(lane) = queue.ready.pop_front() else {
                break;
            };
            let Some(rows) = queue.lanes.get_mut(&lane) else {
                continue;
            };
            if rows.not_before > now {
                queue.delayed.push(Reverse((rows.not_before, lane)));
                continue;
            }
            match rows.ids.pop_front() {
                Some((id, payload)) => {
                    queue.open -= usize::from(payload.is_some());
                    taken.push(Head { lane, id, payload });
                }
                None => {
                    queue.lanes.remove(&lane);
                }
            }
        }
        taken
    }

    /// The head that was taken is done with (or came back by [`Change::Returned`]); the next may leave. Answers whether any row of
    /// the target may be due.
    pub fn release(&mut self, target: &Target, lane: &Lane) -> bool {
        let Some(queue) = self.targets.get_mut(target) else {
            return false;
        };
        if let Some(rows) = queue.lanes.get_mut(lane) {
            rows.engaged = false;
            if rows.ids.is_empty() {
                queue.lanes.remove(lane);
            } else {
                queue.engage(lane);
            }
        }
        queue.is_due()
    }

    /// Whether any row of the target may be due.
    pub fn is_due(&self, target: &Target) -> bool {
        let queue = self.targets.get(target);
        queue.is_some_and(Queue::is_due)
    }

    /// Counts how often in a row the head of a lane came back; for back-off.
    pub fn returned(&mut self, target: &Target, lane: &Lane) -> u32 {
        let rows = self
            .targets
            .get_mut(target)
            .and_then(|queue| queue.lanes.get_mut(lane));
        rows.map_or(0, |rows| {
            rows.returned += 1;
            rows.returned
        })
    }

    /// The head of a lane got through.
    pub fn passed(&mut self, target: &Target, lane: &Lane) {
        if let Some(rows) = self
            .targets
            .get_mut(target)
            .and_then(|queue| queue.lanes.get_mut(lane))
        {
            rows.returned = 0;
            rows.not_before = Timestamp::default();
        }
    }

    /// When the next delayed lane of `target` is due.
    pub fn next_due(&self, target: &Target) -> Option<Timestamp> {
        self.targets
            .get(target)?
            .delayed
            .peek()
            .map(|Reverse((due, _))| *due)
    }
}

impl Queue {
    fn is_due(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Lines a lane up, unless it is in line already or its head is out.
    fn engage(&mut self, lane: &Lane) {
        let Some(rows) = self.lanes.get_mut(lane) else {
            return;
        };
        if rows.engaged || rows.ids.is_empty() {
            return;
        }
        rows.engaged = true;
        self.ready.push_back(lane.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swingbridge_domain::id::ConversationId;

    fn lane(number: i64) -> Lane {
        Lane::Conversation(ConversationId(number))
    }

    fn add(lanes: &mut Lanes, number: i64, id: i64) {
        lanes.apply(Change::Added {
            target: Target::Homeserver,
            lane: lane(number),
            id: OutboxId(id),
            payload: Some(Box::new(Payload::Open)),
        });
    }

    fn back(lanes: &mut Lanes, number: i64, id: i64, not_before: i64) {
        let not_before = Timestamp(not_before);
        lanes.apply(Change::Returned {
            target: Target::Homeserver,
            lane: lane(number),
            id: OutboxId(id),
            not_before,
        });
    }

    fn ids(taken: Vec<Head>) -> Vec<i64> {
        taken.into_iter().map(|head| head.id.0).collect()
    }

    const HOME: Target = Target::Homeserver;

    #[test]
    fn one_row_of_a_lane_is_out_at_a_time() {
        let mut lanes = Lanes::default();
        add(&mut lanes, 1, 1);
        add(&mut lanes, 1, 2);
        add(&mut lanes, 2, 3);
        assert_eq!(ids(lanes.take(&HOME, Timestamp(0), 10)), [1, 3]);
        assert_eq!(ids(lanes.take(&HOME, Timestamp(0), 10)), [] as [i64; 0]);
        assert!(lanes.release(&HOME, &lane(1)));
        assert_eq!(ids(lanes.take(&HOME, Timestamp(0), 10)), [2]);
        assert!(!lanes.release(&HOME, &lane(1)));
    }

    #[test]
    fn a_row_that_came_back_is_first_again_when_its_time_has_come() {
        let mut lanes = Lanes::default();
        add(&mut lanes, 1, 1);
        add(&mut lanes, 1, 2);
        assert_eq!(ids(lanes.take(&HOME, Timestamp(0), 10)), [1]);
        back(&mut lanes, 1, 1, 50);
        lanes.release(&HOME, &lane(1));
        assert_eq!(ids(lanes.take(&HOME, Timestamp(10), 10)), [] as [i64; 0]);
        assert_eq!(lanes.next_due(&HOME), Some(Timestamp(50)));
        assert_eq!(ids(lanes.take(&HOME, Timestamp(50), 10)), [1]);
        lanes.passed(&HOME, &lane(1));
        lanes.release(&HOME, &lane(1));
        assert_eq!(ids(lanes.take(&HOME, Timestamp(51), 10)), [2]);
    }

    #[test]
    fn a_delayed_lane_holds_no_other_up() {
        let mut lanes = Lanes::default();
        add(&mut lanes, 1, 1);
        assert_eq!(ids(lanes.take(&HOME, Timestamp(0), 10)), [1]);
        back(&mut lanes, 1, 1, 1000);
        lanes.release(&HOME, &lane(1));
        add(&mut lanes, 2, 2);
        assert_eq!(ids(lanes.take(&HOME, Timestamp(1), 10)), [2]);
    }

    #[test]
    fn payloads_are_kept_for_so_many_rows_and_no_more() {
        let mut lanes = Lanes::default();
        let most = OPEN as i64;
        for number in 0..most + 2 {
            add(&mut lanes, number, number);
        }
        let known = |taken: Vec<Head>| taken.iter().filter(|head| head.payload.is_some()).count();
        assert_eq!(known(lanes.take(&HOME, Timestamp(0), 2)), 2);
        add(&mut lanes, most + 2, most + 2);
        assert_eq!(known(lanes.take(&HOME, Timestamp(0), OPEN * 2)), OPEN - 1);
        // Come back, it is read again.
        back(&mut lanes, 0, 0, 0);
        lanes.release(&HOME, &lane(0));
        assert_eq!(known(lanes.take(&HOME, Timestamp(0), 2)), 0);
        assert_eq!(lanes.targets[&HOME].open, 0);
    }

    /// Lanes with a way out that has so many slots, and what leaves by it.
    fn with_exit(slots: usize) -> (Arc<Mutex<Lanes>>, mpsc::UnboundedReceiver<(Seat, Departure)>) {
        let (leaving, left) = mpsc::unbounded_channel();
        let exit = Exit {
            slots: Arc::new(Semaphore::new(slots)),
            leaving,
        };
        let lanes: Arc<Mutex<Lanes>> = Arc::default();
        lock(&lanes).open_exit(&HOME, Some(exit));
        (lanes, left)
    }

    #[test]
    fn a_seat_is_given_where_lane_and_slot_are_free_and_both_are_free_again_without_it() {
        let (lanes, _left) = with_exit(2);
        let first = Seat::take(&lanes, &HOME, &lane(1)).unwrap();
        assert!(Seat::take(&lanes, &HOME, &lane(1)).is_none(), "the lane is taken");
        let second = Seat::take(&lanes, &HOME, &lane(2)).unwrap();
        assert!(Seat::take(&lanes, &HOME, &lane(3)).is_none(), "no slot is free");
        drop(first);
        assert!(Seat::take(&lanes, &HOME, &lane(2)).is_none(), "the lane is taken");
        assert!(Seat::take(&lanes, &HOME, &lane(1)).is_some());
        lock(&lanes).open_exit(&HOME, None);
        assert!(Seat::take(&lanes, &HOME, &lane(1)).is_none(), "nobody sends");
        drop(second);
        assert!(lock(&lanes).targets[&HOME].lanes.is_empty());
    }

    #[test]
    fn what_is_written_behind_a_seat_leaves_after_it_and_nothing_overtakes_what_is_due() {
        let (lanes, _left) = with_exit(9);
        let seat = Seat::take(&lanes, &HOME, &lane(1)).unwrap();
        add(&mut lock(&lanes), 1, 1);
        assert_eq!(ids(lock(&lanes).take(&HOME, Timestamp(0), 10)), [] as [i64; 0]);
        drop(seat);
        assert!(lock(&lanes).is_due(&HOME));
        assert!(
            Seat::take(&lanes, &HOME, &lane(2)).is_none(),
            "something is due before"
        );
        assert_eq!(ids(lock(&lanes).take(&HOME, Timestamp(0), 10)), [1]);
        assert!(Seat::take(&lanes, &HOME, &lane(1)).is_none(), "its head is out");
        assert!(Seat::take(&lanes, &HOME, &lane(2)).is_some());
    }

    #[test]
    fn emptied_lanes_are_forgotten() {
        let mut lanes = Lanes::default();
        add(&mut lanes, 1, 1);
        lanes.take(&HOME, Timestamp(0), 1);
        lanes.release(&HOME, &lane(1));
        assert!(lanes.targets[&HOME].lanes.is_empty());
    }
}

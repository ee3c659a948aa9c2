//! What the carrier knows, behind one lock, and what a submission does to it. No I/O happens here: what is to
//! be sent lies in the outbox ([`super::delivery`]).

use std::collections::{BTreeMap, HashMap};

use swingbridge_domain::clock::Timestamp;
use swingbridge_wire::receipts::MessageState;
use swingbridge_wire::segments::{self, Options};
use swingbridge_wire::smpp::{CommandStatus, Sm, esm_class, tag};
use swingbridge_wire::text;
use swingbridge_wire::udh::{Concatenation, Width};
use tokio::time::Instant;

use super::bound::Bound;
use super::config::{Config, Mark};
use super::delivery::{About, Delivery, InFlight, Outbox};
use super::ledger::{Outcome, Submission};
use super::phones::{Assembler, AssemblyKey, Message, Phone, Progress, Reach, key, on_wire, show};
use super::rules::{is_last_part, receipt, refusal};
use super::{Event, SessionId};

/// Asks for a receipt of the final state, SMPP 3.4 §5.2.17.
const RECEIPT_MASK: u8 = 0b11;

#[derive(Default)]
pub(super) struct State {
    pub phones: BTreeMap<String, Phone>,
    pub messages: Vec<Message>,
    pub submissions: Vec<Submission>,
    pub assembler: Assembler,
    pub outbox: Outbox,
    pub in_flight: HashMap<(SessionId, u32), InFlight>,
    pub bound: BTreeMap<SessionId, Bound>,
    /// Parts of a phone's message that the account has not taken.
    pub open_parts: HashMap<u64, usize>,
    /// What the page is to be told; emptied whenever the lock is released.
    pub events: Vec<Event>,
    pub deliveries: u64,
    references: HashMap<(String, String), u8>,
}

/// What a submission meets besides being taken: decided by the faults, outside.
#[derive(Clone, Copy, Default)]
pub(super) struct Luck {
    pub lost: bool,
    pub refused: Option<CommandStatus>,
    pub receipt_first: bool,
    pub receipt_elsewhere: bool,
}

impl State {
    pub fn add_phone(&mut self, number: &str, name: Option<String>) -> Phone {
        let number = key(number);
        let phone = self.phones.entry(number.clone()).or_insert(Phone {
            number,
            name: None,
            reach: Reach::On,
        });
        if name.is_some() {
            phone.name = name;
        }
        let phone = phone.clone();
        self.events.push(Event::Phone(phone.clone()));
        phone
    }

    /// Books a submission and does what it says; gives its number in the ledger.
    pub fn submit(
        &mut self,
        config: &Config,
        session: SessionId,
        system_id: &str,
        sm: Sm,
        luck: Luck,
        now: (Timestamp, Instant),
    ) -> u64 {
        let outcome = match (luck.lost, luck.refused.or_else(|| refusal(&sm, config))) {
            (true, _) => Outcome::Lost,
            (false, Some(status)) => Outcome::Refused(status),
            (false, None) => Outcome::Taken,
        };
        let number = self.submissions.len() as u64 + 1;
        let taken = outcome == Outcome::Taken;
        let submission = Submission {
            number,
            session,
            system_id: system_id.to_owned(),
            source: key(&sm.source.addr.text()),
            destination: key(&sm.destination.addr.text()),
            sm,
            at: now.0,
            outcome,
            message_id: if taken {
                config.ids.write(config.first_id + number - 1)
            } else {
                String::new()
            },
            fate: None,
            answered: false,
        };
        self.submissions.push(submission.clone());
        if taken {
            self.deliver_to_phone(config, &submission, now.0);
            self.settle(config, &submission, luck, now.1);
        }
        number
    }

    /// Puts a part on its phone, which shows the message once it is whole.
    fn deliver_to_phone(&mut self, config: &Config, submission: &Submission, at: Timestamp) {
        let reach = match self.phones.get(&submission.destination) {
            Some(phone) => phone.reach,
            None => self.add_phone(&submission.destination, None).reach,
        };
        let sm = &submission.sm;
        let alphabet = text::classify(sm.data_coding, config.coding).alphabet;
        let (header, body) = segments::read(sm.payload(), sm.esm_class & esm_class::UDHI != 0, alphabet);
        let sar = || {
            let tlvs = &sm.tlvs;
            let (total, index) = (tlvs.sar_total_segments()?, tlvs.sar_segment_seqnum()?);
            Concatenation::new(tlvs.sar_msg_ref_num()?, Width::Sar, total, index)
        };
        let text = match header.concatenation().or_else(sar) {
            None => Some((show([&body]), 1)),
            Some(Concatenation {
                reference,
                width,
                total,
                index,
            }) => {
                let (source, destination) = (submission.source.clone(), submission.destination.clone());
                let key = AssemblyKey {
                    source,
                    destination,
                    reference,
                    width,
                    total,
                };
                self.assembler
                    .add(key, index, body)
                    .map(|text| (text, usize::from(total)))
            }
        };
        let Some((text, segments)) = text else { return };
        self.add_message(Message {
            id: 0,
            phone: submission.destination.clone(),
            peer: submission.source.clone(),
            from_phone: false,
            text,
            at,
            progress: match reach {
                Reach::On => Progress::Done,
                Reach::Off => Progress::Waiting,
                Reach::Barred => Progress::Failed,
            },
            segments,
        });
    }

    /// Settles what became of a part, and sends the receipt if one was asked for.
    fn settle(&mut self, config: &Config, submission: &Submission, luck: Luck, now: Instant) {
        let fate = match self.phones.get(&submission.destination).map(|phone| phone.reach) {
            Some(Reach::Off) => return,
            Some(Reach::Barred) => MessageState::Undeliverable,
            _ => MessageState::Delivered,
        };
        if let Some(submission) = self.submissions.get_mut(submission.number as usize - 1) {
            submission.fate = Some(fate);
        }
        let wanted = match submission.sm.registered_delivery & RECEIPT_MASK {
            0 => false,
            2 => fate != MessageState::Delivered,
            3 => fate == MessageState::Delivered,
            _ => true,
        };
        if !wanted || (config.receipts.last_part_only && !is_last_part(&submission.sm)) {
            return;
        }
        self.deliveries += 1;
        self.outbox.push(Delivery {
            number: self.deliveries,
            system_id: submission.system_id.clone(),
            sm: receipt(config, submission, fate),
            about: About::Receipt,
            prefer: (!luck.receipt_elsewhere).then_some(submission.session),
            avoid: luck.receipt_elsewhere.then_some(submission.session),
            not_before: if luck.receipt_first {
                now
            } else {
                now + config.receipts.delay
            },
            held: false,
            repeated: false,
        });
    }

    /// A phone's owner switches it on or off, or leaves the carrier. What waited for it is settled.
    pub fn set_reach(&mut self, config: &Config, number: &str, reach: Reach, now: Instant) {
        let number = key(number);
        self.add_phone(&number, None);
        if let Some(phone) = self.phones.get_mut(&number) {
            phone.reach = reach;
            self.events.push(Event::Phone(phone.clone()));
        }
        let progress = match reach {
            Reach::On => Progress::Done,
            Reach::Off => return,
            Reach::Barred => Progress::Failed,
        };
        for message in &mut self.messages {
            if message.phone == number && !message.from_phone && message.progress == Progress::Waiting {
                message.progress = progress;
                self.events.push(Event::Message(message.clone()));
            }
        }
        let waiting =
            |s: &&Submission| s.outcome == Outcome::Taken && s.fate.is_none() && s.destination == number;
        let waiting: Vec<Submission> = self.submissions.iter().filter(waiting).cloned().collect();
        for submission in &waiting {
            self.settle(config, submission, Luck::default(), now);
        }
    }

    /// A phone's owner writes. Gives the message's id, or `None` for a text that no short message can carry.
    pub fn write(
        &mut self,
        config: &Config,
        from: &str,
        to: &str,
        text: &str,
        now: (Timestamp, Instant),
    ) -> Option<u64> {
        let (from, to) = (self.add_phone(from, None).number, key(to));
        let options = Options {
            method: config.method,
            ..Options::default()
        };
        let segmented = segments::segment(text, &options).ok()?;
        let named = config
            .accounts
            .iter()
            .find(|account| account.numbers.iter().any(|number| key(number) == to));
        let system_id = named.or(config.accounts.first())?.system_id.clone();
        let reference = self.references.entry((from.clone(), to.clone())).or_default();
        *reference = reference.wrapping_add(1);
        let reference = u16::from(*reference);
        let message = self.add_message(Message {
            id: 0,
            phone: from.clone(),
            peer: to.clone(),
            from_phone: true,
            text: text.to_owned(),
            at: now.0,
            progress: Progress::Waiting,
            segments: segmented.segments,
        });
        for part in segmented.parts(reference) {
            self.deliveries += 1;
            let mut sm = Sm {
                source: on_wire(&from),
                destination: on_wire(&to),
                esm_class: if part.has_header { esm_class::UDHI } else { 0 },
                data_coding: segmented.data_coding,
                ..Sm::default()
            };
            if let Some(sar) = part.sar {
                sm.tlvs.push(tag::SAR_MSG_REF_NUM, sar.reference.to_be_bytes());
                sm.tlvs.push(tag::SAR_TOTAL_SEGMENTS, [sar.total]);
                sm.tlvs.push(tag::SAR_SEGMENT_SEQNUM, [sar.index]);
            }
            if part.payload {
                sm.tlvs.push(tag::MESSAGE_PAYLOAD, part.octets);
            } else {
                sm.short_message = part.octets.into();
            }
            match config.mark {
                Mark::MessageId => {
                    let id = config.ids.write(config.first_id / 2 + self.deliveries);
                    sm.tlvs.push(tag::RECEIPTED_MESSAGE_ID, id + "\0");
                }
                Mark::Reference => {
                    sm.tlvs.push(
                        tag::USER_MESSAGE_REFERENCE,
                        (self.deliveries as u16).to_be_bytes(),
                    );
                }
                Mark::None => {}
            }
            *self.open_parts.entry(message).or_default() += 1;
            self.outbox.push(Delivery {
                number: self.deliveries,
                system_id: system_id.clone(),
                sm,
                about: About::Text { message },
                prefer: None,
                avoid: None,
                not_before: now.1,
                held: false,
                repeated: false,
            });
        }
        Some(message)
    }

    fn add_message(&mut self, mut message: Message) -> u64 {
        message.id = self.messages.len() as u64 + 1;
        self.events.push(Event::Message(message.clone()));
        self.messages.push(message);
        self.messages.len() as u64
    }

    pub fn set_progress(&mut self, message: u64, progress: Progress) {
        if let Some(message) = self.messages.get_mut(message as usize - 1)
            && message.progress != progress
        {
            message.progress = progress;
            self.events.push(Event::Message(message.clone()));
        }
    }
}

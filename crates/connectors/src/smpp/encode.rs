//! A message to a phone as submit_sm.

use super::config::{AddressRules, Config};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use swingbridge_domain::address::{Address, AddressError, is_emergency};
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::connector::{Outbound, SendError};
use swingbridge_domain::delivery::Reason;
use swingbridge_wire::segments::{Part, segment};
use swingbridge_wire::smpp::{Address as WireAddress, Octets, Sm, Tlvs, esm_class, tag};
use swingbridge_wire::text::Alphabet;

/// Longer validity is the SMSC's own business: the relative form counts days up to 99, but many take 31 at most.
const LONGEST_VALIDITY: Duration = Duration::from_secs(30 * 24 * 3600);

/// A message as the PDUs that carry it.
pub struct Submission {
    /// In order, never empty.
    pub parts: Vec<Sm>,
    /// What it costs in the end.
    pub segments: u16,
    /// In words.
    pub encoding: &'static str,
}

/// Encodes `outbound` by the account's rules.
///
/// # Errors
/// [`SendError::Rejected`]: it can never be sent like this.
pub fn submission(
    outbound: &Outbound,
    config: &Config,
    references: &References,
    now: Timestamp,
) -> Result<Submission, SendError> {
    let [to] = outbound.to.as_slice() else {
        return Err(rejected(Reason::BadContent, "an SMS goes to one recipient"));
    };
    let destination = address(to, config.addresses.destination)?;
    if !to.can_reply() {
        return Err(rejected(Reason::BadAddress, AddressError::NameOnly));
    }
    let source = address(&outbound.from, config.addresses.source)?;
    let text = outbound.message.first_text();
    let text = text.ok_or_else(|| rejected(Reason::BadContent, "the message holds no text"))?;
    let segmented =
        segment(&text.plain, &config.segmenting()).map_err(|e| rejected(Reason::BadContent, e))?;
    let validity = match outbound.expires_at {
        Some(expires_at) => validity(expires_at, now)?,
        None => Octets::default(),
    };
    let reference = if segmented.bodies.len() > 1 {
        references.next(&source.addr, &destination.addr)
    } else {
        0
    };
    let template = Sm {
        service_type: config.service_type.as_str().into(),
        source,
        destination,
        validity_period: validity,
        registered_delivery: u8::from(config.receipts),
        data_coding: segmented.data_coding,
        ..Sm::default()
    };
    Ok(Submission {
        parts: segmented
            .parts(reference)
            .map(|part| fill(&template, part))
            .collect(),
        segments: u16::try_from(segmented.segments).unwrap_or(u16::MAX),
        encoding: words(segmented.alphabet),
    })
}

fn fill(template: &Sm, part: Part) -> Sm {
    let mut sm = template.clone();
    if part.has_header {
        sm.esm_class |= esm_class::UDHI;
    }
    let mut tlvs = Tlvs::new();
    if let Some(sar) = part.sar {
        tlvs.push(tag::SAR_MSG_REF_NUM, sar.reference.to_be_bytes());
        tlvs.push(tag::SAR_TOTAL_SEGMENTS, [sar.total]);
        tlvs.push(tag::SAR_SEGMENT_SEQNUM, [sar.index]);
    }
    if part.payload {
        tlvs.push(tag::MESSAGE_PAYLOAD, part.octets);
    } else {
        sm.short_message = part.octets.into();
    }
    sm.tlvs = tlvs;
    sm
}

fn rejected(reason: Reason, detail: impl ToString) -> SendError {
    SendError::Rejected {
        reason,
        detail: detail.to_string(),
    }
}

fn address(address: &Address, rules: AddressRules) -> Result<WireAddress, SendError> {
    let (kind, text) = match address {
        Address::Number(number) if rules.plus => (rules.number, number.as_str()),
        Address::Number(number) => (rules.number, number.trim_start_matches('+')),
        Address::Short(code) => (rules.short_code, code.as_str()),
        Address::Name(name) => (rules.name, name.as_str()),
        Address::Mail(_) | Address::Group(_) => {
            return Err(rejected(
                Reason::BadAddress,
                "SMS reaches phone numbers only, one at a time",
            ));
        }
    };
    // The engine refuses these before; nothing may reach the network by another way.
    if is_emergency(text, None) {
        return Err(rejected(Reason::Emergency, AddressError::Emergency));
    }
    if text.is_empty() || text.len() > 20 || text.contains('\0') {
        return Err(rejected(
            Reason::BadAddress,
            "an address has between 1 and 20 characters",
        ));
    }
    Ok(WireAddress::new(kind.ton, kind.npi, text))
}

/// The relative form of SMPP 3.4 §7.1.1.2: `YYMMDDhhmmss000R`.
fn validity(expires_at: Timestamp, now: Timestamp) -> Result<Octets, SendError> {
    let left = expires_at.since(now).min(LONGEST_VALIDITY).as_secs();
    if left == 0 {
        return Err(rejected(
            Reason::Expired,
            "its time was over before it could be sent",
        ));
    }
    let (days, hours, minutes, seconds) = (left / 86_400, left / 3600 % 24, left / 60 % 60, left % 60);
    Ok(format!("0000{days:02}{hours:02}{minutes:02}{seconds:02}000R").into())
}

fn words(alphabet: Alphabet) -> &'static str {
    match alphabet {
        Alphabet::Gsm | Alphabet::GsmPacked => "GSM 03.38",
        Alphabet::Ascii => "ASCII",
        Alphabet::Latin1 => "Latin-1",
        Alphabet::Utf16 => "UTF-16",
        Alphabet::Cyrillic => "ISO 8859-5",
        Alphabet::Hebrew => "ISO 8859-8",
        Alphabet::Binary | Alphabet::Other => "binary",
    }
}

/// Reference numbers of long messages. Phones tell the parts of two messages apart by sender and reference, so
/// each pair of addresses counts on its own, from a random start. Pairs share a bounded number of counters.
pub struct References {
    hasher: RandomState,
    counters: Vec<AtomicU16>,
}

impl References {
    /// Counters that start at random.
    pub fn new() -> References {
        let hasher = RandomState::new();
        let counters = (0..1024u32)
            .map(|at| AtomicU16::new(hasher.hash_one(at) as u16))
            .collect();
        References { hasher, counters }
    }

    fn next(&self, source: &[u8], destination: &[u8]) -> u16 {
        let at = self.hasher.hash_one((source, destination)) as usize % self.counters.len();
        self.counters[at].fetch_add(1, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;

//! What an account counts. Labels hold names of accounts and commands, never a number.

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use swingbridge_wire::smpp::command;

const BIND_UP: &str = "swingbridge_smpp_bind_up";
const PDUS: &str = "swingbridge_smpp_pdus_total";
const SUBMIT_SECONDS: &str = "swingbridge_smpp_submit_seconds";
const SUBMITS: &str = "swingbridge_smpp_submits_total";
const DELIVERIES: &str = "swingbridge_smpp_deliveries_total";

/// The commands that are counted without a look-up.
const COMMON: [u32; 6] = [
    command::SUBMIT_SM,
    command::SUBMIT_SM | command::RESPONSE,
    command::DELIVER_SM,
    command::DELIVER_SM | command::RESPONSE,
    command::ENQUIRE_LINK,
    command::ENQUIRE_LINK | command::RESPONSE,
];

/// The handles of one account.
pub struct Meters {
    connector: String,
    received: [Counter; 6],
    sent: [Counter; 6],
    /// From writing a submit to its answer.
    pub latency: Histogram,
}

impl Meters {
    /// Handles for the account `connector`.
    pub fn new(connector: &str) -> Meters {
        let pdus = |direction: &'static str| {
            COMMON.map(|id| {
                let name = command::name(id);
                counter!(PDUS, "connector" => connector.to_owned(), "direction" => direction, "command" => name)
            })
        };
        Meters {
            connector: connector.to_owned(),
            received: pdus("received"),
            sent: pdus("sent"),
            latency: histogram!(SUBMIT_SECONDS, "connector" => connector.to_owned()),
        }
    }

    /// Counts a PDU from the SMSC.
    pub fn received(&self, command_id: u32) {
        self.pdu(&self.received, "received", command_id);
    }

    /// Counts a PDU to the SMSC.
    pub fn sent(&self, command_id: u32) {
        self.pdu(&self.sent, "sent", command_id);
    }

    fn pdu(&self, common: &[Counter; 6], direction: &'static str, id: u32) {
        match COMMON.iter().position(|&known| known == id) {
            Some(at) => common[at].increment(1),
            None => counter!(
                PDUS, "connector" => self.connector.clone(), "direction" => direction, "command" => command::name(id)
            )
            .increment(1),
        }
    }

    /// Counts a submit by what became of it.
    pub fn submitted(&self, outcome: &'static str) {
        counter!(SUBMITS, "connector" => self.connector.clone(), "outcome" => outcome).increment(1);
    }

    /// Counts messages and receipts from the SMSC by what became of them.
    pub fn delivered(&self, outcome: &'static str, many: u64) {
        counter!(DELIVERIES, "connector" => self.connector.clone(), "outcome" => outcome).increment(many);
    }

    /// The gauge of one bind.
    pub fn bind_up(&self, bind: usize) -> Gauge {
        gauge!(BIND_UP, "connector" => self.connector.clone(), "bind" => bind.to_string())
    }
}

//! The kinds of things that a site keeps, each with its limit in this configuration.

use crate::config::Config;
use crate::config::database;
use crate::config::duration::Span;
use crate::config::encryption::Mode;
use std::time::Duration;
use swingbridge_engine::site::Policy;

/// How long something is kept at most.
pub(super) enum Limit {
    /// By a setting, or by the program itself.
    Setting(&'static str, Span),
    Fixed(Duration),
    /// Nothing but the event that is told ends it.
    None,
}

impl Limit {
    pub fn span(&self) -> Option<Duration> {
        match self {
            Limit::Setting(_, span) => Some(span.0),
            Limit::Fixed(span) => Some(*span),
            Limit::None => None,
        }
    }

    /// `until` is what ends it otherwise.
    pub fn words(&self, until: &str) -> String {
        match self {
            Limit::Setting(setting, span) => format!("{until}; {span} at most ({setting})"),
            Limit::Fixed(span) => format!("{until}; {} at most", Span(*span)),
            Limit::None => format!("{until}; there is no other limit"),
        }
    }
}

pub(super) struct Kind {
    pub what: &'static str,
    pub holds: &'static str,
    /// As [`swingbridge_domain::store::Holding::table`] names them.
    pub tables: &'static [&'static str],
    pub until: &'static str,
    pub limit: fn(&Config) -> Limit,
    pub why: &'static str,
    pub protected: &'static str,
}

const SEALED: &str = "sealed, and erased when its time is over";
const NO_CONTENTS: &str = "not sealed: it holds no contents and no number";

pub(super) const KINDS: &[Kind] = &[
    Kind {
        what: "Texts on their way to phones",
        holds: "what was written, and the number that it goes to",
        tables: &["outbox (networks)"],
        until: "until the network has taken it",
        limit: |config| Limit::Setting("messages.validity", config.messages.validity),
        why: "a text that was accepted must not be lost when a network or this program fails",
        protected: SEALED,
    },
    Kind {
        what: "Texts that wait for their sender's word",
        holds: "what was written, and the number that it goes to",
        tables: &["outbox (parked)"],
        until: "until the sender sends it again or gives it up",
        limit: |config| Limit::Setting("messages.validity", config.messages.validity),
        why: "a text whose fate is not known is sent again by its sender's choice alone",
        protected: SEALED,
    },
    Kind {
        what: "Texts that wait until somebody agrees to their way",
        holds: "what phones and people at Matrix wrote, and numbers",
        tables: &["outbox (held)"],
        until: "until somebody agrees or declines",
        limit: |config| Limit::Setting("privacy.hold", config.privacy.hold),
        why: "no text is passed on by a way that nobody agreed to, and none is lost while people are asked",
        protected: SEALED,
    },
    Kind {
        what: "Texts and notices on their way to Matrix rooms",
        holds: "what phones wrote, and what the gateway says in rooms",
        tables: &["outbox (homeserver)"],
        until: "until the homeserver has taken it",
        limit: |_| Limit::None,
        why: "the network was told that the text is here: it must not be lost while the homeserver is away",
        protected: SEALED,
    },
    Kind {
        what: "Arrivals that are not worked off yet",
        holds: "what phones and people at Matrix wrote, and numbers",
        tables: &["inbox"],
        until: "until it is worked off, normally at once",
        limit: |_| Limit::None,
        why: "it was acknowledged: it must not be lost",
        protected: SEALED,
    },
    Kind {
        what: "Arrivals that could not be processed",
        holds: "what phones and people at Matrix wrote, and numbers",
        tables: &["buried"],
        until: "until an admin lets it be processed once more (`requeue`)",
        limit: |config| Limit::Setting("retention.buried", config.retention.buried),
        why: "somebody must be able to look at a fault before the message is lost",
        protected: SEALED,
    },
    Kind {
        what: "Parts of long texts whose other parts are missing",
        holds: "pieces of what phones wrote",
        tables: &["assemblies", "assembly_parts"],
        until: "until the text is whole; keyed digests of its parts ten minutes longer",
        limit: |config| Limit::Setting("messages.assembly_keep", config.messages.assembly_keep),
        why: "networks deliver the parts of a text one by one, and late ones fill the gaps",
        protected: SEALED,
    },
    Kind {
        what: "Receipts that came before the answer that they belong to",
        holds: "ids that networks gave to texts, and their fate",
        tables: &["early_receipts"],
        until: "until the answer comes",
        limit: |_| Limit::Fixed(Policy::default().early_receipt_wait),
        why: "some networks report a delivery before they acknowledge the text",
        protected: SEALED,
    },
    Kind {
        what: "Contacts",
        holds: "numbers that were met, and the pseudonyms that stand for them at Matrix",
        tables: &["contacts"],
        until: "as long as the database",
        limit: |_| Limit::None,
        why: "a number must lead to the same person and room each time",
        protected: "numbers are sealed, and found by a keyed index (HMAC-SHA-256); pseudonyms are keyed too",
    },
    Kind {
        what: "Conversations",
        holds: "which line, contact and Matrix room belong together, and when something was last said",
        tables: &["conversations", "aliases"],
        until: "as long as the database",
        limit: |_| Limit::None,
        why: "texts must find their room, and answers their phone",
        protected: NO_CONTENTS,
    },
    Kind {
        what: "Records of messages (id mappings)",
        holds: "ids at Matrix and at the network, the Matrix user who wrote, state, path and times; never what it says",
        tables: &["messages", "parts"],
        until: "as long as something waits for it",
        limit: |config| Limit::Setting("retention.messages", config.retention.messages),
        why: "receipts, replies, `status` and `retry` find their message by them",
        protected: NO_CONTENTS,
    },
    Kind {
        what: "What was taken in already",
        holds: "ids and digests of arrivals, and times of the connections to networks",
        tables: &["seen", "events", "deliveries", "sessions"],
        until: "as long as it may be repeated",
        limit: |config| Limit::Setting("retention.messages", config.retention.messages),
        why: "homeservers and networks repeat messages: they must not be doubled",
        protected: "not sealed: digests tell nothing by themselves",
    },
    Kind {
        what: "Consents, rules and keys of contacts",
        holds: "which Matrix user agreed to what and when, questions that are open, and fingerprints of contacts' keys",
        tables: &["consents", "questions", "pins"],
        until: "until it is taken back or replaced",
        limit: |_| Limit::None,
        why: "no message leaves by a way that nobody agreed to, and a changed key must be seen",
        protected: NO_CONTENTS,
    },
    Kind {
        what: "Contacts who wish no texts",
        holds: "which contact told which of our numbers so, when, and whether the network told it",
        tables: &["suppressions"],
        until: "until the contact lifts it (START) or an admin does (`optouts lift`)",
        limit: |_| Limit::None,
        why: "the law asks that the wish is kept; forgetting it would send again",
        protected: "our number is a keyed index (HMAC-SHA-256), the contact's is sealed",
    },
    Kind {
        what: "Counts of what is limited",
        holds: "how much was sent in a minute, hour, day or month, and when a machine wrote; no text and no name",
        tables: &["tallies"],
        until: "until its period is over",
        limit: |_| Limit::Fixed(Duration::from_secs(35 * 24 * 3600)),
        why: "limits hold over restarts",
        protected: "what is counted is a keyed digest (HMAC-SHA-256)",
    },
    Kind {
        what: "Rooms and their members",
        holds: "Matrix ids of rooms and of their members",
        tables: &["rooms", "members"],
        until: "until the bot leaves the room",
        limit: |_| Limit::None,
        why: "who shares a line must be known to invite them",
        protected: NO_CONTENTS,
    },
    Kind {
        what: "The program's own notes",
        holds: "timers, the state of the line-up, digests of settings",
        tables: &["timers", "settings"],
        until: "as long as the database",
        limit: |_| Limit::None,
        why: "the gateway goes on after a stop where it was",
        protected: NO_CONTENTS,
    },
    Kind {
        what: "The audit log",
        holds: "who did what with rights and keys, and when; never what anybody wrote, and no number",
        tables: &["audit"],
        until: "as long as there is no newer entry",
        limit: |config| Limit::Setting("retention.audit", config.retention.audit),
        why: "what was done can be looked up later; a year and a month cover a yearly audit",
        protected: "each entry and the ends of the log are bound by keyed hashes (HMAC-SHA-256): alterations are found",
    },
];

/// What erasing means on this engine.
pub(super) fn erasing(engine: database::Kind) -> &'static str {
    match engine {
        database::Kind::Sqlite => {
            "the bytes are overwritten (secure_delete), and the write-ahead log is emptied within a minute"
        }
        database::Kind::Postgres => {
            "the row is deleted; its bytes, sealed where this report says so, stay until PostgreSQL vacuums the table, and in its \
             write-ahead log, archives and replicas as long as those are kept"
        }
    }
}

/// What is kept where this program has no say, or outside of its database.
pub(super) fn elsewhere(config: &Config) -> Vec<String> {
    let mut places = vec![
        format!(
            "The site key: {}. Who has it and the database can open what is sealed.",
            config.site_key_origin
        ),
        "The program's log, on standard error: no contents and no numbers; how long it is kept is set where it is collected.".into(),
        "Metrics: counts under the names of lines and connectors; no contents and no numbers.".into(),
        "Backups of the database hold what it held then, sealed in the same way; their retention is yours to set.".into(),
        format!(
            "Matrix rooms on {}, and other homeservers that take part in them: what was written, as long as the homeserver keeps it.",
            config.homeserver.domain
        ),
        "Phone networks: texts and numbers, under the carrier's own rules.".into(),
    ];
    places.push(format!(
        "Files on their way to a network that carries them: opened, in the folder {}, until their send is answered. What a crash leaves \
         goes at the next start. `pictures.db` there names what was uploaded of contacts' pictures, by digest; the pictures themselves are the \
         homeserver's.",
        config.files.path.display()
    ));
    if config.connectors.iter().any(|(_, account)| account.is_called()) {
        places.push(
            "Files that phones sent: opened, in the folder media of each connector's state, for two weeks."
                .into(),
        );
    }
    if config.encryption.mode != Mode::Off {
        places.push(format!(
            "Keys of end-to-end encrypted rooms: the folder {}. With them the gateway reads the rooms that it takes part in.",
            config.encryption.path.display()
        ));
    }
    places
}

use super::duration::Span;
use super::limits::{Limits, OptOut};
use super::problem::{Problem, did_you_mean};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use swingbridge_domain::address::{Address, AddressError, Region};
use swingbridge_domain::consent;
use swingbridge_domain::id::{ConnectorId, LineId, RoomId, UserId};
use swingbridge_domain::line::{self, Access};

/// A line: a number of ours, and who may use it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Line {
    /// The connector that serves it, by its name under `connectors`.
    pub connector: String,
    /// The number (or sender's name) that phones see and answer to: `"+447700900000"`, in quotes.
    pub address: String,
    /// What people see. Without it: the line's name here.
    pub name: Option<String>,
    /// The region by whose rules numbers without a country code are read: two letters of ISO 3166-1, such as `GB`.
    #[schemars(with = "Option<String>")]
    pub region: Option<Region>,
    /// The Matrix users who may use the line. They are invited to every conversation of it.
    pub users: Vec<String>,
    /// The room whose members share the line; new conversations are announced there: `"!abc:example.org"`.
    pub inbox_room: Option<String>,
    /// How much of a contact the homeserver gets to see, in room names and topics: `masked` (the default of a gateway) or `full` numbers,
    /// or the `name` in the device's address book (the default of a device; who stands in none is masked).
    #[schemars(with = "Option<String>")]
    pub display: Option<line::Display>,
    /// A line to put under texts that are written on a shared line; `{name}` is the writer: `"— {name}"`.
    pub signature: Option<String>,
    /// What this line asks of its users, where it is not what `privacy.consent` says.
    #[schemars(with = "Option<String>")]
    pub consent: Option<consent::Rule>,
    /// What becomes of a message on this line that would go less protected, where it is not what `privacy.downgrade` says.
    #[schemars(with = "Option<String>")]
    pub downgrade: Option<consent::Downgrade>,
    /// Texts of this line go to many: they keep `limits.quiet_hours`.
    pub bulk: bool,
    /// What this line is limited to, where it is not what `limits` says: the same settings. Lists and prices take the place of those.
    pub limits: Limits,
    /// What becomes of STOP on this line, where it is not what `opt_out` says: the same settings.
    pub opt_out: OptOut,
    /// The line that messages go by which this one does not bring to the phone, such as SMS behind RCS: `fallback: { line: sms }`. What phones
    /// send to that line is shown in this one's rooms.
    pub fallback: Option<Fallback>,
}

/// Another way for what a line does not bring to the phone.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Fallback {
    /// The other line, by its name here.
    pub line: String,
    /// When it is used: `unreachable` (the phone has not this service), `refused` (the network refused the message, or gave it up), `late`
    /// (the phone has not got it, and the network takes it back).
    pub when: Vec<When>,
    /// How long a phone may be without a message before it is `late`.
    #[schemars(with = "String")]
    pub after: Span,
    /// How long messages go the other way at once, before this line is tried again.
    #[schemars(with = "String")]
    pub again: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum When {
    Unreachable,
    Refused,
    Late,
}

impl Default for Fallback {
    fn default() -> Self {
        Self {
            line: String::new(),
            when: vec![When::Unreachable, When::Refused, When::Late],
            after: Span::seconds(120),
            again: Span::hours(6),
        }
    }
}

impl Fallback {
    fn made(&self) -> line::Fallback {
        let when = |when| self.when.contains(&when);
        line::Fallback {
            line: LineId::new(&self.line),
            unreachable: when(When::Unreachable),
            refused: when(When::Refused),
            after: when(When::Late).then_some(self.after.0),
            again: self.again.0,
        }
    }
}

/// What a line has that does not say otherwise.
pub struct Defaults<'a> {
    pub users: &'a [String],
    pub display: line::Display,
    pub consent: consent::Rule,
    pub downgrade: consent::Downgrade,
    pub limits: &'a Limits,
    pub opt_out: &'a OptOut,
}

/// The longest sender's name in letters (3GPP TS 23.040 section 9.1.2.5).
const LONGEST_NAME: usize = 11;

impl Line {
    /// Checks the settings and makes the engine's line of them.
    pub fn check<'a>(
        &self,
        id: &str,
        connectors: impl Clone + IntoIterator<Item = &'a str>,
        defaults: &Defaults<'_>,
        problems: &mut Vec<Problem>,
    ) -> Option<line::Line> {
        let path = |key: &str| format!("lines.{id}.{key}");
        let before = problems.len();
        if self.connector.is_empty() {
            problems.push(
                Problem::new(path("connector"), "is not set")
                    .cure("give the name of the connector that serves this line"),
            );
        } else if !connectors.clone().into_iter().any(|name| name == self.connector) {
            problems.push(
                Problem::new(
                    path("connector"),
                    format!("there is no connector `{}`", self.connector),
                )
                .cure(did_you_mean(&self.connector, connectors)),
            );
        }
        let address = match own_address(&self.address, self.region) {
            Ok(address) => Some(address),
            Err(cause) => {
                problems.push(Problem::new(path("address"), cause).cure(
                    "give the line's number with + and the country code, in quotes; a short code; or a name of at most 11 letters",
                ));
                None
            }
        };
        let users = match self.users.as_slice() {
            [] => defaults.users,
            users => users,
        };
        if users.is_empty() && self.inbox_room.is_none() {
            problems.push(
                Problem::new(path("users"), "nobody may use this line")
                    .cure("list the Matrix users who may, or give the `inbox_room` that shares it"),
            );
        }
        for user in self.users.iter().filter(|user| !super::validate::user_id(user)) {
            problems.push(
                Problem::new(path("users"), format!("`{user}` is no Matrix user id"))
                    .cure("write user ids as \"@alice:example.org\", in quotes"),
            );
        }
        if let Some(room) = &self.inbox_room
            && !(room.starts_with('!') && room.len() > 1)
        {
            problems.push(
                Problem::new(path("inbox_room"), "is no room id")
                    .cure("room ids begin with `!`; clients show them in the room's advanced settings"),
            );
        }
        self.limits.check(&path("limits"), problems);
        self.opt_out.check(&path("opt_out"), problems);
        let limits = defaults
            .limits
            .of_line(&self.limits, self.bulk, &format!("lines.{id}"), problems);
        if problems.len() > before {
            return None;
        }
        Some(line::Line {
            id: LineId::new(id),
            connector: ConnectorId::new(&self.connector),
            address: address?,
            name: self.name.clone().unwrap_or_else(|| id.to_owned()),
            region: self.region,
            access: Access {
                users: users.iter().map(UserId::new).collect(),
                inbox: self.inbox_room.as_ref().map(RoomId::new),
            },
            display: self.display.unwrap_or(defaults.display),
            signature: self.signature.clone(),
            consent: self.consent.unwrap_or(defaults.consent),
            downgrade: self.downgrade.unwrap_or(defaults.downgrade),
            limits,
            opt_out: defaults
                .opt_out
                .of_line(&self.opt_out, self.inbox_room.is_some() || users.len() > 1),
            fallback: self.fallback.as_ref().map(Fallback::made),
        })
    }
}

fn own_address(text: &str, region: Option<Region>) -> Result<Address, String> {
    if text.trim().is_empty() {
        return Err("is not set".into());
    }
    match Address::from_user(text, region) {
        Ok(address) => Ok(address),
        Err(AddressError::NameOnly) if text.trim().chars().count() <= LONGEST_NAME => {
            Ok(Address::Name(text.trim().to_owned()))
        }
        Err(error) => Err(error.to_string()),
    }
}

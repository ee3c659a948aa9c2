//! Message ids that a carrier writes in one way when it takes a message and in another in its receipts.

/// How a carrier writes its ids in one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IdForm {
    /// As an opaque word: never taken for a number.
    #[default]
    Opaque,
    Decimal,
    Hex,
}

/// How a carrier writes its ids; a setting of the account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct IdRule {
    /// In the `submit_sm_resp`.
    pub submitted: IdForm,
    /// In its receipts.
    pub receipted: IdForm,
}

/// The keys under which an id is filed, and looked up, the surest first: the id itself, with its case folded,
/// without leading zeros, and as a number if the form is one.
///
/// File a submitted message under all of its keys; look a receipt up by each of its own, in order, and take
/// the first that is filed. Each kind of key has a prefix of its own, so that a folded id never meets another
/// message's exact one out of turn.
pub fn keys(id: &str, form: IdForm) -> Vec<String> {
    let id = id.trim();
    if id.is_empty() {
        return Vec::new();
    }
    let folded = id.to_ascii_lowercase();
    let mut keys = vec![
        format!("={id}"),
        format!("~{folded}"),
        format!("0{}", folded.trim_start_matches('0')),
    ];
    let number = match form {
        IdForm::Opaque => None,
        IdForm::Decimal => id.parse::<u128>().ok(),
        IdForm::Hex => u128::from_str_radix(folded.strip_prefix("0x").unwrap_or(&folded), 16).ok(),
    };
    keys.extend(number.map(|number| format!("#{number}")));
    keys
}

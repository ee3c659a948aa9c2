//! Message ids in one form, so that a receipt finds its message.

use super::config::IdForm;
use swingbridge_domain::id::NetworkId;

/// The id as it is kept and compared. Numbers become decimal. Of a word made of hex digits alone the case and
/// leading zeros are dropped, since SMSCs are careless about both; any other word is taken as it is, for its case
/// may tell two messages apart. None for an empty id.
pub fn normal(id: &str, form: IdForm) -> Option<NetworkId> {
    let id = id.trim();
    if id.is_empty() {
        return None;
    }
    let number = match form {
        IdForm::Opaque => None,
        IdForm::Decimal => id.parse::<u128>().ok(),
        IdForm::Hex => {
            let digits = id.strip_prefix("0x").or(id.strip_prefix("0X")).unwrap_or(id);
            u128::from_str_radix(digits, 16).ok()
        }
    };
    if let Some(number) = number {
        return Some(NetworkId::new(number.to_string()));
    }
    if !id.bytes().all(|octet| octet.is_ascii_hexdigit() || octet == b'-') {
        return Some(NetworkId::new(id));
    }
    let folded = id.to_ascii_lowercase();
    match folded.trim_start_matches('0') {
        "" => Some(NetworkId::new("0")),
        rest => Some(NetworkId::new(rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(id: &str, form: IdForm) -> Option<String> {
        normal(id, form).map(|id| id.0)
    }

    #[test]
    fn what_smscs_write_in_two_ways_becomes_one() {
        for (submitted, form, receipted, receipt_form) in [
            ("abc", IdForm::Opaque, "abc", IdForm::Opaque),
            ("7F3A", IdForm::Opaque, "7f3a", IdForm::Opaque),
            ("1A2B3C", IdForm::Hex, "1715004", IdForm::Decimal),
            ("0x1a2b3c", IdForm::Hex, "0001715004", IdForm::Decimal),
            ("0000000A", IdForm::Opaque, "a", IdForm::Opaque),
            ("00000001", IdForm::Opaque, "1", IdForm::Opaque),
            ("9F1C", IdForm::Hex, "40732", IdForm::Decimal),
            ("0x9f1c", IdForm::Hex, "0000040732", IdForm::Decimal),
            (
                "123e4567-E89B-12d3",
                IdForm::Opaque,
                "123E4567-e89b-12D3",
                IdForm::Opaque,
            ),
            (" 77 ", IdForm::Decimal, "077", IdForm::Decimal),
            ("000", IdForm::Opaque, "0", IdForm::Opaque),
            // An account set to numbers whose SMSC gives a word all the same.
            ("msg-X1", IdForm::Hex, "msg-X1", IdForm::Decimal),
        ] {
            assert_eq!(
                read(submitted, form),
                read(receipted, receipt_form),
                "{submitted} and {receipted}"
            );
        }
    }

    #[test]
    fn a_number_is_read_in_another_base_only_where_the_account_says_so() {
        assert_ne!(read("1A2B3C", IdForm::Opaque), read("1715004", IdForm::Opaque));
        assert_ne!(read("10", IdForm::Hex), read("17", IdForm::Decimal));
    }

    #[test]
    fn words_that_differ_only_in_case_stay_apart() {
        assert_ne!(read("aXb9", IdForm::Opaque), read("axB9", IdForm::Opaque));
        assert_eq!(read("  ", IdForm::Opaque), None);
    }
}

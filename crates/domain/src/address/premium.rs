//! Numbers that cost the caller more than a call: premium and shared-cost services, by libphonenumber's data.
//!
//! The data's own answer takes a dozen patterns, looked up one after the other under a lock, and each text asks for it twice. So one
//! pattern for each country code, of all that can be premium there, says "no" of nearly every number; the data is asked about the rest.

use super::plan::{Number, of_code, split};
use phonenumber::{Metadata, Type};
use regex::{Regex, RegexBuilder};
use std::sync::OnceLock;

/// Country codes have one to three digits (ITU-T E.164, section 6.2.1).
const CODES: usize = 1000;

/// The digits of a national prefix and of the code of a carrier behind it.
const LONGEST_PREFIX: usize = 4;

pub(super) fn is_premium(number: &str) -> bool {
    // The international premium rate service (ITU-T E.169.2): a country code of its own.
    number.starts_with("+979") || (may_be(number) && is(number))
}

/// What the data says.
fn is(number: &str) -> bool {
    Number::read(number, None)
        .is_some_and(|number| matches!(number.kind(), Type::PremiumRate | Type::SharedCost))
}

/// Never `false` where [`is`] is not.
fn may_be(number: &str) -> bool {
    static PATTERNS: [OnceLock<Option<Regex>>; CODES] = [const { OnceLock::new() }; CODES];
    let digits = number.strip_prefix('+').unwrap_or(number);
    let Some((code, national)) = split(digits) else {
        return true;
    };
    let Some(pattern) = PATTERNS[usize::from(code)].get_or_init(|| pattern(code)) else {
        return true;
    };
    // What reads the data passes over a prefix for calls within the country, though none belongs behind a country code.
    (0..=LONGEST_PREFIX).any(|length| national.get(length..).is_some_and(|rest| pattern.is_match(rest)))
}

/// What is premium anywhere under a country code; `None` when that cannot be told.
fn pattern(code: u16) -> Option<Regex> {
    let of = |region: &Metadata| {
        let descriptors = region.descriptors();
        let kinds = [descriptors.premium_rate(), descriptors.shared_cost()];
        let patterns = kinds.into_iter().flatten();
        patterns
            .map(|kind| format!("(?:{})", kind.national_number().as_str()))
            .collect::<Vec<_>>()
    };
    let mut patterns: Vec<String> = of_code(code)?.by_code(&code)?.into_iter().flat_map(of).collect();
    patterns.sort_unstable();
    patterns.dedup();
    if patterns.is_empty() {
        // Matches nothing.
        patterns.push("[^\\s\\S]".to_owned());
    }
    let pattern = format!("^(?:{})", patterns.join("|"));
    RegexBuilder::new(&pattern).ignore_whitespace(true).build().ok()
}

#[cfg(test)]
mod tests {
    use super::{is, is_premium};
    use crate::address::plan::tests::examples;
    use proptest::prelude::*;

    /// The data's own examples, of each kind in each region.
    #[test]
    fn the_short_way_says_of_every_regions_examples_what_the_data_says() {
        let (mut premium, mut others) = (0, 0);
        for (region, example) in examples() {
            let number = format!("+{}{example}", region.country_code());
            let expected = number.starts_with("+979") || is(&number);
            assert_eq!(is_premium(&number), expected, "{number}");
            *(if expected { &mut premium } else { &mut others }) += 1;
        }
        assert!(premium > 150 && others > 800, "{premium} {others}");
    }

    #[test]
    fn a_national_prefix_behind_the_country_code_hides_nothing() {
        for number in ["+330810000000", "+4409098790000", "+390892000"] {
            assert!(is(number) && is_premium(number), "{number}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn the_short_way_says_of_any_number_what_the_data_says(number in "\\+[1-9][0-9]{6,13}") {
            prop_assert_eq!(is_premium(&number), number.starts_with("+979") || is(&number));
        }
    }
}

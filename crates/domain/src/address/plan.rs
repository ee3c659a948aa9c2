//! Numbering plans: how numbers of a country code are read and judged, by libphonenumber's data.
//!
//! The data of all country codes is some five megabytes once it is read, and a gateway texts with a handful of them. So each is read
//! when the first number of it is met, and the library is given that one alone.

use super::Region;
use phonenumber::metadata::{Database, Metadata};
use phonenumber::{PhoneNumber, Type};
use std::sync::OnceLock;

/// A country code (ITU-T E.164, section 6.2.1) with its regions, that which it belongs to in the first place before all others, and
/// what the library is to know of them.
type Plan = (u16, &'static [&'static str], &'static [u8]);

/// In the order of their codes.
const PLANS: &[Plan] = &include!(concat!(env!("OUT_DIR"), "/plans.rs"));

static READ: [OnceLock<Option<Database>>; PLANS.len()] = [const { OnceLock::new() }; PLANS.len()];

/// A number as the library read it.
pub(super) struct Number {
    parsed: PhoneNumber,
    data: &'static Database,
}

impl Number {
    /// Reads a number of any country after a plus, or after what is dialled in `region` to call abroad; else one of `region` itself.
    pub fn read(text: &str, region: Option<Region>) -> Option<Self> {
        let home = region.and_then(of_region);
        let (data, parsed) = match international(text, home) {
            // Its own country alone says what stands before a national number: in the one it is called from, that is something else.
            Some(number) => {
                let data = of_code(split(number)?.0)?;
                (data, phonenumber::parse_with(data, None, format!("+{number}")))
            }
            None => {
                let data = of_code(home?.country_code())?;
                (
                    data,
                    phonenumber::parse_with(data, region.map(|region| region.0), text),
                )
            }
        };
        let parsed = parsed.ok()?;
        Some(Self { parsed, data })
    }

    /// With its plus.
    pub fn e164(&self) -> String {
        format!("+{}{}", self.parsed.code().value(), self.parsed.national())
    }

    /// How many digits it has, of which none is a zero before the national number.
    pub fn length(&self) -> usize {
        let digits = |number: u64| number.checked_ilog10().map_or(1, |log| log as usize + 1);
        digits(self.parsed.code().value().into()) + digits(self.parsed.national().value())
    }

    pub fn is_valid(&self) -> bool {
        self.parsed.is_valid_with(self.data)
    }

    pub fn kind(&self) -> Type {
        self.parsed.number_type(self.data)
    }

    pub fn region(&self) -> Option<Region> {
        let exact = self
            .parsed
            .metadata(self.data)
            .and_then(|region| region.id().parse().ok());
        // A range that is not known yet, or of a test: the country that the code belongs to in the first place.
        exact.or_else(|| regions(self.parsed.code().value())?.first()?.parse().ok())
    }
}

/// What of `text` is a number with its country code.
fn international<'a>(text: &'a str, home: Option<&Metadata>) -> Option<&'a str> {
    let number = text.trim_start_matches(['+', '\u{ff0b}']);
    let abroad = home.and_then(Metadata::international_prefix);
    let after = abroad.and_then(|prefix| {
        let found = prefix.find(number).filter(|found| found.start() == 0)?;
        number.get(found.end()..).filter(|rest| !rest.starts_with('0'))
    });
    after.or_else(|| (number.len() < text.len()).then_some(number))
}

/// The country code that `digits` begin with, and what follows it.
pub(super) fn split(digits: &str) -> Option<(u16, &str)> {
    (1..=3).find_map(|length| {
        let (code, national) = digits.split_at_checked(length)?;
        let known = code.bytes().all(|digit| digit.is_ascii_digit()) && !code.starts_with('0');
        let code = code.parse().ok().filter(|code| known && place(*code).is_some())?;
        Some((code, national))
    })
}

/// What the library knows of a country code.
pub(super) fn of_code(code: u16) -> Option<&'static Database> {
    let place = place(code)?;
    let read = || Database::from(postcard::from_bytes(PLANS[place].2).ok()?).ok();
    READ[place].get_or_init(read).as_ref()
}

/// What the library knows of a region.
pub(super) fn of_region(region: Region) -> Option<&'static Metadata> {
    let (code, ..) = PLANS
        .iter()
        .find(|(_, regions, _)| regions.contains(&region.as_str()))?;
    of_code(*code)?.by_id(region.as_str())
}

fn regions(code: u16) -> Option<&'static [&'static str]> {
    place(code).map(|place| PLANS[place].1)
}

fn place(code: u16) -> Option<usize> {
    PLANS.binary_search_by_key(&code, |plan| plan.0).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use phonenumber::metadata::DATABASE;
    use proptest::prelude::*;

    /// The library's own examples, of each kind in each region.
    pub fn examples() -> impl Iterator<Item = (&'static Metadata, &'static str)> {
        const KINDS: [Type; 10] = [
            Type::FixedLine,
            Type::Mobile,
            Type::TollFree,
            Type::PremiumRate,
            Type::SharedCost,
            Type::PersonalNumber,
            Type::Voip,
            Type::Uan,
            Type::Pager,
            Type::Voicemail,
        ];
        let of = |region: &'static Metadata| {
            let kinds = KINDS
                .into_iter()
                .filter_map(|kind| region.descriptors().get(kind));
            kinds.filter_map(move |kind| Some((region, kind.example()?)))
        };
        DATABASE.iter().flat_map(of)
    }

    fn agree(text: &str, region: Option<Region>) {
        let whole = phonenumber::parse(region.map(|region| region.0), text).ok();
        let ours = Number::read(text, region);
        let said = ours.as_ref().map(|number| {
            let id = number.parsed.metadata(number.data).map(|of| of.id().to_owned());
            (
                number.e164(),
                number.length(),
                number.is_valid(),
                number.kind(),
                id,
            )
        });
        let expected = whole.map(|number| {
            let e164 = number.format().mode(phonenumber::Mode::E164).to_string();
            let length = format!("{}{}", number.code().value(), number.national().value()).len();
            let id = number.metadata(&DATABASE).map(|of| of.id().to_owned());
            (e164, length, number.is_valid(), number.number_type(&DATABASE), id)
        });
        assert_eq!(said, expected, "{text} in {region:?}");
    }

    #[test]
    fn each_plan_alone_says_of_its_examples_what_all_together_say() {
        let mut seen = 0;
        for (region, example) in examples() {
            agree(&format!("+{}{example}", region.country_code()), None);
            let Ok(own) = region.id().parse() else { continue };
            agree(example, Some(own));
            if let Some(prefix) = region.national_prefix() {
                agree(&format!("{prefix}{example}"), Some(own));
            }
            seen += 1;
        }
        assert!(seen > 1000, "{seen}");
    }

    #[test]
    fn a_number_with_its_country_code_is_the_same_wherever_it_is_dialled() {
        for (typed, home, expected) in [
            // The national prefix of the United States is the first digit of a British area code.
            ("+441212345678", "US", "+441212345678"),
            ("011441212345678", "US", "+441212345678"),
            ("00441212345678", "DE", "+441212345678"),
            ("+00441212345678", "GB", "+441212345678"),
            // That of Russia is the first digit of Japanese mobile numbers, and that of the United Kingdom stands in Italian ones.
            ("+818012345678", "RU", "+818012345678"),
            ("+390612345678", "GB", "+390612345678"),
        ] {
            let number = Number::read(typed, home.parse().ok()).unwrap();
            assert_eq!(number.e164(), expected, "{typed} from {home}");
            assert!(number.is_valid());
        }
    }

    #[test]
    fn a_region_without_numbers_of_its_own_reads_only_those_of_others() {
        let nowhere = "AQ".parse().ok();
        assert!(Number::read("07911123456", nowhere).is_none());
        assert!(Number::read("+447911123456", nowhere).is_some());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn each_plan_alone_says_of_any_number_what_all_together_say(number in "\\+[0-9]{3,14}[0-9*#;=,x]{0,3}") {
            agree(&number, None);
        }

        #[test]
        fn each_plan_alone_says_of_any_national_number_what_all_together_say(
            number in "[1-9][0-9*#]{4,12}",
            home in prop::sample::select(vec!["GB", "US", "DE", "IT", "AR", "BR", "RU", "NZ", "JP", "CI", "GG", "KZ"]),
        ) {
            agree(&number, home.parse().ok());
        }
    }
}

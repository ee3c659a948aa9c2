use super::*;
use proptest::prelude::*;

fn sms() -> [Leg; 2] {
    [
        Leg::new(
            Place::Phone,
            Place::Carrier,
            Protection::None,
            Evidence::NetworkCannot,
        ),
        Leg::new(
            Place::Carrier,
            Place::Gateway,
            Protection::Transport,
            Evidence::OurOwnEnd,
        ),
    ]
}

const MEGOLM: Protection = Protection::EndToEnd(Scheme::Megolm);

fn with(legs: impl IntoIterator<Item = Leg>, more: impl IntoIterator<Item = Leg>) -> Path {
    Path::new(legs.into_iter().chain(more))
}

#[test]
fn a_text_into_a_plain_room_is_protected_by_nothing() {
    let path = with(
        sms(),
        [
            Leg::new(
                Place::Gateway,
                Place::Homeserver,
                Protection::Transport,
                Evidence::OurOwnEnd,
            ),
            Leg::new(
                Place::Homeserver,
                Place::Client,
                Protection::Unknown,
                Evidence::None,
            ),
        ],
    );
    assert_eq!(path.summary(), Summary::None);
    assert_eq!(
        path.readers(),
        [&Place::Carrier, &Place::Gateway, &Place::Homeserver]
    );
    assert_eq!(path.clone().reversed().summary(), Summary::None);
    assert_eq!(path.clone().reversed().standing(), path.standing());
}

#[test]
fn in_an_encrypted_room_the_encryption_ends_at_the_gateway() {
    let path = with(
        sms(),
        [Leg::new(
            Place::Gateway,
            Place::Client,
            MEGOLM,
            Evidence::OurOwnEnd,
        )],
    );
    assert_eq!(path.summary(), Summary::EndsAtGateway);
    assert_eq!(path.readers(), [&Place::Carrier, &Place::Gateway]);
    assert_eq!(path.standing().network, Protection::None);
}

#[test]
fn a_device_that_turns_from_imessage_to_sms_is_a_downgrade() {
    let imessage = Leg::new(
        Place::Phone,
        Place::Device,
        Protection::EndToEnd(Scheme::Imessage),
        Evidence::ServiceColumn,
    );
    let text = Leg::new(
        Place::Phone,
        Place::Device,
        Protection::None,
        Evidence::NetworkCannot,
    );
    let out = Leg::new(Place::Device, Place::Client, MEGOLM, Evidence::OurOwnEnd);
    let (before, after) = (with([imessage], [out.clone()]), with([text], [out]));
    assert_eq!(
        (before.summary(), after.summary()),
        (Summary::EndsAtDevice, Summary::EndsAtDevice)
    );
    assert!(after.standing().is_weaker_than(before.standing()));
    assert!(!before.standing().is_weaker_than(after.standing()));
}

#[test]
fn a_way_with_a_gap_is_unknown() {
    let [first, _] = sms();
    let out = Leg::new(Place::Gateway, Place::Client, MEGOLM, Evidence::OurOwnEnd);
    assert_eq!(with([first], [out]).summary(), Summary::Unknown);
    assert_eq!(Path::default().summary(), Summary::Unknown);
}

#[test]
fn the_short_form_is_as_documented_and_nonsense_is_none() {
    let path = with(
        [Leg::new(
            Place::Client,
            Place::Gateway,
            MEGOLM,
            Evidence::OurOwnEnd,
        )],
        Path::new(sms()).reversed().legs,
    );
    assert_eq!(path.code(), "u[em,o]g[t,o]c[n,n]p");
    assert_eq!(Path::from_code(""), Some(Path::default()));
    for wrong in [
        "u[",
        "u[em,o]",
        "x[n,n]p",
        "u[zz,o]g",
        "u[em,o]gp",
        "/",
        "(a[n,n]p",
    ] {
        assert_eq!(Path::from_code(wrong), None, "{wrong}");
    }
}

fn protections() -> impl Strategy<Value = Protection> {
    prop_oneof![
        Just(Protection::None),
        Just(Protection::Transport),
        Just(MEGOLM),
        Just(Protection::EndToEnd(Scheme::Mls)),
        Just(Protection::Unknown),
    ]
}

fn evidences() -> impl Strategy<Value = Evidence> {
    prop_oneof![
        Just(Evidence::CiphertextOnly),
        Just(Evidence::OurOwnEnd),
        Just(Evidence::ReportedByProvider),
        Just(Evidence::ServiceColumn),
        Just(Evidence::NetworkCannot),
        Just(Evidence::None),
    ]
}

fn places() -> impl Strategy<Value = Vec<Place>> {
    let between = prop_oneof![
        Just(Place::Carrier),
        Just(Place::Provider("Example".into())),
        Just(Place::Device),
        Just(Place::Gateway),
        Just(Place::Homeserver),
    ];
    proptest::collection::vec(between, 0..4).prop_map(|between| {
        let mut places = vec![Place::Phone];
        places.extend(between);
        places.push(Place::Client);
        places
    })
}

proptest! {
    /// A claim of encryption needs a leg that is encrypted and has evidence, and nobody else between its ends.
    #[test]
    fn no_summary_claims_more_than_its_evidence(
        places in places(),
        kinds in proptest::collection::vec((protections(), evidences()), 5),
        back in any::<bool>(),
    ) {
        let legs = places.windows(2).zip(kinds).map(|(two, (protection, evidence))| {
            Leg::new(two[0].clone(), two[1].clone(), protection, evidence)
        });
        let mut path = Path::new(legs);
        let last = path.legs.last().cloned();
        if back {
            path = path.reversed();
        }
        let proven = last.as_ref().map(Leg::proven);
        let encrypted = matches!(proven, Some(Protection::EndToEnd(_)));
        match path.summary() {
            Summary::EndToEnd => prop_assert!(encrypted && path.readers().is_empty()),
            Summary::EndsAtDevice => {
                prop_assert!(encrypted && path.readers().contains(&&Place::Device));
                prop_assert!(!path.readers().contains(&&Place::Homeserver) || places.len() > 3);
            }
            Summary::EndsAtGateway => prop_assert!(encrypted && path.readers().contains(&&Place::Gateway)),
            Summary::None | Summary::Unknown => {}
        }
        if let (Some(leg), Some(Protection::Unknown)) = (&last, proven) {
            prop_assert!(leg.from == Place::Homeserver || path.summary() == Summary::Unknown);
        }
    }

    #[test]
    fn a_path_in_short_is_the_same_path(
        places in places(),
        kinds in proptest::collection::vec((protections(), evidences()), 5),
        gap in any::<bool>(),
    ) {
        let legs = places.windows(2).zip(kinds).map(|(two, (protection, evidence))| {
            Leg::new(two[0].clone(), two[1].clone(), protection, evidence)
        });
        let mut path = Path::new(legs);
        if gap {
            path.legs[0].to = Place::Provider("Elsewhere".into());
        }
        prop_assert_eq!(Path::from_code(&path.code()), Some(path));
    }

    /// Taking evidence away never makes a message look better protected.
    #[test]
    fn less_evidence_never_looks_better(
        places in places(),
        kinds in proptest::collection::vec((protections(), evidences()), 5),
        at in 0usize..5,
    ) {
        let legs = places.windows(2).zip(kinds).map(|(two, (protection, evidence))| {
            Leg::new(two[0].clone(), two[1].clone(), protection, evidence)
        });
        let path = Path::new(legs);
        let mut less = path.clone();
        let at = at % less.legs.len();
        less.legs[at].evidence = Evidence::None;
        prop_assert!(!path.standing().is_weaker_than(less.standing()));
    }
}

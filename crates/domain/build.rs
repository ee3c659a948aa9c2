//! Cuts libphonenumber's data into one piece for each country code, so that only those are read that are met.

use phonenumber::metadata::loader::{self, Descriptor};
use phonenumber::metadata::{self, DATABASE};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo names a folder"));
    let mut index = String::from("[\n");
    // Country codes have one to three digits (ITU-T E.164, section 6.2.1).
    for code in 1..1000 {
        let Some(regions) = DATABASE.by_code(&code) else {
            continue;
        };
        let ids: Vec<&str> = regions.iter().map(|region| region.id()).collect();
        let piece: Vec<loader::Metadata> = regions.into_iter().map(piece).collect();
        let name = format!("plan_{code}.bin");
        let bytes = postcard::to_stdvec(&piece).expect("plain data");
        fs::write(folder.join(&name), bytes).expect("cargo's folder can be written");
        writeln!(
            index,
            "    ({code}, &{ids:?}, include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}\"))),"
        )
        .expect("text grows");
    }
    index.push(']');
    fs::write(folder.join("plans.rs"), index).expect("cargo's folder can be written");
}

/// What is needed to read and to judge numbers: how they are written for people is not.
fn piece(region: &metadata::Metadata) -> loader::Metadata {
    let of = region.descriptors();
    let kind = |kind: Option<&metadata::Descriptor>| kind.map(descriptor);
    loader::Metadata {
        general: Some(descriptor(of.general())),
        fixed_line: kind(of.fixed_line()),
        mobile: kind(of.mobile()),
        toll_free: kind(of.toll_free()),
        premium_rate: kind(of.premium_rate()),
        shared_cost: kind(of.shared_cost()),
        personal_number: kind(of.personal_number()),
        voip: kind(of.voip()),
        pager: kind(of.pager()),
        uan: kind(of.uan()),
        emergency: kind(of.emergency()),
        voicemail: kind(of.voicemail()),
        short_code: kind(of.short_code()),
        standard_rate: kind(of.standard_rate()),
        carrier: kind(of.carrier()),
        no_international: kind(of.no_international()),
        id: Some(region.id().to_owned()),
        country_code: Some(region.country_code()),
        international_prefix: region.international_prefix().map(|prefix| small(prefix.as_str())),
        national_prefix: region.national_prefix().map(str::to_owned),
        national_prefix_for_parsing: region
            .national_prefix_for_parsing()
            .map(|prefix| small(prefix.as_str())),
        national_prefix_transform_rule: region.national_prefix_transform_rule().map(str::to_owned),
        main_country_for_code: region.is_main_country_for_code(),
        leading_digits: region.leading_digits().map(|digits| small(digits.as_str())),
        ..loader::Metadata::default()
    }
}

fn descriptor(of: &metadata::Descriptor) -> Descriptor {
    Descriptor {
        national_number: Some(small(of.national_number().as_str())),
        possible_length: of.possible_length().to_vec(),
        possible_local_length: of.possible_local_length().to_vec(),
        example: of.example().map(str::to_owned),
    }
}

/// The library reads no other digits, and a pattern that knows those of every script takes many times the memory.
fn small(pattern: &str) -> String {
    pattern.replace("\\d", "[0-9]")
}

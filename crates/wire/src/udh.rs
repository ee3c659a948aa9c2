//! The user data header, TS 23.040 §9.2.3.24: what precedes the text of a short message when the "UDHI"
//! bit of the esm_class is set. Read leniently, written strictly.

use crate::gsm::{Language, Shifts};

const CONCATENATED_8: u8 = 0x00;
const PORTS_8: u8 = 0x04;
const PORTS_16: u8 = 0x05;
const CONCATENATED_16: u8 = 0x08;
const SINGLE_SHIFT: u8 = 0x24;
const LOCKING_SHIFT: u8 = 0x25;

/// Which part of a long message this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Concatenation {
    /// Shared by the parts of one message between the same two addresses.
    pub reference: u16,
    /// How wide the reference is: two messages may use the same number in different widths.
    pub width: Width,
    /// How many parts there are: 1 to 255.
    pub total: u8,
    /// Which one this is: 1 to `total`.
    pub index: u8,
}

impl Concatenation {
    /// `None` where the specification wants the element ignored: no parts, or an index outside of them.
    pub fn new(reference: u16, width: Width, total: u8, index: u8) -> Option<Concatenation> {
        (index >= 1 && index <= total).then_some(Concatenation {
            reference,
            width,
            total,
            index,
        })
    }
}

/// How the reference of a long message is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Width {
    /// Information element 0x00.
    Eight,
    /// Information element 0x08.
    Sixteen,
    /// The TLVs 0x020C, 0x020E and 0x020F of SMPP, no header.
    Sar,
}

/// One information element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    pub identifier: u8,
    pub data: Vec<u8>,
}

/// A user data header as its elements, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    pub elements: Vec<Element>,
}

/// Application ports, element 0x04 or 0x05.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    pub destination: u16,
    pub source: u16,
}

impl Header {
    /// Splits user data into its header and what follows.
    ///
    /// `None` when the length octet points past the end: a peer that sets the bit without writing a header
    /// is best shown whole. An element that runs past the header's end is dropped, those before it kept.
    pub fn split(user_data: &[u8]) -> Option<(Header, &[u8])> {
        let (&length, rest) = user_data.split_first()?;
        let (mut fields, body) = rest.split_at_checked(usize::from(length))?;
        let mut elements = Vec::new();
        while let [identifier, length, after @ ..] = fields {
            let Some((data, next)) = after.split_at_checked(usize::from(*length)) else {
                break;
            };
            elements.push(Element {
                identifier: *identifier,
                data: data.to_vec(),
            });
            fields = next;
        }
        Some((Header { elements }, body))
    }

    /// A header for one part of a long message in these tables; empty when neither needs saying.
    pub fn new(concatenation: Option<Concatenation>, shifts: Shifts) -> Header {
        let mut elements = Vec::new();
        if let Some(Concatenation {
            reference,
            width,
            total,
            index,
        }) = concatenation
        {
            let [high, low] = reference.to_be_bytes();
            match width {
                Width::Eight => {
                    elements.push(Element {
                        identifier: CONCATENATED_8,
                        data: vec![low, total, index],
                    });
                }
                Width::Sixteen => {
                    elements.push(Element {
                        identifier: CONCATENATED_16,
                        data: vec![high, low, total, index],
                    });
                }
                Width::Sar => {}
            }
        }
        for (identifier, language) in [(SINGLE_SHIFT, shifts.single), (LOCKING_SHIFT, shifts.locking)] {
            if language != Language::Default {
                elements.push(Element {
                    identifier,
                    data: vec![language.identifier()],
                });
            }
        }
        Header { elements }
    }

    /// The octets of the header with its length octet; none at all for a header without elements.
    ///
    /// Elements are dropped from the end if they do not fit into the 255 octets that the length can say.
    pub fn encode(&self) -> Vec<u8> {
        let mut fields = Vec::new();
        for element in &self.elements {
            if element.data.len() + 2 + fields.len() > usize::from(u8::MAX) {
                break;
            }
            fields.extend([element.identifier, element.data.len() as u8]);
            fields.extend_from_slice(&element.data);
        }
        if !fields.is_empty() {
            fields.insert(0, fields.len() as u8);
        }
        fields
    }

    /// Which part of a long message this is. Where several elements say it, the last counts
    /// (TS 23.040 §9.2.3.24); one with impossible numbers says nothing.
    pub fn concatenation(&self) -> Option<Concatenation> {
        self.elements
            .iter()
            .rev()
            .find_map(|element| match (element.identifier, element.data.as_slice()) {
                (CONCATENATED_8, &[reference, total, index]) => {
                    Concatenation::new(u16::from(reference), Width::Eight, total, index)
                }
                (CONCATENATED_16, &[high, low, total, index]) => {
                    Concatenation::new(u16::from_be_bytes([high, low]), Width::Sixteen, total, index)
                }
                _ => None,
            })
    }

    /// The tables that the text is written in; a reserved language counts as the default.
    pub fn shifts(&self) -> Shifts {
        let language = |wanted: u8| {
            self.elements
                .iter()
                .rev()
                .find(|element| element.identifier == wanted)
                .and_then(|element| Language::from_identifier(*element.data.first()?))
                .unwrap_or_default()
        };
        Shifts {
            locking: language(LOCKING_SHIFT),
            single: language(SINGLE_SHIFT),
        }
    }

    /// Application ports: such a message is for a program on the phone, not for its reader.
    pub fn ports(&self) -> Option<Ports> {
        self.elements
            .iter()
            .rev()
            .find_map(|element| match (element.identifier, element.data.as_slice()) {
                (PORTS_8, &[destination, source]) => Some(Ports {
                    destination: u16::from(destination),
                    source: u16::from(source),
                }),
                (PORTS_16, &[d0, d1, s0, s1]) => Some(Ports {
                    destination: u16::from_be_bytes([d0, d1]),
                    source: u16::from_be_bytes([s0, s1]),
                }),
                _ => None,
            })
    }
}

#[cfg(test)]
mod tests;

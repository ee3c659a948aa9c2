//! Writes an `NSAttributedString` as `NSArchiver` does, in the typedstream format.
//!
//! It shares nothing with the decoder of `wire`, so that the two cannot share a mistake; foreign decoders judge both.

/// A text and its stretches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Body {
    pub text: String,
    /// Lengths in UTF-16 units, with what is said of each.
    pub runs: Vec<(usize, Vec<(String, Attribute)>)>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    Integer(i32),
    Text(String),
    Url(String),
    Data(Vec<u8>),
    List(Vec<Attribute>),
}

/// Which octet of a number comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Little,
    Big,
}

impl Body {
    /// A text as Messages writes it: one run, with the number of its part.
    pub fn plain(text: &str) -> Body {
        Body::default().text(text, &[])
    }

    /// Adds a stretch of text.
    #[must_use]
    pub fn text(mut self, text: &str, attributes: &[(&str, Attribute)]) -> Body {
        let part = self.parts();
        let part = part - i32::from(self.runs.last().is_some_and(|(_, set)| !is_file(set)));
        self.push(text, part, attributes);
        self
    }

    /// Adds the place of an attachment, which is a part of its own.
    #[must_use]
    pub fn file(mut self, guid: &str) -> Body {
        let name = "__kIMFileTransferGUIDAttributeName";
        let part = self.parts();
        self.push("\u{fffc}", part, &[(name, Attribute::Text(guid.to_owned()))]);
        self
    }

    fn push(&mut self, text: &str, part: i32, attributes: &[(&str, Attribute)]) {
        let mut set = vec![(
            "__kIMMessagePartAttributeName".to_owned(),
            Attribute::Integer(part),
        )];
        set.extend(
            attributes
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone())),
        );
        self.text.push_str(text);
        self.runs.push((text.encode_utf16().count(), set));
    }

    /// How many parts there are so far.
    fn parts(&self) -> i32 {
        let mut parts = 0;
        let mut in_text = false;
        for (_, set) in &self.runs {
            let file = is_file(set);
            parts += i32::from(file || !in_text);
            in_text = !file;
        }
        parts
    }

    pub fn encode(&self, order: Order) -> Vec<u8> {
        let mut writer = Writer::new(order);
        writer.types("@");
        writer.begin(&["NSAttributedString", "NSObject"]);
        writer.types("@");
        writer.string(&self.text);
        let mut sets: Vec<&Vec<(String, Attribute)>> = Vec::new();
        for (length, set) in &self.runs {
            writer.types("iI");
            let known = sets.iter().position(|other| *other == set);
            let number = known.unwrap_or(sets.len()) + 1;
            writer.integer(int(number));
            writer.integer(int(*length));
            if known.is_none() {
                sets.push(set);
                writer.types("@");
                writer.begin(&["NSDictionary", "NSObject"]);
                writer.types("i");
                writer.integer(int(set.len()));
                for (name, value) in set {
                    writer.types("@");
                    writer.string(name);
                    writer.types("@");
                    writer.attribute(value);
                }
                writer.end();
            }
        }
        writer.end();
        writer.out
    }
}

fn is_file(set: &[(String, Attribute)]) -> bool {
    set.iter()
        .any(|(name, _)| name == "__kIMFileTransferGUIDAttributeName")
}

fn int(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// The version that Foundation gives a class.
fn version(class: &str) -> i64 {
    i64::from(class == "NSString")
}

struct Writer {
    out: Vec<u8>,
    order: Order,
    strings: Vec<String>,
    /// Classes by their name; `None` for objects and C strings, which are numbered along with them.
    shared: Vec<Option<String>>,
    c_strings: Vec<(String, usize)>,
}

impl Writer {
    fn new(order: Order) -> Writer {
        let mut writer = Writer {
            out: vec![4],
            order,
            strings: Vec::new(),
            shared: Vec::new(),
            c_strings: Vec::new(),
        };
        let name: &[u8] = match order {
            Order::Little => b"streamtyped",
            Order::Big => b"typedstream",
        };
        writer.out.push(11);
        writer.out.extend(name);
        writer.integer(1000);
        writer
    }

    fn integer(&mut self, value: i64) {
        if let Ok(small) = i8::try_from(value)
            && small >= -110
        {
            self.out.push(small.cast_unsigned());
            return;
        }
        let (mark, octets): (u8, Vec<u8>) = match i16::try_from(value) {
            Ok(short) => (0x81, short.to_be_bytes().to_vec()),
            Err(_) => (
                0x82,
                i32::try_from(value).unwrap_or(i32::MAX).to_be_bytes().to_vec(),
            ),
        };
        self.out.push(mark);
        match self.order {
            Order::Big => self.out.extend(octets),
            Order::Little => self.out.extend(octets.iter().rev()),
        }
    }

    fn reference(&mut self, number: usize) {
        self.integer(int(number) - 110);
    }

    /// A string that names types or a class.
    fn types(&mut self, text: &str) {
        if let Some(known) = self.strings.iter().position(|other| other == text) {
            return self.reference(known);
        }
        self.out.push(0x84);
        self.raw(text.as_bytes());
        self.strings.push(text.to_owned());
    }

    fn raw(&mut self, octets: &[u8]) {
        self.integer(int(octets.len()));
        self.out.extend(octets);
    }

    fn begin(&mut self, classes: &[&str]) {
        self.out.push(0x84);
        self.shared.push(None);
        for class in classes {
            let known = self
                .shared
                .iter()
                .position(|other| other.as_deref() == Some(*class));
            if let Some(known) = known {
                return self.reference(known);
            }
            self.out.push(0x84);
            self.types(class);
            self.integer(version(class));
            self.shared.push(Some((*class).to_owned()));
        }
        self.out.push(0x85);
    }

    fn end(&mut self) {
        self.out.push(0x86);
    }

    fn string(&mut self, text: &str) {
        self.begin(&["NSString", "NSObject"]);
        self.types("+");
        self.raw(text.as_bytes());
        self.end();
    }

    fn c_string(&mut self, text: &str) {
        if let Some((_, number)) = self.c_strings.iter().find(|(other, _)| other == text) {
            return self.reference(*number);
        }
        self.out.push(0x84);
        self.types(text);
        self.c_strings.push((text.to_owned(), self.shared.len()));
        self.shared.push(None);
    }

    fn attribute(&mut self, value: &Attribute) {
        match value {
            Attribute::Text(text) => self.string(text),
            Attribute::Integer(integer) => {
                self.begin(&["NSNumber", "NSValue", "NSObject"]);
                self.types("*");
                self.c_string("i");
                self.types("i");
                self.integer(i64::from(*integer));
                self.end();
            }
            Attribute::Url(url) => {
                self.begin(&["NSURL", "NSObject"]);
                self.types("c");
                self.out.push(0);
                self.types("@");
                self.string(url);
                self.end();
            }
            Attribute::Data(data) => {
                self.begin(&["NSData", "NSObject"]);
                self.types("i");
                self.integer(int(data.len()));
                self.types(&format!("[{}c]", data.len()));
                self.out.extend(data);
                self.end();
            }
            Attribute::List(list) => {
                self.begin(&["NSArray", "NSObject"]);
                self.types("i");
                self.integer(int(list.len()));
                for item in list {
                    self.types("@");
                    self.attribute(item);
                }
                self.end();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of a "Hello" as they are seen in the wild.
    #[test]
    fn a_plain_text_is_what_messages_writes() {
        let mut expected = b"\x04\x0bstreamtyped\x81\xe8\x03\x84\x01@\x84\x84\x84\x12NSAttributedString\x00\x84\x84\x08NSObject\x00\x85\x92\x84\x84\x84\x08NSString\x01\x94\x84\x01+\x05Hello\x86\x84\x02iI\x01\x05\x92\x84\x84\x84\x0cNSDictionary\x00\x94\x84\x01i\x01\x92\x84\x96\x96".to_vec();
        expected.extend(b"\x1d__kIMMessagePartAttributeName\x86\x92\x84\x84\x84\x08NSNumber\x00\x84\x84\x07NSValue\x00\x94\x84\x01*\x84\x99\x99\x00\x86\x86\x86");
        assert_eq!(Body::plain("Hello").encode(Order::Little), expected);
    }

    #[test]
    fn files_and_texts_are_parts_in_turn() {
        let body = Body::default()
            .text("a", &[])
            .text("b", &[])
            .file("x")
            .file("y")
            .text("c", &[]);
        let parts: Vec<_> = body.runs.iter().map(|(_, set)| set[0].1.clone()).collect();
        assert_eq!(parts, [0, 0, 1, 2, 3].map(Attribute::Integer));
    }
}

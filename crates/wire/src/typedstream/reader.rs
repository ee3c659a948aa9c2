//! The stream as a graph of objects, each with the groups of values that it wrote.

use super::Error;

/// Deeper than anything that Messages writes.
const DEPTH: u32 = 64;

// The marks that stand where a number would (as signed octets, -127 to -122). References count from -110.
const SHORT: u8 = 0x81;
const LONG: u8 = 0x82;
const REAL: u8 = 0x83;
const NEW: u8 = 0x84;
const NIL: u8 = 0x85;
const END: u8 = 0x86;
const FIRST_NUMBER: i8 = -110;

#[derive(Default)]
pub(super) struct Graph<'a> {
    pub objects: Vec<Object<'a>>,
    pub classes: Vec<Class<'a>>,
    /// The values of the outermost groups, in order.
    pub roots: Vec<Item<'a>>,
}

#[derive(Default)]
pub(super) struct Object<'a> {
    pub class: Option<usize>,
    pub groups: Vec<Vec<Item<'a>>>,
}

pub(super) struct Class<'a> {
    pub name: &'a [u8],
    pub parent: Option<usize>,
}

#[derive(Clone, PartialEq)]
pub(super) enum Item<'a> {
    Null,
    Integer(i64),
    Real(f64),
    /// Strings of all kinds, and arrays of characters.
    Bytes(&'a [u8]),
    /// Which of [`Graph::objects`].
    Object(usize),
    Class,
    /// Arrays and structures.
    List(Vec<Item<'a>>),
}

impl<'a> Graph<'a> {
    pub fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader {
            bytes,
            at: 0,
            little: true,
            strings: Vec::new(),
            shared: Vec::new(),
            graph: Graph::default(),
            // Every value but the elements of empty structures takes an octet.
            budget: bytes.len().saturating_add(64),
        };
        reader.header()?;
        while reader.at < bytes.len() {
            let group = reader.group(0)?;
            reader.graph.roots.extend(group);
        }
        Ok(reader.graph)
    }

    /// Whether an object's class is `name` or inherits from it.
    pub fn is(&self, object: usize, name: &str) -> bool {
        let mut class = self.objects.get(object).and_then(|object| object.class);
        // A parent was read after its child and can be any class met before: count, lest they go in a circle.
        for _ in 0..self.classes.len() {
            let Some(found) = class.and_then(|class| self.classes.get(class)) else {
                return false;
            };
            if found.name == name.as_bytes() {
                return true;
            }
            class = found.parent;
        }
        false
    }

    pub fn class_name(&self, object: usize) -> String {
        let class = self.objects.get(object).and_then(|object| object.class);
        let name = class
            .and_then(|class| self.classes.get(class))
            .map(|class| class.name);
        String::from_utf8_lossy(name.unwrap_or_default()).into_owned()
    }
}

/// What a reference may lead to. Strings that name types and classes are counted apart.
#[derive(Clone, Copy)]
enum Shared<'a> {
    Object(usize),
    Class(usize),
    Text(&'a [u8]),
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    little: bool,
    strings: Vec<&'a [u8]>,
    shared: Vec<Shared<'a>>,
    graph: Graph<'a>,
    budget: usize,
}

impl<'a> Reader<'a> {
    fn fail<T>(&self, problem: &'static str) -> Result<T, Error> {
        Err(Error { at: self.at, problem })
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let end = self.at.checked_add(count);
        match end.and_then(|end| self.bytes.get(self.at..end)) {
            Some(taken) => {
                self.at += count;
                Ok(taken)
            }
            None => self.fail("it is cut short"),
        }
    }

    fn octet(&mut self) -> Result<u8, Error> {
        Ok(self.take(1)?.first().copied().unwrap_or_default())
    }

    fn header(&mut self) -> Result<(), Error> {
        if self.octet()? != 4 {
            self.at = 0;
            return self.fail("it is no typedstream of version 4");
        }
        let length = usize::from(self.octet()?);
        self.little = match self.take(length)? {
            b"streamtyped" => true,
            b"typedstream" => false,
            _ => return self.fail("it is no typedstream"),
        };
        self.integer(None, true).map(|_system_version| ())
    }

    /// One to four octets in the stream's order, as a signed or unsigned number.
    fn fixed(&mut self, count: usize, signed: bool) -> Result<i64, Error> {
        let octets = self.take(count)?;
        let fold = |sum: u64, octet: &u8| sum << 8 | u64::from(*octet);
        let value = match self.little {
            true => octets.iter().rev().fold(0, fold),
            false => octets.iter().fold(0, fold),
        };
        let unused = 64 - 8 * u32::try_from(count).unwrap_or(8);
        Ok(match signed {
            true => (value << unused).cast_signed() >> unused,
            false => value.cast_signed(),
        })
    }

    fn integer(&mut self, head: Option<u8>, signed: bool) -> Result<i64, Error> {
        let head = match head {
            Some(head) => head,
            None => self.octet()?,
        };
        match head {
            SHORT => self.fixed(2, signed),
            LONG => self.fixed(4, signed),
            _ if head.cast_signed() < FIRST_NUMBER && head >= 0x80 => {
                self.fail("a mark stands where a number should")
            }
            _ if signed => Ok(i64::from(head.cast_signed())),
            _ => Ok(i64::from(head)),
        }
    }

    fn length(&mut self) -> Result<usize, Error> {
        let length = self.integer(None, false)?;
        usize::try_from(length).or_else(|_| self.fail("a length is below nothing"))
    }

    fn reference(&mut self, head: u8) -> Result<usize, Error> {
        let number = self.integer(Some(head), true)? - i64::from(FIRST_NUMBER);
        usize::try_from(number).or_else(|_| self.fail("a reference leads before the beginning"))
    }

    /// A string that names types or a class: new, or one of those before.
    fn shared_string(&mut self) -> Result<Option<&'a [u8]>, Error> {
        match self.octet()? {
            NIL => Ok(None),
            NEW => {
                let length = self.length()?;
                let string = self.take(length)?;
                self.strings.push(string);
                Ok(Some(string))
            }
            head => {
                let number = self.reference(head)?;
                match self.strings.get(number) {
                    Some(string) => Ok(Some(string)),
                    None => self.fail("a reference leads to no string"),
                }
            }
        }
    }

    /// A description of types, and a value for each of them.
    fn group(&mut self, depth: u32) -> Result<Vec<Item<'a>>, Error> {
        let Some(mut types) = self.shared_string()? else {
            return self.fail("a group has no types");
        };
        let mut items = Vec::new();
        while !types.is_empty() {
            let (one, rest) = self.split(types)?;
            types = rest;
            if one != b"!" {
                items.push(self.item(one, depth)?);
            }
        }
        Ok(items)
    }

    /// The first type of a description, and the rest.
    fn split(&self, types: &'a [u8]) -> Result<(&'a [u8], &'a [u8]), Error> {
        let mut open = 0u32;
        for (at, octet) in types.iter().enumerate() {
            match octet {
                b'[' | b'{' => open += 1,
                b']' | b'}' if open > 0 => open -= 1,
                _ => {}
            }
            if open == 0 {
                return Ok(types.split_at(at + 1));
            }
        }
        self.fail("a description of types does not end")
    }

    fn item(&mut self, one: &'a [u8], depth: u32) -> Result<Item<'a>, Error> {
        if depth > DEPTH {
            return self.fail("it nests too deep");
        }
        self.budget = match self.budget.checked_sub(1) {
            Some(left) => left,
            None => return self.fail("it holds too many values"),
        };
        let (kind, inner) = match one.split_first() {
            Some((kind, rest)) => (*kind, rest.split_last().map_or(rest, |(_, inner)| inner)),
            None => return self.fail("a type is empty"),
        };
        Ok(match kind {
            b'@' => self.object(depth + 1)?,
            b'c' => Item::Integer(i64::from(self.octet()?.cast_signed())),
            b'C' | b'B' => Item::Integer(i64::from(self.octet()?)),
            b's' | b'i' | b'l' | b'q' => Item::Integer(self.integer(None, true)?),
            b'S' | b'I' | b'L' | b'Q' => Item::Integer(self.integer(None, false)?),
            b'f' => self.real(4)?,
            b'd' => self.real(8)?,
            b'+' => {
                let length = match self.octet()? {
                    NIL => return Ok(Item::Null),
                    head => self.integer(Some(head), false)?,
                };
                match usize::try_from(length) {
                    Ok(length) => Item::Bytes(self.take(length)?),
                    Err(_) => return self.fail("a length is below nothing"),
                }
            }
            b'*' => self.c_string()?,
            b'%' | b':' => self.shared_string()?.map_or(Item::Null, Item::Bytes),
            b'#' => {
                self.class()?;
                Item::Class
            }
            b'[' => self.array(inner, depth + 1)?,
            b'{' => {
                let fields = inner.iter().position(|octet| *octet == b'=');
                let mut types = fields.map_or(&inner[..0], |at| &inner[at + 1..]);
                let mut items = Vec::new();
                while !types.is_empty() {
                    let (one, rest) = self.split(types)?;
                    types = rest;
                    items.push(self.item(one, depth + 1)?);
                }
                Item::List(items)
            }
            _ => return self.fail("a type is not known"),
        })
    }

    fn real(&mut self, count: usize) -> Result<Item<'a>, Error> {
        let head = self.octet()?;
        if head != REAL {
            #[expect(clippy::cast_precision_loss, reason = "at most 32 bits")]
            return Ok(Item::Real(self.integer(Some(head), true)? as f64));
        }
        let bits = self.fixed(count, false)?.cast_unsigned();
        Ok(Item::Real(match u32::try_from(bits) {
            Ok(bits) if count == 4 => f64::from(f32::from_bits(bits)),
            _ => f64::from_bits(bits),
        }))
    }

    fn array(&mut self, inner: &'a [u8], depth: u32) -> Result<Item<'a>, Error> {
        let digits = inner.iter().take_while(|octet| octet.is_ascii_digit()).count();
        let (digits, one) = inner.split_at(digits);
        let count = std::str::from_utf8(digits)
            .ok()
            .and_then(|digits| digits.parse().ok());
        let Some(count) = count else {
            return self.fail("an array has no length");
        };
        if one == b"c" || one == b"C" {
            return Ok(Item::Bytes(self.take(count)?));
        }
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(self.item(one, depth)?);
        }
        Ok(Item::List(items))
    }

    fn c_string(&mut self) -> Result<Item<'a>, Error> {
        match self.octet()? {
            NIL => Ok(Item::Null),
            NEW => {
                let Some(string) = self.shared_string()? else {
                    return self.fail("a string is none");
                };
                self.shared.push(Shared::Text(string));
                Ok(Item::Bytes(string))
            }
            head => {
                let number = self.reference(head)?;
                match self.shared.get(number) {
                    Some(Shared::Text(text)) => Ok(Item::Bytes(text)),
                    _ => self.fail("a reference leads to no string"),
                }
            }
        }
    }

    fn object(&mut self, depth: u32) -> Result<Item<'a>, Error> {
        if depth > DEPTH {
            return self.fail("it nests too deep");
        }
        match self.octet()? {
            NIL => Ok(Item::Null),
            NEW => {
                let object = self.graph.objects.len();
                self.graph.objects.push(Object::default());
                // It has its number before its contents are read: they may refer to it.
                self.shared.push(Shared::Object(object));
                self.graph.objects[object].class = self.class()?;
                while self.bytes.get(self.at) != Some(&END) {
                    let group = self.group(depth)?;
                    self.graph.objects[object].groups.push(group);
                }
                self.at += 1;
                Ok(Item::Object(object))
            }
            head => {
                let number = self.reference(head)?;
                match self.shared.get(number) {
                    Some(Shared::Object(object)) => Ok(Item::Object(*object)),
                    _ => self.fail("a reference leads to no object"),
                }
            }
        }
    }

    /// A class and those that it inherits from, up to one that is known or to none.
    fn class(&mut self) -> Result<Option<usize>, Error> {
        let mut first = None;
        let mut child: Option<usize> = None;
        loop {
            let found = match self.octet()? {
                NIL => None,
                NEW => {
                    let Some(name) = self.shared_string()? else {
                        return self.fail("a class has no name");
                    };
                    self.integer(None, true)?;
                    let class = self.graph.classes.len();
                    self.graph.classes.push(Class { name, parent: None });
                    self.shared.push(Shared::Class(class));
                    Some((class, true))
                }
                head => {
                    let number = self.reference(head)?;
                    match self.shared.get(number) {
                        Some(Shared::Class(class)) => Some((*class, false)),
                        _ => return self.fail("a reference leads to no class"),
                    }
                }
            };
            let class = found.map(|(class, _)| class);
            match child {
                None => first = class,
                Some(child) => self.graph.classes[child].parent = class,
            }
            match found {
                Some((class, true)) => child = Some(class),
                _ => return Ok(first),
            }
        }
    }
}

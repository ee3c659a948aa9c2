//! Width and height of a picture, from its first octets; what cannot be told at a glance is left open.

/// Pixels of a PNG, GIF, JPEG or WebP.
pub(super) fn of(bytes: &[u8]) -> Option<(u32, u32)> {
    let size = match bytes {
        [0x89, b'P', b'N', b'G', ..] => (big(bytes, 16, 4)?, big(bytes, 20, 4)?),
        [b'G', b'I', b'F', b'8', ..] => (little(bytes, 6, 2)?, little(bytes, 8, 2)?),
        [0xff, 0xd8, ..] => jpeg(bytes)?,
        [b'R', b'I', b'F', b'F', ..] if bytes.get(8..12) == Some(b"WEBP") => webp(bytes)?,
        _ => return None,
    };
    (size.0 > 0 && size.1 > 0).then_some(size)
}

fn big(bytes: &[u8], at: usize, length: usize) -> Option<u32> {
    let octets = bytes.get(at..at.checked_add(length)?)?;
    Some(
        octets
            .iter()
            .fold(0, |number, octet| number << 8 | u32::from(*octet)),
    )
}

fn little(bytes: &[u8], at: usize, length: usize) -> Option<u32> {
    let octets = bytes.get(at..at.checked_add(length)?)?;
    Some(
        octets
            .iter()
            .rev()
            .fold(0, |number, octet| number << 8 | u32::from(*octet)),
    )
}

/// The frame header (ITU-T T.81, B.2.2), whichever segments stand before it.
fn jpeg(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        let marker = bytes.get(at..at + 2)?;
        if marker[0] != 0xff {
            return None;
        }
        match marker[1] {
            // Fill octets, and markers that stand alone.
            0xff => at += 1,
            0x01 | 0xd0..=0xd8 => at += 2,
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                return Some((big(bytes, at + 7, 2)?, big(bytes, at + 5, 2)?));
            }
            // The picture itself, or its end.
            0xd9 | 0xda => return None,
            _ => at += 2 + usize::try_from(big(bytes, at + 2, 2)?).ok()?.max(2),
        }
    }
}

/// RFC 9649, section 2.
fn webp(bytes: &[u8]) -> Option<(u32, u32)> {
    match bytes.get(12..16)? {
        b"VP8X" => Some((little(bytes, 24, 3)? + 1, little(bytes, 27, 3)? + 1)),
        b"VP8L" => {
            let packed = little(bytes, 21, 4)?;
            Some(((packed & 0x3fff) + 1, (packed >> 14 & 0x3fff) + 1))
        }
        b"VP8 " => Some((little(bytes, 26, 2)? & 0x3fff, little(bytes, 28, 2)? & 0x3fff)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn each_format_says_how_large_it_is() {
        let png = [
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice(),
            &[0, 0, 1, 44, 0, 0, 0, 200],
        ]
        .concat();
        assert_eq!(of(&png), Some((300, 200)));
        assert_eq!(of(b"GIF89a\x2c\x01\xc8\x00"), Some((300, 200)));
        // A comment and a fill octet stand before the frame.
        let jpeg = b"\xff\xd8\xff\xfe\x00\x05abc\xff\xff\xc2\x00\x11\x08\x00\xc8\x01\x2c";
        assert_eq!(of(jpeg), Some((300, 200)));
        let webp = b"RIFF\0\0\0\0WEBPVP8X\n\0\0\0\0\0\0\0\x2b\x01\0\xc7\0\0";
        assert_eq!(of(webp), Some((300, 200)));
    }

    #[test]
    fn what_is_cut_short_or_odd_is_left_open() {
        for odd in [
            b"".as_slice(),
            b"\x89PNG",
            b"GIF89a",
            b"\xff\xd8\xff\xe0\x00\x00\xff",
            b"\xff\xd8\xff\xd9",
            b"RIFF\0\0\0\0WEBPVP8L",
            b"%PDF-1.7",
        ] {
            assert_eq!(of(odd), None);
        }
    }
}

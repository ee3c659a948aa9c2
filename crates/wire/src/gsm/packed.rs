//! Septets packed into octets, TS 23.038 §6.1.2.1: the first septet sits in the lowest bits.

/// Packs septets into octets, lowest bits first. `fill_bits` (0 to 6) zero bits come before the first
/// septet, as a user data header wants so that the text starts on a septet boundary (TS 23.040 §9.2.3.24).
pub fn pack(septets: &[u8], fill_bits: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity((septets.len() * 7 + 7).div_ceil(8));
    let mut held = 0u16;
    let mut bits = u32::from(fill_bits.min(6));
    for &septet in septets {
        held |= u16::from(septet & 0x7F) << bits;
        bits += 7;
        if bits >= 8 {
            out.push(held as u8);
            held >>= 8;
            bits -= 8;
        }
    }
    if bits > 0 {
        out.push(held as u8);
    }
    out
}

/// Unpacks at most `count` septets behind `fill_bits` (0 to 6) bits; fewer when the octets end before.
///
/// The count must come from outside: seven octets hold eight septets as well as seven and a spare one.
pub fn unpack(octets: &[u8], count: usize, fill_bits: u8) -> Vec<u8> {
    let fill = usize::from(fill_bits.min(6));
    let available = (octets.len() * 8).saturating_sub(fill) / 7;
    (0..count.min(available))
        .map(|index| {
            let bit = fill + index * 7;
            let low = u16::from(octets[bit / 8]);
            let high = u16::from(octets.get(bit / 8 + 1).copied().unwrap_or(0));
            ((low | (high << 8)) >> (bit % 8)) as u8 & 0x7F
        })
        .collect()
}

const CARRIAGE_RETURN: u8 = 0x0D;

/// Packs a text whose count of septets is not sent along, as in SMPP: seven spare bits at the end would
/// read as one more `@`, so they become a carriage return (TS 23.038 §6.1.2.3.1).
pub fn pack_text(septets: &[u8], fill_bits: u8) -> Vec<u8> {
    if (usize::from(fill_bits) + septets.len() * 7) % 8 != 1 {
        return pack(septets, fill_bits);
    }
    let mut filled = septets.to_vec();
    filled.push(CARRIAGE_RETURN);
    pack(&filled, fill_bits)
}

/// The counterpart of [`pack_text`]: a carriage return that ends on the octet boundary is the filler. A
/// text's own one there is lost, which nobody sees.
pub fn unpack_text(octets: &[u8], fill_bits: u8) -> Vec<u8> {
    let mut septets = unpack(octets, usize::MAX, fill_bits);
    let bits = (usize::from(fill_bits) + septets.len() * 7) % 8;
    if bits == 0 && septets.last() == Some(&CARRIAGE_RETURN) {
        septets.pop();
    }
    septets
}

//! What a carrier checks in a submission, and what it writes into a receipt.

use swingbridge_domain::clock::Timestamp;
use swingbridge_wire::receipts::{LocalTime, MessageState, Receipt};
use swingbridge_wire::segments;
use swingbridge_wire::smpp::{CommandStatus, Sm, esm_class, tag};
use swingbridge_wire::text::{self, Alphabet, encode_utf16};

use super::config::{Config, ReceiptForm};
use super::ledger::Submission;
use super::phones::key;

/// Why a carrier would refuse a submission whatever the weather.
pub(super) fn refusal(sm: &Sm, config: &Config) -> Option<CommandStatus> {
    let octets = &sm.short_message;
    if key(&sm.destination.addr.text()).is_empty() {
        return Some(CommandStatus::RINVDSTADR);
    }
    if !octets.is_empty() && sm.tlvs.message_payload().is_some() {
        return Some(CommandStatus::RTLVNOTALLWD);
    }
    let header = match octets.first() {
        Some(&length) if sm.esm_class & esm_class::UDHI != 0 => usize::from(length) + 1,
        _ => 0,
    };
    let Some(body) = octets.len().checked_sub(header) else {
        return Some(CommandStatus::RINVESMCLASS);
    };
    let on_air = match text::classify(sm.data_coding, config.coding).alphabet {
        Alphabet::Gsm => header + (body * 7).div_ceil(8),
        _ => octets.len(),
    };
    (on_air > 140).then_some(CommandStatus::RINVMSGLEN)
}

pub(super) fn is_last_part(sm: &Sm) -> bool {
    let has_header = sm.esm_class & esm_class::UDHI != 0;
    let (header, _) = segments::read(sm.payload(), has_header, Alphabet::Binary);
    match (
        header.concatenation(),
        sm.tlvs.sar_total_segments(),
        sm.tlvs.sar_segment_seqnum(),
    ) {
        (Some(part), ..) => part.index == part.total,
        (None, Some(total), Some(index)) => index == total,
        _ => true,
    }
}

pub(super) fn receipt(config: &Config, submission: &Submission, fate: MessageState) -> Sm {
    let id = config.receipts.ids.write(config.first_id + submission.number - 1);
    let (submitted, done) = (local(submission.at), local(submission.at + config.receipts.delay));
    let delivered = fate == MessageState::Delivered;
    let text = Receipt {
        id: Some(id.clone()),
        state: Some(fate),
        error: Some(if delivered { "000" } else { "001" }.to_owned()),
        submitted: Some(1),
        delivered: Some(u32::from(delivered)),
        submit_date: Some(submitted),
        done_date: Some(done),
        text: Some(String::new()),
    }
    .to_text();
    let form = config.receipts.form;
    let mut sm = Sm {
        source: submission.sm.destination.clone(),
        destination: submission.sm.source.clone(),
        esm_class: esm_class::RECEIPT,
        short_message: match form {
            ReceiptForm::Tlvs => Vec::new(),
            ReceiptForm::WrongEncoding => encode_utf16(&text),
            ReceiptForm::Both | ReceiptForm::Text => text.into_bytes(),
        }
        .into(),
        ..Sm::default()
    };
    if matches!(form, ReceiptForm::Both | ReceiptForm::Tlvs) {
        sm.tlvs.push(tag::RECEIPTED_MESSAGE_ID, id + "\0");
        sm.tlvs.push(tag::MESSAGE_STATE, [fate.code()]);
    }
    sm
}

/// The calendar time in UTC, which the lab takes for its local time.
fn local(at: Timestamp) -> LocalTime {
    let seconds = at.millis().div_euclid(1000);
    let (days, second_of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Years begin in March here, so that the leap day is the last of one.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    LocalTime {
        year: (year_of_era + era * 400 + i64::from(month <= 2)) as u16,
        month: month as u8,
        day: (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u8,
        hour: (second_of_day / 3600) as u8,
        minute: (second_of_day / 60 % 60) as u8,
        second: (second_of_day % 60) as u8,
    }
}

#[cfg(test)]
mod tests {
    use super::super::phones::on_wire;
    use super::*;

    #[test]
    fn receipts_carry_the_right_date() {
        let time = |year, month, day, hour, minute, second| LocalTime {
            year,
            month,
            day,
            hour,
            minute,
            second,
        };
        // As `date -u -d @…` gives them.
        assert_eq!(local(Timestamp(0)), time(1970, 1, 1, 0, 0, 0));
        assert_eq!(local(Timestamp(951_782_400_000)), time(2000, 2, 29, 0, 0, 0));
        assert_eq!(
            local(Timestamp(1_795_462_226_123)),
            time(2026, 11, 23, 19, 30, 26)
        );
    }

    #[test]
    fn messages_that_no_network_carries_are_refused() {
        let config = Config::default();
        let sm = |octets: usize, data_coding| Sm {
            destination: on_wire("447700900456"),
            data_coding,
            short_message: vec![b'a'; octets].into(),
            ..Sm::default()
        };
        assert_eq!(refusal(&sm(160, 0), &config), None);
        assert_eq!(refusal(&sm(161, 0), &config), Some(CommandStatus::RINVMSGLEN));
        assert_eq!(refusal(&sm(140, 8), &config), None);
        assert_eq!(refusal(&sm(142, 8), &config), Some(CommandStatus::RINVMSGLEN));
        assert_eq!(refusal(&Sm::default(), &config), Some(CommandStatus::RINVDSTADR));
        let mut both = sm(5, 0);
        both.tlvs.push(tag::MESSAGE_PAYLOAD, "text");
        assert_eq!(refusal(&both, &config), Some(CommandStatus::RTLVNOTALLWD));
    }
}

//! What a status means for the message that got it.

use swingbridge_domain::delivery::Reason;
use swingbridge_wire::smpp::CommandStatus;

/// What to do with a submit after its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The SMSC has it.
    Accepted,
    /// The SMSC wants fewer: later, and it does not count as a try.
    Throttled,
    /// It may succeed later, for a few tries.
    Transient,
    /// The account is not bound as it should be: later, on another connection.
    NotBound,
    /// It would fail again.
    Refused(Reason),
}

/// Reads a status. `transient` lists codes, mostly the vendor's, after which a retry may help.
pub fn verdict(status: CommandStatus, transient: &[u32]) -> Verdict {
    use CommandStatus as Status;
    match status {
        Status::ROK => Verdict::Accepted,
        Status::RTHROTTLED | Status::RMSGQFUL => Verdict::Throttled,
        Status::RINVBNDSTS => Verdict::NotBound,
        Status::RSYSERR | Status::RX_T_APPN | Status::RSERTYPUNAVAIL => Verdict::Transient,
        _ if transient.contains(&status.0) => Verdict::Transient,
        Status::RINVDSTADR
        | Status::RINVDSTTON
        | Status::RINVDSTNPI
        | Status::RINVNUMDESTS
        | Status::RINVDLNAME
        | Status::RINVDESTFLAG
        | Status::RINVDSTADDRSUBUNIT => Verdict::Refused(Reason::BadAddress),
        Status::RINVMSGLEN | Status::RINVDCS | Status::RINVESMCLASS => Verdict::Refused(Reason::BadContent),
        Status::RINVEXPIRY => Verdict::Refused(Reason::Expired),
        Status::RINVSRCADR
        | Status::RINVSRCTON
        | Status::RINVSRCNPI
        | Status::RINVSERTYP
        | Status::RINVSYSTYP
        | Status::RSERTYPUNAUTH
        | Status::RSERTYPDENIED
        | Status::RPROHIBITED => Verdict::Refused(Reason::NotAllowed),
        _ => Verdict::Refused(Reason::NetworkRefused),
    }
}

/// What an operator can do about a refused bind.
pub fn cure(status: CommandStatus) -> &'static str {
    match status {
        CommandStatus::RINVPASWD => "check the password",
        CommandStatus::RINVSYSID => "check the system_id",
        CommandStatus::RALYBND => {
            "end the other program that uses the account, or ask the provider for more binds"
        }
        CommandStatus::RINVSYSTYP => "check the system_type",
        _ => {
            "check system_id, password and bind mode, and whether the provider allows this machine's address"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_told_apart_by_what_to_do() {
        for (code, expected) in [
            (0x00, Verdict::Accepted),
            (0x58, Verdict::Throttled),
            (0x14, Verdict::Throttled),
            (0x08, Verdict::Transient),
            (0x04, Verdict::NotBound),
            (0x0B, Verdict::Refused(Reason::BadAddress)),
            (0x0A, Verdict::Refused(Reason::NotAllowed)),
            (0x01, Verdict::Refused(Reason::BadContent)),
            (0x45, Verdict::Refused(Reason::NetworkRefused)),
            (0x404, Verdict::Refused(Reason::NetworkRefused)),
            (0x417, Verdict::Transient),
        ] {
            assert_eq!(verdict(CommandStatus(code), &[0x417]), expected, "{code:#x}");
        }
    }
}

use std::fmt;

/// `command_status` of a PDU's header: any value a peer may send; the known ones have names and sentences.
///
/// Specification: SMPP 3.4 §5.1.3, SMPP 5.0 §4.7.6.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct CommandStatus(pub u32);

macro_rules! statuses {
    ($($name:ident = $code:literal, $sentence:literal;)*) => {
        impl CommandStatus {
            $(#[doc = $sentence] pub const $name: CommandStatus = CommandStatus($code);)*

            /// The specification's name after `ESME_`, such as `RTHROTTLED`; none for unknown and vendor codes.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some(stringify!($name)),)*
                    _ => None,
                }
            }

            /// What the code says, in one short plain sentence.
            pub const fn sentence(self) -> &'static str {
                match self.0 {
                    $($code => $sentence,)*
                    0x400..=0x4FF => "The SMSC gave an error code of its vendor.",
                    _ => "The SMSC gave an unknown error code.",
                }
            }

            #[cfg(test)]
            pub(crate) const KNOWN: &[CommandStatus] = &[$(CommandStatus($code)),*];
        }
    };
}

// A macro, so that name, code and sentence cannot drift apart over three tables.
statuses! {
    ROK = 0x00, "No error.";
    RINVMSGLEN = 0x01, "The message is too long.";
    RINVCMDLEN = 0x02, "The command has a wrong length.";
    RINVCMDID = 0x03, "The command is not known.";
    RINVBNDSTS = 0x04, "The bind does not allow this command now.";
    RALYBND = 0x05, "The account is already bound.";
    RINVPRTFLG = 0x06, "The priority flag is wrong.";
    RINVREGDLVFLG = 0x07, "The request for a receipt is wrong.";
    RSYSERR = 0x08, "The SMSC has a system error.";
    RINVSRCADR = 0x0A, "The sender's address is not valid.";
    RINVDSTADR = 0x0B, "The recipient's address is not valid.";
    RINVMSGID = 0x0C, "The message id is not valid.";
    RBINDFAIL = 0x0D, "The bind failed.";
    RINVPASWD = 0x0E, "The password is wrong.";
    RINVSYSID = 0x0F, "The system id is wrong.";
    RCANCELFAIL = 0x11, "The message could not be cancelled.";
    RREPLACEFAIL = 0x13, "The message could not be replaced.";
    RMSGQFUL = 0x14, "The SMSC's message queue is full.";
    RINVSERTYP = 0x15, "The service type is not valid.";
    RINVNUMDESTS = 0x33, "The number of destinations is not valid.";
    RINVDLNAME = 0x34, "The distribution list is not valid.";
    RINVDESTFLAG = 0x40, "The destination flag is not valid.";
    RINVSUBREP = 0x42, "Submit with replace is not valid here.";
    RINVESMCLASS = 0x43, "The message class field is not valid.";
    RCNTSUBDL = 0x44, "The SMSC cannot submit to a distribution list.";
    RSUBMITFAIL = 0x45, "The SMSC refused the message.";
    RINVSRCTON = 0x48, "The sender's type of number is not valid.";
    RINVSRCNPI = 0x49, "The sender's numbering plan is not valid.";
    RINVDSTTON = 0x50, "The recipient's type of number is not valid.";
    RINVDSTNPI = 0x51, "The recipient's numbering plan is not valid.";
    RINVSYSTYP = 0x53, "The system type is not valid.";
    RINVREPFLAG = 0x54, "The replace flag is not valid.";
    RINVNUMMSGS = 0x55, "The number of messages is not valid.";
    RTHROTTLED = 0x58, "More messages were sent than the SMSC allows.";
    RINVSCHED = 0x61, "The scheduled time is not valid.";
    RINVEXPIRY = 0x62, "The validity period is not valid.";
    RINVDFTMSGID = 0x63, "The predefined message is not known.";
    RX_T_APPN = 0x64, "The receiver cannot take the message now.";
    RX_P_APPN = 0x65, "The receiver refuses the message for good.";
    RX_R_APPN = 0x66, "The receiver rejects the message.";
    RQUERYFAIL = 0x67, "The query failed.";
    RINVTLVSTREAM = 0xC0, "The optional part of the command is not valid.";
    RTLVNOTALLWD = 0xC1, "An optional parameter is not allowed here.";
    RINVTLVLEN = 0xC2, "An optional parameter has a wrong length.";
    RMISSINGTLV = 0xC3, "An expected optional parameter is missing.";
    RINVTLVVAL = 0xC4, "An optional parameter has a wrong value.";
    RDELIVERYFAILURE = 0xFE, "The message could not be delivered.";
    RUNKNOWNERR = 0xFF, "The SMSC gave no cause.";
    RSERTYPUNAUTH = 0x100, "The account may not use this service type.";
    RPROHIBITED = 0x101, "The account may not do this.";
    RSERTYPUNAVAIL = 0x102, "The service type is not available now.";
    RSERTYPDENIED = 0x103, "The service type is denied.";
    RINVDCS = 0x104, "The data coding is not valid.";
    RINVSRCADDRSUBUNIT = 0x105, "The sender's subunit is not valid.";
    RINVDSTADDRSUBUNIT = 0x106, "The recipient's subunit is not valid.";
    RINVBCASTFREQINT = 0x107, "The broadcast's interval is not valid.";
    RINVBCASTALIAS_NAME = 0x108, "The broadcast's alias is not valid.";
    RINVBCASTAREAFMT = 0x109, "The broadcast's area format is not valid.";
    RINVNUMBCAST_AREAS = 0x10A, "The number of broadcast areas is not valid.";
    RINVBCASTCNTTYPE = 0x10B, "The broadcast's content type is not valid.";
    RINVBCASTMSGCLASS = 0x10C, "The broadcast's message class is not valid.";
    RBCASTFAIL = 0x10D, "The broadcast failed.";
    RBCASTQUERYFAIL = 0x10E, "The query of the broadcast failed.";
    RBCASTCANCELFAIL = 0x10F, "The broadcast could not be cancelled.";
    RINVBCAST_REP = 0x110, "The broadcast's repetitions are not valid.";
    RINVBCASTSRVGRP = 0x111, "The broadcast's service group is not valid.";
    RINVBCASTCHANIND = 0x112, "The broadcast's channel is not valid.";
}

impl CommandStatus {
    /// Whether the code is `ESME_ROK`.
    pub const fn is_ok(self) -> bool {
        self.0 == 0
    }
}

impl From<u32> for CommandStatus {
    fn from(code: u32) -> CommandStatus {
        CommandStatus(code)
    }
}

/// `RTHROTTLED (0x58)`, or `0x400` for a code without a name.
impl fmt::Display for CommandStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({:#04x})", self.0),
            None => write!(f, "{:#04x}", self.0),
        }
    }
}

impl fmt::Debug for CommandStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

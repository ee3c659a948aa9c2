package Control;
# The line to the test that has started us: JSON, one object to a line, both ways. When it ends, so do we.
use strict;
use warnings;
use Encode qw(decode);
use Encode::GSM0338;
use IO::Socket::INET;
use JSON::PP;

my $json = JSON::PP->new->utf8->canonical;

sub new {
    my ($class, $port) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die "no test: $!";
    return bless { socket => $socket, rest => '' }, $class;
}

sub socket { $_[0]{socket} }

sub tell {
    my ($self, %event) = @_;
    syswrite $self->{socket}, $json->encode(\%event) . "\n";
}

# The commands that have come. Call it when the socket is readable.
sub commands {
    my ($self) = @_;
    my $read = sysread $self->{socket}, $self->{rest}, 65536, length $self->{rest};
    exit 0 unless $read;
    my @commands;
    push @commands, $json->decode($1) while $self->{rest} =~ s/^(.*)\n//;
    return @commands;
}

# What the test is told of a submit_sm or deliver_sm.
sub describe {
    my ($pdu) = @_;
    my $payload = !length($pdu->{short_message}) && defined $pdu->{message_payload};
    my $octets = $payload ? $pdu->{message_payload} : $pdu->{short_message};
    my $body = $pdu->{esm_class} & 0x40 ? substr($octets, 1 + ord $octets) : $octets;
    my $encoding = { 0 => 'gsm0338', 3 => 'iso-8859-1', 8 => 'UTF-16BE' }->{ $pdu->{data_coding} };
    my %optional;
    for my $name (qw(receipted_message_id user_message_reference)) {
        ($optional{$name} = $pdu->{$name}) =~ s/\0.*// if defined $pdu->{$name};
    }
    for my $name (qw(message_state sar_total_segments sar_segment_seqnum)) {
        $optional{$name} = unpack 'C', $pdu->{$name} if defined $pdu->{$name};
    }
    $optional{sar_msg_ref_num} = unpack 'n', $pdu->{sar_msg_ref_num} if defined $pdu->{sar_msg_ref_num};
    return (
        source          => $pdu->{source_addr},      source_ton      => $pdu->{source_addr_ton},
        source_npi      => $pdu->{source_addr_npi},  destination     => $pdu->{destination_addr},
        destination_ton => $pdu->{dest_addr_ton},    destination_npi => $pdu->{dest_addr_npi},
        esm_class       => $pdu->{esm_class},        data_coding     => $pdu->{data_coding},
        registered_delivery => $pdu->{registered_delivery}, validity_period => $pdu->{validity_period},
        payload         => $payload ? JSON::PP::true : JSON::PP::false,
        hex             => unpack('H*', $octets),
        text            => defined $encoding ? decode($encoding, $body) : undef,
        optional        => \%optional,
    );
}

# The fields of a submit_sm or deliver_sm, from a command.
sub message {
    my ($command) = @_;
    my %optional = %{ $command->{optional} // {} };
    $optional{receipted_message_id} .= "\0" if defined $optional{receipted_message_id};
    $optional{message_state} = pack 'C', $optional{message_state} if defined $optional{message_state};
    return (
        source_addr      => $command->{source}, source_addr_ton => $command->{source_ton} // 1,
        source_addr_npi  => $command->{source_npi} // 1,
        destination_addr => $command->{destination}, dest_addr_ton => 1, dest_addr_npi => 1,
        esm_class        => $command->{esm_class} // 0, data_coding => $command->{data_coding} // 0,
        registered_delivery => $command->{registered_delivery} // 0,
        short_message    => pack('H*', $command->{hex}),
        %optional,
    );
}

1;

#!/usr/bin/perl
# An SMSC on Net::SMPP: perl smsc.pl CONTROL_PORT
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Control;
use IO::Select;
use Net::SMPP;

my $control = Control->new($ARGV[0]);
my $listener = Net::SMPP->new_listen('127.0.0.1', port => 0, smpp_version => 0x34, async => 1,
    system_id => 'perl') or die "cannot listen: $!";
my $select = IO::Select->new($control->socket, $listener);
my (%receives, %number_of, @due);
my ($id, $form, %refusals) = (0, 'text', status => 0, times => 0);

sub receiver {
    my ($last) = grep { $receives{ fileno $_ } } reverse grep { $_ != $control->socket && $_ != $listener } $select->handles;
    return $last;
}

sub deliver {
    my ($number, @fields) = @_;
    my $session = receiver() or return;
    my $sequence = $session->deliver_sm(async => 1, @fields);
    $number_of{$sequence} = $number;
}

sub receipt {
    my ($pdu, $message_id) = @_;
    my $text = "id:$message_id sub:001 dlvrd:001 submit date:2611231200 done date:2611231201 stat:DELIVRD err:000 text:";
    deliver(-1,
        source_addr => $pdu->{destination_addr}, source_addr_ton => $pdu->{dest_addr_ton}, source_addr_npi => $pdu->{dest_addr_npi},
        destination_addr => $pdu->{source_addr}, dest_addr_ton => $pdu->{source_addr_ton}, dest_addr_npi => $pdu->{source_addr_npi},
        esm_class => 4, data_coding => 0, short_message => $form eq 'text' ? $text : '',
        $form eq 'tlv' ? (receipted_message_id => "$message_id\0", message_state => "\2") : ());
}

my %commands = (
    deliver  => sub { deliver($_[0]{number}, Control::message($_[0])) },
    receipts => sub { $form = $_[0]{form} },
    refuse   => sub { %refusals = (status => $_[0]{status}, times => $_[0]{times}) },
    drop     => sub { closed($_) for grep { $_ != $control->socket && $_ != $listener } $select->handles },
    enquire  => sub { my $session = receiver(); $session->enquire_link(async => 1) if $session },
    unbind   => sub { my $session = receiver(); $session->unbind(async => 1) if $session },
);

sub closed {
    my ($session) = @_;
    delete $receives{ fileno $session };
    $select->remove($session);
    close $session;
    $control->tell(event => 'closed');
}

sub bind_resp {
    my ($session, $pdu, $kind) = @_;
    my $right = $pdu->{system_id} eq 'swingbridge' && $pdu->{password} eq 'secret';
    $receives{ fileno $session } = $right && $kind ne 'bind_transmitter';
    my $method = "${kind}_resp";
    $session->$method(seq => $pdu->{seq}, status => $right ? 0 : 0x0E, system_id => 'perl');
    $control->tell(event => 'bound', kind => $kind, right => $right ? JSON::PP::true : JSON::PP::false,
        interface_version => $pdu->{interface_version});
}

sub handle {
    my ($session, $pdu) = @_;
    my $command = $pdu->explain_cmd;
    if ($command =~ /^bind_\w+$/ && $command !~ /_resp$/) {
        bind_resp($session, $pdu, $command);
    } elsif ($command eq 'submit_sm') {
        if ($refusals{times} > 0) {
            $refusals{times}--;
            $session->submit_sm_resp(seq => $pdu->{seq}, status => $refusals{status}, message_id => '');
            return $control->tell(event => 'refused', status => $refusals{status});
        }
        my $message_id = sprintf '%010d', ++$id;
        $session->submit_sm_resp(seq => $pdu->{seq}, message_id => $message_id);
        $control->tell(event => 'submitted', id => $message_id, Control::describe($pdu));
        push @due, [$pdu, $message_id] if $pdu->{registered_delivery} & 1 && $form ne 'none';
    } elsif ($command eq 'deliver_sm_resp') {
        my $number = delete $number_of{ $pdu->{seq} };
        $control->tell(event => 'answered', number => $number // -2, status => $pdu->{status});
    } elsif ($command eq 'enquire_link') {
        $session->enquire_link_resp(seq => $pdu->{seq});
        $control->tell(event => 'enquire_link');
    } elsif ($command eq 'enquire_link_resp') {
        $control->tell(event => 'enquired');
    } elsif ($command eq 'unbind') {
        $session->unbind_resp(seq => $pdu->{seq});
        $control->tell(event => 'unbind');
    } elsif ($command eq 'unbind_resp') {
        $control->tell(event => 'unbound');
    }
}

$control->tell(event => 'listening', port => $listener->sockport);
while (1) {
    for my $ready ($select->can_read(@due ? 0.02 : undef)) {
        if ($ready == $control->socket) {
            $commands{ $_->{do} }->($_) for $control->commands;
        } elsif ($ready == $listener) {
            $select->add($listener->accept);
        } elsif (my $pdu = $ready->read_pdu) {
            handle($ready, $pdu);
        } else {
            closed($ready);
        }
    }
    receipt(@{ shift @due }) while @due;
}

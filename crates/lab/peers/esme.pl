#!/usr/bin/perl
# An ESME on Net::SMPP: perl esme.pl CONTROL_PORT
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Control;
use IO::Select;
use Net::SMPP;

my $control = Control->new($ARGV[0]);
my $select = IO::Select->new($control->socket);
my ($session, %number_of);

my %commands = (
    bind => sub {
        my ($command) = @_;
        $session = Net::SMPP->new_connect('127.0.0.1', port => $command->{port}, smpp_version => 0x34, async => 1,
            system_id => $command->{system_id}, password => $command->{password}) or die "cannot connect: $!";
        $select->add($session);
        my $method = "bind_$command->{mode}";
        $session->$method(async => 1);
    },
    submit => sub {
        my ($command) = @_;
        $number_of{ $session->submit_sm(async => 1, Control::message($command)) } = $command->{number};
    },
    enquire => sub { $session->enquire_link(async => 1) },
    unbind  => sub { $session->unbind(async => 1) },
);

sub handle {
    my ($pdu) = @_;
    my $command = $pdu->explain_cmd;
    if ($command =~ /^bind_\w+_resp$/) {
        my $version = $pdu->{sc_interface_version};
        $control->tell(event => 'bound', status => $pdu->{status}, version => defined $version ? unpack('C', $version) : undef);
    } elsif ($command eq 'submit_sm_resp') {
        my $number = delete $number_of{ $pdu->{seq} };
        $control->tell(event => 'submitted', number => $number, status => $pdu->{status}, id => $pdu->{message_id});
    } elsif ($command eq 'deliver_sm') {
        $control->tell(event => 'delivered', Control::describe($pdu));
        $session->deliver_sm_resp(seq => $pdu->{seq}, message_id => '');
    } elsif ($command eq 'enquire_link') {
        $session->enquire_link_resp(seq => $pdu->{seq});
    } elsif ($command eq 'enquire_link_resp') {
        $control->tell(event => 'enquired', status => $pdu->{status});
    } elsif ($command eq 'unbind_resp') {
        $control->tell(event => 'unbound', status => $pdu->{status});
    }
}

$control->tell(event => 'ready');
while (1) {
    for my $ready ($select->can_read) {
        if ($ready == $control->socket) {
            $commands{ $_->{do} }->($_) for $control->commands;
        } elsif (my $pdu = $ready->read_pdu) {
            handle($pdu);
        } else {
            $select->remove($ready);
            $control->tell(event => 'closed');
        }
    }
}

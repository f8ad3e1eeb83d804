# Files that nginx's main process reads as root, and that its workers have to read again when they change:
# llm_auth_client_keys, and secrets in files.

use strict;
use warnings;

use Test::LLM 'no_plan';
use Test::LLM::Ctl;

if ($> != 0 || !defined getpwnam 'nobody' || !defined getgrnam 'nogroup') {
    Test::More::plan(skip_all => 'only root can give workers a user of their own');
}

our $gid = getgrnam 'nogroup';

# A key file and a secret in folders that everybody may enter, and both for root alone.
sub closed_files {
    my ($t) = @_;
    let_in($t->root);
    put_keys($t, 'keys', key_line('one', 'sk-client-SECRET-1', org => 'acme'));
    $t->write_file('secret', "sk-first-SECRET-1\n");
    chmod 0600, map { $t->root . "/$_" } qw(keys secret);
}

# Everybody may pass the folders on the way.
sub let_in {
    my ($folder) = @_;
    while ($folder =~ s{/[^/]+/?\z}{} && $folder ne '') {
        my $mode = (stat $folder)[2] & 07777;
        chmod $mode | 0011, $folder if !($mode & 1);
    }
    chmod 0711, $_[0];
}

sub share {
    my ($t, @names) = @_;
    for (@names) {
        chown -1, $gid, $t->root . "/$_" or die "chown $_: $!\n";
        chmod 0640, $t->root . "/$_";
    }
}

sub now_gets {
    my ($t) = @_;
    return $t->request("POST /v1/chat/completions\n" . '{"model":"m"}',
        'Authorization: Bearer one.sk-client-SECRET-1')->{status};
}

run_tests();

__DATA__

=== files that only root can read are told of when the configuration is tested
--- init: main::closed_files($t)
--- nginx_conf
%%load_module%%
user nobody nogroup;
error_log logs/error.log warn;
events {}
http {
    upstream one { server %%first%%; }
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first file:secret;
    server {
        listen 127.0.0.1:%%port%%;
        location /v1/ { llm_proxy; llm_auth; llm_auth_client_keys keys; proxy_pass http://$llm_provider_upstream; }
    }
}
--- must_warn
the workers' user "nobody" cannot read "%%root%%/keys" (Permission denied (os error 13)): keys that are issued, suspended or revoked there would take effect at a reload only; run chgrp
the workers' user "nobody" cannot read "%%root%%/secret" (Permission denied (os error 13)): a secret that is changed there would take effect at a reload only; run chgrp

=== a folder above that is closed is told of as such
--- init
main::closed_files($t);
main::share($t, qw(keys secret));
chmod 0700, $t->root;
--- nginx_conf
%%load_module%%
user nobody nogroup;
error_log logs/error.log warn;
events {}
http {
    upstream one { server %%first%%; }
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first file:secret;
    server {
        listen 127.0.0.1:%%port%%;
        location /v1/ { llm_proxy; llm_auth; llm_auth_client_keys keys; proxy_pass http://$llm_provider_upstream; }
    }
}
--- must_warn
cannot read "%%root%%/keys" (Permission denied (os error 13)): keys that are issued, suspended or revoked there would take effect at a reload only; open the folders above it

=== files that the workers' group may read are no matter
--- init
main::closed_files($t);
main::share($t, qw(keys secret));
--- nginx_conf
%%load_module%%
user nobody nogroup;
error_log logs/error.log warn;
events {}
http {
    upstream one { server %%first%%; }
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first file:secret;
    server {
        listen 127.0.0.1:%%port%%;
        location /v1/ { llm_proxy; llm_auth; llm_auth_client_keys keys; proxy_pass http://$llm_provider_upstream; }
    }
}
--- must_load

=== a change that workers could not read takes effect once they may, and is told of until then
--- init: main::closed_files($t)
--- nginx_conf
%%load_module%%
user nobody nogroup;
error_log logs/error.log warn;
events {}
http {
    upstream one { server %%first%%; }
    access_log logs/access.log;
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first file:secret;
    server {
        listen 127.0.0.1:%%port%%;
        location /v1/ { llm_proxy; llm_auth; llm_auth_client_keys keys; proxy_pass http://$llm_provider_upstream; }
    }
}
--- after
like($t->error_log, qr/the workers' user "nobody" cannot read "\S+keys"/, 'told at the start');
my $told = qr/\[warn\] \d+#\d+: llm: cannot use "\S+keys" of "llm_auth_client_keys": Permission denied/;
ok((wait_until { $t->error_log =~ $told } 5), 'and by the worker');
is(main::now_gets($t), 200, 'what root has read is in use');
put_keys($t, 'keys', key_line('one', 'sk-client-SECRET-1', org => 'acme', state => 'suspended'));
ok((wait_until { (() = $t->error_log =~ /$told/g) == 2 } 5), 'the worker tells that it cannot read the change');
is(main::now_gets($t), 200, 'which has no effect');
# The file's time, size and place stay as they are.
main::share($t, 'keys');
ok((wait_until { main::now_gets($t) == 403 } 5), 'until the file is the group\'s');

=== a file in a folder that is closed is told of once, and read when the folder opens
--- init
main::closed_files($t);
main::share($t, qw(keys secret));
mkdir $t->root . '/inner';
rename $t->root . '/keys', $t->root . '/inner/keys';
chmod 0700, $t->root . '/inner';
--- nginx_conf
%%load_module%%
user nobody nogroup;
error_log logs/error.log warn;
events {}
http {
    upstream one { server %%first%%; }
    access_log logs/access.log;
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first file:secret;
    server {
        listen 127.0.0.1:%%port%%;
        location /v1/ { llm_proxy; llm_auth; llm_auth_client_keys inner/keys; proxy_pass http://$llm_provider_upstream; }
    }
}
--- after
my $told = qr/\[warn\] \d+#\d+: llm: cannot use "\S+keys" of "llm_auth_client_keys": Permission denied/;
ok((wait_until { $t->error_log =~ $told } 5), 'a worker that never saw the file tells of it');
is(main::now_gets($t), 200, 'what root has read is in use');
put_keys($t, 'inner/keys', key_line('one', 'sk-client-SECRET-1', org => 'acme', state => 'suspended'));
main::share($t, 'inner/keys');
select undef, undef, undef, 0.8;
is(scalar(() = $t->error_log =~ /$told/g), 1, 'once');
chmod 0711, $t->root . '/inner';
ok((wait_until { main::now_gets($t) == 403 } 5), 'the folder is open');

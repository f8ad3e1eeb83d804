# llm_auth_credential: where a secret comes from, what a key is called, and every way to write the
# line wrong. No message may show a secret. Pools have a file of their own.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== a literal has a number for its name, counted for each provider
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    upstream three { server %%third%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_route third three;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    llm_proxy_model_pattern c third;
    llm_auth_credential first sk-first-SECRET-1;
    llm_auth_credential second "sk-second-SECRET-2";
    llm_auth_credential third sk-third-SECRET-3 id=spare;
    llm_auth_credential third sk-third-SECRET-4 weight=4000000000;
    location /v1/ {
        llm_proxy;
        llm_auth;
        add_header X-Key "$llm_auth_key_source $llm_auth_credential";
        proxy_pass http://$llm_provider_upstream;
    }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"b"}
>>>
POST /v1/chat/completions
{"model":"c"}
--- response_headers
x-key: literal literal#1
>>>
x-key: literal literal#1
>>>
x-key: literal literal#1
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-first-SECRET-1
--- provider_second_got
POST /v1/chat/completions
Authorization: Bearer sk-second-SECRET-2
--- provider_third_got
POST /v1/chat/completions
Authorization: Bearer sk-third-SECRET-4

=== a literal may have a name, in either spelling, and colons in the secret
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    llm_auth_credential first literal-id:main-key:sk-first-SECRET-1:2:3;
    llm_auth_credential second sk-second-SECRET-2 id=team@home/2.1_b;
    location /v1/ {
        llm_proxy;
        llm_auth;
        add_header X-Key "$llm_auth_key_source $llm_auth_credential";
        proxy_pass http://$llm_provider_upstream;
    }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"b"}
--- response_headers
x-key: literal main-key
>>>
x-key: literal team@home/2.1_b
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-first-SECRET-1:2:3
--- provider_second_got
POST /v1/chat/completions
Authorization: Bearer sk-second-SECRET-2

=== an environment variable needs no env line, and outlasts a reload and its worker
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- env
LLM_FIRST_KEY=sk-first-SECRET-1
LLM_SECOND_KEY=sk-second-SECRET-2
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    llm_auth_credential first env:LLM_FIRST_KEY;
    llm_auth_credential second env:LLM_SECOND_KEY id=named;
    location /v1/ {
        llm_proxy;
        llm_auth;
        add_header X-Key "$llm_auth_key_source $llm_auth_credential";
        proxy_pass http://$llm_provider_upstream;
    }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"b"}
>>> new connection, reload
POST /v1/chat/completions
{"model":"a"}
>>> new connection, kill worker
POST /v1/chat/completions
{"model":"a"}
--- response_headers
x-key: env env:LLM_FIRST_KEY
>>>
x-key: env named
>>>
x-key: env env:LLM_FIRST_KEY
>>>
x-key: env env:LLM_FIRST_KEY
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-first-SECRET-1
--- provider_second_got
POST /v1/chat/completions
Authorization: Bearer sk-second-SECRET-2
--- expected_alert
exited on signal 9

=== white space around a variable's value does not belong to it
--- http_config
    upstream one { server %%first%%; }
--- init
$t->nginx->{env}{LLM_FIRST_KEY} = " sk-first-SECRET-1\r\n";
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first env:LLM_FIRST_KEY;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"a"}
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-first-SECRET-1

=== a file's path is relative to the configuration, and white space around the secret does not count
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    upstream three { server %%third%%; }
--- init
$t->write_file('keys/first', "sk-first-SECRET-1\n");
$t->write_file('keys/second', "\xef\xbb\xbf \tsk-second-SECRET-2\r\n\r\n");
$t->write_file('third', 'sk-third-SECRET-3');
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_route third three;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    llm_proxy_model_pattern c third;
    llm_auth_credential first file:keys/first;
    llm_auth_credential second file:%%root%%/keys/second id=absolute;
    llm_auth_credential third file:third;
    location /v1/ {
        llm_proxy;
        llm_auth;
        add_header X-Key "$llm_auth_key_source $llm_auth_credential";
        proxy_pass http://$llm_provider_upstream;
    }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"b"}
>>>
POST /v1/chat/completions
{"model":"c"}
--- response_headers
x-key: file file:keys/first
>>>
x-key: file absolute
>>>
x-key: file file:third
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-first-SECRET-1
--- provider_second_got
POST /v1/chat/completions
Authorization: Bearer sk-second-SECRET-2
--- provider_third_got
POST /v1/chat/completions
Authorization: Bearer sk-third-SECRET-3

=== each visible character may be in a secret
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first 'sk-SECRET-!"#$%&()*+,-./:;<=>?@[\]^_`{|}~';
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"a"}
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-SECRET-!"#$%&()*+,-./:;<=>?@[\]^_`{|}~

=== lines are inherited as one list, which a block's own lines replace
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    llm_auth_credential first sk-first-SECRET-1;
    llm_auth_credential second sk-second-SECRET-2;
--- config
    llm_proxy;
    llm_auth;
    location / { proxy_pass http://$llm_provider_upstream; }
    location /own/ {
        llm_auth_credential first sk-first-SECRET-3;
        llm_auth_credential second sk-second-SECRET-4;
        proxy_pass http://$llm_provider_upstream;
    }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"b"}
>>>
POST /own/v1/chat/completions
{"model":"a"}
>>>
POST /own/v1/chat/completions
{"model":"b"}
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-first-SECRET-1

POST /v1/chat/completions
Authorization: Bearer sk-first-SECRET-3
--- provider_second_got
POST /v1/chat/completions
Authorization: Bearer sk-second-SECRET-2

POST /v1/chat/completions
Authorization: Bearer sk-second-SECRET-4

=== a location with a line for one provider has lost those of the others
--- http_config
    upstream one { server 127.0.0.1:1; }
    llm_proxy_route first one;
    llm_proxy_route second one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    llm_auth_credential second sk-second-SECRET-2;
--- config
    location / { llm_proxy; llm_auth; llm_auth_credential first sk-first-SECRET-3; }
--- must_fail
provider "second" has no credential, add llm_auth_credential second <secret> in %%root%%/nginx.conf

=== lines of an enclosing block may name providers that a location does not have
--- http_config
    upstream one { server 127.0.0.1:1; }
    llm_auth_credential first sk-first-SECRET-1;
    llm_auth_credential second sk-second-SECRET-2;
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        proxy_pass http://$llm_provider_upstream;
    }
--- must_load

=== a provider's name is that of its route
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_auth_credential first sk-first-SECRET-1;
        llm_auth_credential second sk-second-SECRET-2;
    }
--- must_fail
llm_auth_credential provider "second" is unknown, add llm_proxy_route second <upstream> in %%root%%/nginx.conf

=== a secret in the place of the provider is not shown
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_auth_credential sk-first-SECRET-1 first;
    }
--- must_fail
the arguments of an llm_auth_credential line may be in the wrong order, the provider stands before the secret and needs an llm_proxy_route in %%root%%/nginx.conf

=== nor is a long one in front of a mistake
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_auth_credential sk-first-SECRET-1234567890-1234567890 frist;
    }
--- must_fail
the arguments of an llm_auth_credential line may be in the wrong order

=== nor is a short one that looks like a key
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_auth_credential sk-first-SECRET-1 frist;
    }
--- must_fail
the arguments of an llm_auth_credential line may be in the wrong order

=== nor is one where the provider was left out
--- config
    llm_auth_credential sk-first-SECRET-1 id=main;
--- must_fail
"llm_auth_credential" needs a provider and a secret in %%root%%/nginx.conf

=== a line needs a provider and a secret
--- config
    llm_auth_credential first;
--- must_fail
invalid number of arguments in "llm_auth_credential" directive in %%root%%/nginx.conf

=== a line has no more than that, a name and a weight
--- config
    llm_auth_credential first sk-first-SECRET-1 id=a weight=1 sk-first-SECRET-2;
--- must_fail
invalid parameter behind the secret in "llm_auth_credential", it must be id= or weight= in %%root%%/nginx.conf

=== a provider has a name
--- config
    llm_auth_credential "" sk-first-SECRET-1;
--- must_fail
"llm_auth_credential" needs the name of a provider, not "" in %%root%%/nginx.conf

=== an empty secret is none
--- config
    llm_auth_credential first "";
--- must_fail
invalid secret in "llm_auth_credential", it is empty in %%root%%/nginx.conf

=== a secret is one word
--- config
    llm_auth_credential first "sk-first SECRET";
--- must_fail
invalid secret in "llm_auth_credential", it must be one word of visible ASCII characters in %%root%%/nginx.conf

=== a secret has no line break that could add a header
--- config
    llm_auth_credential first "sk-first-SECRET-1\r\nX-Evil: 1";
--- must_fail
invalid secret in "llm_auth_credential", it must be one word of visible ASCII characters in %%root%%/nginx.conf

=== a secret has ASCII characters only
--- config
    llm_auth_credential first "sk-first-SECRET-é";
--- must_fail
invalid secret in "llm_auth_credential", it must be one word of visible ASCII characters in %%root%%/nginx.conf

=== a variable of nginx is no secret
--- config
    llm_auth_credential first $http_x_sk_SECRET;
--- must_fail
a variable cannot hold the secret in "llm_auth_credential", use env:<name> or file:<path> in %%root%%/nginx.conf

=== env: needs a name
--- config
    llm_auth_credential first env:;
--- must_fail
invalid environment variable in "llm_auth_credential", use letters, digits and "_" in %%root%%/nginx.conf

=== a secret behind env: is not shown
--- config
    llm_auth_credential first env:sk-first-SECRET-1;
--- must_fail
invalid environment variable in "llm_auth_credential", use letters, digits and "_" in %%root%%/nginx.conf

=== a variable's name does not begin with a digit
--- config
    llm_auth_credential first env:1KEY;
--- must_fail
invalid environment variable in "llm_auth_credential", use letters, digits and "_" in %%root%%/nginx.conf

=== file: needs a path
--- config
    llm_auth_credential first file:;
--- must_fail
invalid path in "llm_auth_credential", write file:/path/to/secret in %%root%%/nginx.conf

=== literal-id: needs a name and a secret
--- config
    llm_auth_credential first literal-id:sk-first-SECRET-1;
--- must_fail
no id in "llm_auth_credential", write literal-id:<id>:<secret> in %%root%%/nginx.conf

=== the name in literal-id: is not empty
--- config
    llm_auth_credential first literal-id::sk-first-SECRET-1;
--- must_fail
invalid id in "llm_auth_credential", use up to 64 letters, digits, "-", "_", ".", "@" and "/" in %%root%%/nginx.conf

=== the secret in literal-id: is not empty
--- config
    llm_auth_credential first literal-id:main:;
--- must_fail
invalid secret in "llm_auth_credential", it is empty in %%root%%/nginx.conf

=== a name has letters that logs and headers can show
--- config
    llm_auth_credential first sk-first-SECRET-1 "id=my key";
--- must_fail
invalid id in "llm_auth_credential", use up to 64 letters, digits, "-", "_", ".", "@" and "/" in %%root%%/nginx.conf

=== a name is short
--- config
    llm_auth_credential first sk-first-SECRET-1 id=12345678901234567890123456789012345678901234567890123456789012345;
--- must_fail
invalid id in "llm_auth_credential", use up to 64 letters, digits, "-", "_", ".", "@" and "/" in %%root%%/nginx.conf

=== a name does not look like one that is made from a source
--- config
    llm_auth_credential first sk-first-SECRET-1 id=env:OTHER;
--- must_fail
invalid id in "llm_auth_credential", use up to 64 letters, digits, "-", "_", ".", "@" and "/" in %%root%%/nginx.conf

=== a key has one name
--- config
    llm_auth_credential first literal-id:a:sk-first-SECRET-1 id=b;
--- must_fail
duplicate id in "llm_auth_credential", a key has one in %%root%%/nginx.conf

=== a weight is a number above zero
--- config
    llm_auth_credential first sk-first-SECRET-1 weight=0;
--- must_fail
invalid weight in "llm_auth_credential", give a number such as 1 or 10 in %%root%%/nginx.conf

=== a weight is a whole number
--- config
    llm_auth_credential first sk-first-SECRET-1 weight=0.5;
--- must_fail
invalid weight in "llm_auth_credential", give a number such as 1 or 10 in %%root%%/nginx.conf

=== a key has one weight
--- config
    llm_auth_credential first sk-first-SECRET-1 weight=1 weight=2;
--- must_fail
duplicate weight in "llm_auth_credential" in %%root%%/nginx.conf

=== a second secret behind the first one is not shown
--- config
    llm_auth_credential first sk-first-SECRET-1 sk-first-SECRET-2;
--- must_fail
invalid parameter behind the secret in "llm_auth_credential", it must be id= or weight= in %%root%%/nginx.conf

=== the same secret twice is no pool
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_auth_credential first sk-first-SECRET-1 id=a;
        llm_auth_credential first sk-first-SECRET-1 id=b;
    }
--- must_fail
duplicate shared credential "b", name each key of a pool once in %%root%%/nginx.conf

=== nor is the same variable
--- http_config
    upstream one { server 127.0.0.1:1; }
--- env
LLM_KEY=sk-first-SECRET-1
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_auth_credential first env:LLM_KEY;
        llm_auth_credential first env:LLM_KEY;
    }
--- must_fail
duplicate shared credential "env:LLM_KEY", name each key of a pool once in %%root%%/nginx.conf

=== two keys of a provider do not have one name
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_auth_credential first sk-first-SECRET-1 id=a;
        llm_auth_credential first sk-first-SECRET-2 id=a;
    }
--- must_fail
duplicate shared credential "a", name each key of a pool once in %%root%%/nginx.conf

=== a variable that is not set is a start error
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_auth_credential first env:LLM_NOT_THERE;
    }
--- must_fail
the secret of shared credential "env:LLM_NOT_THERE" for provider "first" is missing: environment variable "LLM_NOT_THERE" is not set in %%root%%/nginx.conf

=== an empty variable, too
--- http_config
    upstream one { server 127.0.0.1:1; }
--- env
LLM_EMPTY=
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_auth_credential first env:LLM_EMPTY id=main;
    }
--- must_fail
the secret of shared credential "main" for provider "first" is missing: cannot use environment variable "LLM_EMPTY": it is empty in %%root%%/nginx.conf

=== a variable with two words is not shown
--- http_config
    upstream one { server 127.0.0.1:1; }
--- env
LLM_TWO=sk-first-SECRET-1 sk-first-SECRET-2
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_auth_credential first env:LLM_TWO;
    }
--- must_fail
the secret of shared credential "env:LLM_TWO" for provider "first" is missing: cannot use environment variable "LLM_TWO": it must be one word of visible ASCII characters in %%root%%/nginx.conf

=== a file that is not there is a start error
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_auth_credential first file:keys/first;
    }
--- must_fail
the secret of shared credential "file:keys/first" for provider "first" is missing: cannot read "%%root%%/keys/first": No such file or directory (os error 2) in %%root%%/nginx.conf

=== so is a folder
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_auth_credential first file:logs;
    }
--- must_fail
the secret of shared credential "file:logs" for provider "first" is missing: cannot read "%%root%%/logs": Is a directory (os error 21) in %%root%%/nginx.conf

=== so is an empty file
--- http_config
    upstream one { server 127.0.0.1:1; }
--- init
$t->write_file('empty', "\n");
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_auth_credential first file:empty;
    }
--- must_fail
the secret of shared credential "file:empty" for provider "first" is missing: cannot use "%%root%%/empty": it is empty in %%root%%/nginx.conf

=== a file with more than a secret is not shown
--- http_config
    upstream one { server 127.0.0.1:1; }
--- user_files
>>> two
sk-first-SECRET-1
sk-first-SECRET-2
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_auth_credential first file:two;
    }
--- must_fail
the secret of shared credential "file:two" for provider "first" is missing: cannot use "%%root%%/two": it must be one word of visible ASCII characters in %%root%%/nginx.conf

=== nor is one that is too large for a key
--- http_config
    upstream one { server 127.0.0.1:1; }
--- init
$t->write_file('large', 'sk-first-SECRET-1' . 'x' x 8192);
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_auth_credential first file:large;
    }
--- must_fail
the secret of shared credential "file:large" for provider "first" is missing: cannot use "%%root%%/large": it is longer than 8192 bytes in %%root%%/nginx.conf

=== without fail_closed what is missing is a warning
--- http_config
    upstream one { server 127.0.0.1:1; }
--- user_files
>>> two
sk-first-SECRET-1
sk-first-SECRET-2
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_auth_fail_closed off;
        llm_proxy_route first one;
        llm_proxy_route second one;
        llm_proxy_default_provider first;
        llm_auth_credential first env:LLM_NOT_THERE;
        llm_auth_credential first file:keys/first;
        llm_auth_credential first file:two;
    }
--- must_warn
the secret of shared credential "env:LLM_NOT_THERE" for provider "first" is missing: environment variable "LLM_NOT_THERE" is not set in %%root%%/nginx.conf
the secret of shared credential "file:keys/first" for provider "first" is missing: cannot read "%%root%%/keys/first": No such file or directory (os error 2) in %%root%%/nginx.conf
the secret of shared credential "file:two" for provider "first" is missing: cannot use "%%root%%/two": it must be one word of visible ASCII characters in %%root%%/nginx.conf
provider "second" has no credential, add llm_auth_credential second <secret> or its requests are sent without one in %%root%%/nginx.conf

=== a secret is not for an upstream block
--- http_config
    upstream one { server 127.0.0.1:1; llm_auth_credential first sk-first-SECRET-1; }
--- must_fail
"llm_auth_credential" directive is not allowed here in %%root%%/nginx.conf

# Which errors are JSON of ours and which are the operator's: error_page, return with a text, add_header.

use Test::LLM 'no_plan';

# What holds for each of them.
sub all_are_ours {
    my ($t) = @_;
    for my $answer ($t->answers) {
        my $what = "$answer->{status} $answer->{body}";
        my ($id) = $answer->{body} =~ /"request_id":"([^"]{16,})"/;
        ok($id, "it has an id: $what");
        for my $name (qw(x-llm-event-id x-request-id request-id)) {
            my @values = Test::LLM::Client::header_values($answer, $name);
            is("@values", $id // '', "$name has the same");
        }
        my @types = Test::LLM::Client::header_values($answer, 'content-type');
        is("@types", 'application/json', 'it is JSON');
        unlike($answer->{body}, qr/</, 'and no HTML');
        unlike($answer->{raw}, qr/127\.0\.0\.1/, 'it names no address');
    }
}

run_tests();

__DATA__

=== what the operator says in his own words stays
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_proxy;
    location = /words { return 403 "closed on Sundays"; }
    location = /json { default_type application/json; return 429 '{"mine":1}'; }
    location = /away { return 302 /there; }
    location / { proxy_pass http://one; }
--- requests
GET /words
>>>
GET /json
>>>
GET /away
--- error_code: 403 429 302
--- response_headers
content-type: text/plain
>>>
content-type: application/json
>>>
content-type: text/html
location: ~/there$
--- response_body_like
^closed on Sundays$
>>>
^\{"mine":1\}$
>>>
302 Found

=== a provider's own error passes as it is
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location / { llm_proxy; proxy_pass http://one; }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"a","stream":true}
>>>
POST /v1/chat/completions
{"model":"a"}
--- provider_first
429
Retry-After: 7
X-Request-Id: theirs
{"error":{"message":"slow down"}}

500 {"error":{"message":"oops"}}

503
Content-Type: text/html
<html>maintenance</html>
--- error_code: 429 500 503
--- response_headers
retry-after: 7
x-request-id: theirs
x-llm-event-id: ~.
>>>
content-type: application/json
>>>
content-type: text/html
--- response_body
{"error":{"message":"slow down"}}
>>>
{"error":{"message":"oops"}}
>>>
<html>maintenance</html>

=== headers that the operator adds always are added to errors too
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern a first;
    location /v1/ {
        llm_proxy;
        add_header X-Always "$llm_resolution_outcome" always;
        add_header X-Seldom b;
        proxy_pass http://one;
    }
--- request
POST /v1/chat/completions
{"model":"b"}
--- error_code: 404
--- response_headers
x-always: rejected_unresolvable
!x-seldom

=== pages of the server are for browsers and do not replace our errors
--- http_config
    upstream one { server %%first%%; }
    upstream down { server %%closed%%; }
--- user_files
>>> html/error.html
<html>sorry</html>
--- config
    error_page 400 404 500 502 504 /error.html;
    root %%root%%/html;
    llm_proxy_route first one;
    llm_proxy_route down down;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b down;
    llm_proxy_response_timeout 200ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /wrong/v1/ { llm_proxy; proxy_pass http://one; }
    location /plain { }
--- requests eval
qq(POST /v1/chat/completions\n{"model":"nobody"}\n>>>\nPOST /v1/chat/completions\nno JSON\n>>>\n)
    . qq(POST /v1/chat/completions\n{"model":"b"}\n>>>\nPOST /v1/chat/completions\n{"model":"a"}\n>>>\n)
    . qq(POST /wrong/v1/chat/completions\n{"model":"b"})
--- provider_first
{"fault":"hang"}
--- error_code: 404 400 502 504 500
--- response_json
{"error":{"code":"model_not_found"}}
>>>
{"error":{"code":"invalid_json"}}
>>>
{"error":{"code":"provider_unreachable"}}
>>>
{"error":{"code":"provider_timeout"}}
>>>
{"error":{"code":"internal_error"}}
--- after
main::all_are_ours($t);
like($t->request('GET /plain')->{body}, qr/sorry/, 'other locations have the page');

=== pages of the server do not replace what nginx finds before the gateway does
--- http_config
    upstream one { server %%first%%; }
--- user_files
>>> html/error.html
<html>sorry</html>
--- config
    error_page 401 413 /error.html;
    root %%root%%/html;
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_proxy_max_body_size 1k;
    location /v1/ { llm_proxy; proxy_pass http://one; }
    location /closed/v1/ { llm_proxy; if ($http_authorization = "") { return 401; } proxy_pass http://one; }
--- requests eval
my $long = 'x' x 2_000;
qq(POST /v1/chat/completions\n$long\n>>>\nPOST /closed/v1/chat/completions\n{"model":"b"})
--- error_code: 413 401
--- response_json
{"error":{"code":"request_too_large"}}
>>>
{"error":{"code":"unauthorized"}}
--- after: main::all_are_ours($t);

=== a page of the location replaces nginx's errors and ours
--- http_config
    upstream one { server %%closed%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern a first;
    location = /custom { internal; default_type application/json; return 200 '{"custom":"$status"}'; }
    location /v1/ {
        error_page 404 502 /custom;
        llm_proxy;
        proxy_pass http://one;
    }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"nobody"}
>>>
POST /v1/chat/completions
no JSON
--- error_code: 502 404 400
--- response_json
{"custom":"502"}
>>>
{"custom":"404"}
>>>
{"error":{"code":"invalid_json"}}

=== a page of the location may be another location, where the gateway is off
--- http_config
    upstream one { server %%closed%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { error_page 502 = @other; llm_proxy; proxy_pass http://one; }
    location @other { proxy_pass http://%%second%%; }
--- request
POST /v1/chat/completions
{"model":"first/a","messages":[]}
--- provider_second
200 {"from":"second"}
--- response_json
{"from":"second"}
--- provider_second_got_json
{"messages":[]}

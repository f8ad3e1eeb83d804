# The operator's own answer where every attempt has failed.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== the file answers when the whole chain has failed
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format static '$status $llm_chain';
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_static sorry.json;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- user_files
>>> sorry.json
{"choices":[{"message":{"role":"assistant","content":"Sorry."},"finish_reason":"stop"}]}
--- provider_first
{"status":500}
--- provider_second
503
X-Of-Second: yes
{"error":"second"}
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_body_like
\A\{"choices":\[\{"message":\{"role":"assistant","content":"Sorry\."\},"finish_reason":"stop"\}\]\}\n\z
--- response_headers
Content-Type: application/json
!X-Of-Second
X-LLM-Event-Id: ~^[0-9a-f]{32}$
X-LLM-Chain: ~^first/m:500:\d+ms, second/m:503:\d+ms$
X-Fallback-Attempt-Count: 2
!X-LLM-Provider
!X-LLM-Served-By
--- access_log
^200 first/m:500:\d+ms, second/m:503:\d+ms$

=== also when nobody has answered at all
--- http_config
    upstream one { server %%closed%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two response_timeout=200ms;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_static sorry.json;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- user_files
>>> sorry.json
{"sorry":true}
--- provider_second
{"fault":"hang"}
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_json
{"sorry":true}

=== also for a listed refusal that is no 5xx
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_static sorry.json;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- user_files
>>> sorry.json
{"sorry":true}
--- provider_first
{"status":429}
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_json
{"sorry":true}

=== a good answer of the chain is not replaced
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_static sorry.json;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- user_files
>>> sorry.json
{"sorry":true}
--- provider_first
{"status":500}
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_body_like: Hello from second\.

=== bad requests and refusals of the content are the client's to read
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern m first;
    llm_fallback_static sorry.json;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- user_files
>>> sorry.json
{"sorry":true}
--- provider_first
400 {"error":"bad"}

{"error":"content_policy_violation"}

401 {"error":"key"}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"unknown"}
>>>
POST /v1/chat/completions
{"model":
--- error_code: 400 400 401 404 400
--- response_body_unlike: sorry

=== a streaming client gets no JSON in the place of its stream
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_static sorry.json;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- user_files
>>> sorry.json
{"sorry":true}
--- provider_first
{"status":500}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- error_code: 500
--- response_body_like: error

=== everything benched is a failure of every attempt, too
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_static sorry.json;
    llm_fallback_mode health;
    llm_fallback_cooldown 60s fails=1;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- user_files
>>> sorry.json
{"sorry":true}
--- provider_first
{"status":500,"times":2}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- response_json
{"sorry":true}

=== a reload reads the file again
--- http_config
    upstream one { server %%closed%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_static sorry.json;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- user_files
>>> sorry.json
{"sorry":1}
--- after
is($t->request(qq(POST /v1/chat/completions\n{"model":"m"}))->{body}, qq({"sorry":1}\n), 'before');
$t->write_file('sorry.json', qq({"sorry":2}\n));
$t->reload;
is($t->request(qq(POST /v1/chat/completions\n{"model":"m"}))->{body}, qq({"sorry":2}\n), 'after');

=== it is inherited
--- http_config
    upstream one { server %%closed%%; }
    llm_fallback_static sorry.json;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /a/v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
    location /b/v1/ { llm_proxy; llm_fallback; llm_fallback_static other.json; proxy_pass http://$llm_provider_upstream; }
    location /c/v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- user_files
>>> sorry.json
{"sorry":true}
>>> other.json
{"sorry":"other"}
--- requests
POST /a/v1/chat/completions
{"model":"m"}
>>>
POST /b/v1/chat/completions
{"model":"m"}
>>>
POST /c/v1/chat/completions
{"model":"m"}
--- error_code: 200 200 502
--- response_json
{"sorry":true}
>>>
{"sorry":"other"}
>>>
{"error":{"code":"provider_unreachable"}}

=== a file that is not there
--- http_config
    upstream one { server %%closed%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_static nowhere.json;
    location / { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- must_fail
cannot read "%%root%%/nowhere.json" of "llm_fallback_static": No such file or directory (os error 2) in %%root%%/nginx.conf

=== llm_fallback_static is written once
--- config
    llm_fallback_static a.json;
    llm_fallback_static b.json;
--- must_fail
"llm_fallback_static" directive is duplicate in %%root%%/nginx.conf

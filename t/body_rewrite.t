# Which bytes of a body change, and which bodies are refused because two readers could see two
# different requests in them.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== nothing changes where nothing has to
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern a first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- requests eval
qq(POST /v1/chat/completions\n {"z" : 1 ,\t"model":\n"a"\r\n,"messages": [ { "content":"\xc3\xa9 \\u00e9 \\ud83d\\ude00 \\/ \\ud800",)
    . qq("role":"user"}],"n":1.0e+2,"big":123456789012345678901234567890.000,"neg":-0,"tiny":1E-400,)
    . qq("dup":1,"dup":2,"unknown":{"model":"b","provider":"c"},"":null,"tools":[[[]]]} \n)
    . qq(>>>\nPOST /v1/chat/completions\n{"model":"\\u0061"}\n>>>\nPOST /v1/chat/completions\n{"model":"A"})
--- provider_first
{"json":{},"times":3}
--- provider_first_got_body eval
qq( {"z" : 1 ,\t"model":\n"a"\r\n,"messages": [ { "content":"\xc3\xa9 \\u00e9 \\ud83d\\ude00 \\/ \\ud800",)
    . qq("role":"user"}],"n":1.0e+2,"big":123456789012345678901234567890.000,"neg":-0,"tiny":1E-400,)
    . qq("dup":1,"dup":2,"unknown":{"model":"b","provider":"c"},"":null,"tools":[[[]]]} \n)
    . qq(>>>\n{"model":"\\u0061"}\n>>>\n{"model":"A"})

=== of a model that is renamed only the name changes
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_proxy_model_alias a first/a-much-longer-name;
    llm_proxy_model_alias a-much-longer-name first/b;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- requests eval
qq(POST /v1/chat/completions\n{ "z":1e400,\n "model" :\t"\\u0061" , "content":"\\u0061 \\ud83d\\ude00 \xf0\x9f\x98\x80" }\n)
    . qq(>>>\nPOST /v1/chat/completions\n{"model":"a-much-longer-name","content":"a-much-longer-name"}\n)
    . qq(>>>\nPOST /v1/chat/completions\n{"messages":[{"model":"a"}],"mod\\u0065l":"a"})
--- provider_first
{"json":{},"times":3}
--- provider_first_got_body eval
qq({ "z":1e400,\n "model" :\t"a-much-longer-name" , "content":"\\u0061 \\ud83d\\ude00 \xf0\x9f\x98\x80" }\n)
    . qq(>>>\n{"model":"b","content":"a-much-longer-name"}\n)
    . qq(>>>\n{"messages":[{"model":"a"}],"mod\\u0065l":"a-much-longer-name"})

=== the field provider goes, with one comma
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- requests
POST /v1/chat/completions
{"provider":"first","model":"a","b":1}
>>>
POST /v1/chat/completions
{"model":"a" , "provider" : "first" , "b":1}
>>>
POST /v1/chat/completions
{"model":"a", "b":1, "provider":"first"}
>>>
POST /v1/chat/completions
{"pr\u006fvider":"f\u0069rst", "model":"a"}
>>>
POST /v1/chat/completions
{"model":"first/a","provider":"first","dialect":"openai","b":{"provider":"x","dialect":"y"}}
>>>
POST /v1/chat/completions
{"provider":"first","dialect":"openai","model":"a"}
>>>
POST /v1/files
{"provider":"first"}
--- provider_first
{"json":{},"times":7}
--- provider_first_got_body
{"model":"a","b":1}
>>>
{"model":"a"  , "b":1}
>>>
{"model":"a", "b":1}
>>>
{ "model":"a"}
>>>
{"model":"a","b":{"provider":"x","dialect":"y"}}
>>>
{"model":"a"}
>>>
{}

=== two models are none
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern a first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- requests
POST /v1/chat/completions
{"model":"a","model":"secret"}
>>>
POST /v1/chat/completions
{"model":"a","messages":[],"mod\u0065l":"secret"}
>>>
POST /v1/chat/completions
{"\u006d\u006F\u0064\u0065\u006c":"secret","model":"a"}
>>>
POST /v1/chat/completions
{"model":"a","model":"a"}
>>>
POST /v1/chat/completions
{"model":"a","Model":"secret"}
>>>
POST /v1/chat/completions
{"model":"a","model":null}
>>>
POST /v1/messages
{"model":"a","model":"secret"}
--- error_code: 400
--- response_json
{"error":{"code":"duplicate_key","param":"model","type":"invalid_request_error"}}
>>>
{"error":{"code":"duplicate_key"}}
>>>
{"error":{"code":"duplicate_key"}}
>>>
{"error":{"code":"duplicate_key"}}
>>>
{"error":{"code":"duplicate_key"}}
>>>
{"error":{"code":"duplicate_key"}}
>>>
{"type":"error","error":{"type":"invalid_request_error","message":"<<match:more than one \"model\">>"}}
--- provider_first_requests: 0

=== a provider is not asked to choose among other models
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- requests
POST /v1/chat/completions
{"model":"a","models":["secret"]}
>>>
POST /v1/chat/completions
{"model":"a","models":["a","b"]}
>>>
POST /v1/chat/completions
{"model\u0073":["secret"],"model":"a"}
>>>
POST /v1/chat/completions
{"model":"a","Models":"secret"}
>>>
POST /v1/chat/completions
{"model":"a","models":[],"models":["secret"]}
>>>
POST /v1/messages
{"model":"a","models":["secret"]}
--- error_code: 400
--- response_json
{"error":{"code":"unsupported_parameter","param":"models","type":"invalid_request_error","message":"<<match:Name one model in \"model\">>"}}
>>>
{"error":{"code":"unsupported_parameter"}}
>>>
{"error":{"code":"unsupported_parameter"}}
>>>
{"error":{"code":"unsupported_parameter"}}
>>>
{"error":{"code":"unsupported_parameter"}}
>>>
{"type":"error","error":{"type":"invalid_request_error","message":"<<match:Name one model in \"model\">>"}}
--- provider_first_requests: 0

=== a list that names no other model passes as it is
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern a first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- requests
POST /v1/chat/completions
{"model":"a","models":[]}
>>>
POST /v1/chat/completions
{"model":"a","models":null}
--- provider_first
{"json":{},"times":2}
--- provider_first_got_body
{"model":"a","models":[]}
>>>
{"model":"a","models":null}

=== two of any field that we act on are none
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- requests
POST /v1/chat/completions
{"model":"a","provider":"first","provider":"second"}
>>>
POST /v1/chat/completions
{"model":"a","stream":true,"stream":false}
>>>
POST /v1/chat/completions
{"model":"a","stream_options":{},"stream_options":null}
>>>
POST /v1/chat/completions
{"model":"a","dialect":"openai","di\u0061lect":"anthropic"}
--- error_code: 400
--- response_json
{"error":{"code":"duplicate_key","param":"provider"}}
>>>
{"error":{"code":"duplicate_key","param":"stream"}}
>>>
{"error":{"code":"duplicate_key","param":"stream_options"}}
>>>
{"error":{"code":"duplicate_key","param":"dialect"}}
--- provider_first_requests: 0

=== another spelling of the key is no model
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern a first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- requests
POST /v1/chat/completions
{"Model":"secret"}
>>>
POST /v1/chat/completions
{"MODEL":"a"}
>>>
POST /v1/chat/completions
{" model":"a"}
>>>
POST /v1/chat/completions
{"model\u0000":"a"}
>>>
POST /v1/chat/completions
{"body":{"model":"a"}}
>>>
POST /v1/chat/completions
{"model\ud800":"a"}
--- error_code: 400
--- response_json
{"error":{"code":"model_required"}}
--- provider_first_requests: 0

=== a model of another type is refused
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- requests
POST /v1/chat/completions
{"model":1}
>>>
POST /v1/chat/completions
{"model":null}
>>>
POST /v1/chat/completions
{"model":["a"]}
>>>
POST /v1/chat/completions
{"model":{"a":1}}
>>>
POST /v1/chat/completions
{"model":true}
>>>
POST /v1/chat/completions
{"model":"a","provider":5}
--- error_code: 400
--- response_json
{"error":{"code":"invalid_type","param":"model"}}
>>>
{"error":{"code":"invalid_type","param":"model"}}
>>>
{"error":{"code":"invalid_type","param":"model"}}
>>>
{"error":{"code":"invalid_type","param":"model"}}
>>>
{"error":{"code":"invalid_type","param":"model"}}
>>>
{"error":{"code":"invalid_type","param":"provider"}}
--- provider_first_requests: 0

=== a name that no header or log should hold is no model's
--- http_config
    upstream one { server %%first%%; }
    log_format model escape=json "model=$llm_model";
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern * first;
    location /v1/ { llm_proxy; add_header X-Model $llm_model always; proxy_pass http://one; }
--- requests
POST /v1/chat/completions
{"model":"a\r\nX-Injected: 1"}
>>>
POST /v1/chat/completions
{"model":"a\u0000b"}
>>>
POST /v1/chat/completions
{"model":"a\u009fb"}
>>>
POST /v1/chat/completions
{"model":"a\ud800b"}
>>>
POST /v1/chat/completions
{"model":""}
>>>
POST /v1/chat/completions
{"model":"  "}
--- error_code: 400
--- response_headers
!x-injected
content-type: application/json
--- response_json
{"error":{"code":"invalid_model_name","param":"model"}}
>>>
{"error":{"code":"invalid_model_name"}}
>>>
{"error":{"code":"invalid_model_name"}}
>>>
{"error":{"code":"invalid_model_name"}}
>>>
{"error":{"code":"model_required"}}
>>>
{"error":{"code":"model_required"}}
--- no_access_log
X-Injected
--- provider_first_requests: 0

=== a name of up to 256 bytes is a model's, a longer one is not
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern * first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- requests eval
CORE::join "\n>>>\n", map { qq(POST /v1/chat/completions\n{"model":") . 'x' x $_ . '"}' } 256, 257, 100_000
--- error_code: 200 400 400
--- provider_first_requests: 1

=== text that is not JSON is refused, however little is wrong
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- requests
POST /v1/chat/completions
{"model":"a"
>>>
POST /v1/chat/completions
{"model":"a"}}
>>>
POST /v1/chat/completions
{"model":"a"} {"model":"b"}
>>>
POST /v1/chat/completions
{"model":"a",}
>>>
POST /v1/chat/completions
{"model":"a" "b":1}
>>>
POST /v1/chat/completions
{"model":"a","b":01}
>>>
POST /v1/chat/completions
{"model":"a","b":+1}
>>>
POST /v1/chat/completions
{"model":"a","b":1.}
>>>
POST /v1/chat/completions
{"model":"a","b":NaN}
>>>
POST /v1/chat/completions
{"model":"a","b":tru}
>>>
POST /v1/chat/completions
{"model":"a","b":"\x41"}
>>>
POST /v1/chat/completions
{"model":"a","b":"\u12"}
>>>
POST /v1/chat/completions
{"model":"a" /* no comment */}
>>>
POST /v1/chat/completions
{model:"a"}
>>>
POST /v1/chat/completions
{"model":"a","b":"tab	inside"}
>>>
POST /v1/chat/completions
{"model":"a","b":[1,2}
>>>
POST /v1/chat/completions
{"model":"a","b
>>>
POST /v1/chat/completions
{
--- error_code: 400
--- response_json
{"error":{"code":"invalid_json"}}
--- provider_first_requests: 0

=== a body that is not UTF-8 is refused
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- requests eval
CORE::join "\n>>>\n", map {"POST /v1/chat/completions\n$_"}
    qq({"model":"a","b":"\xff"}),
    qq({"model":"a","b":"\xc0\xaf"}),
    qq({"model":"a","b":"\xed\xa0\x80"}),
    qq({"model":"a\xe9"}),
    qq(\xef\xbb\xbf{"model":"a"}),
    CORE::join('', map {"$_\0"} split //, '{"model":"a"}'),
    qq({"model":"a","b":"\0"}),
    qq(\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03)
--- error_code: 400
--- response_json
{"error":{"code":"invalid_json"}}
--- provider_first_requests: 0

=== nesting that a parser could fail on is refused
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- requests eval
CORE::join "\n>>>\n", map {"POST /v1/chat/completions\n$_"}
    '{"model":"a","b":' . '[' x 500 . ']' x 500 . '}',
    '{"model":"a","b":' . '[' x 1_000 . ']' x 1_000 . '}',
    '{"model":"a","b":' . '{"a":' x 1_000 . '1' . '}' x 1_000 . '}',
    '{"model":"a","b":' . '[' x 1_000_000 . ']' x 1_000_000 . '}',
    '[' x 1_000_000,
    '{"a":' x 1_000_000
--- provider_first
200 {}
--- error_code: 200 400*5
--- response_json
{}
>>>
{"error":{"code":"invalid_json","message":"<<match:nested too deep>>"}}
>>>
{"error":{"code":"invalid_json","message":"<<match:nested too deep>>"}}
>>>
{"error":{"code":"invalid_json","message":"<<match:nested too deep>>"}}
>>>
{"error":{"code":"invalid_json"}}
>>>
{"error":{"code":"invalid_json"}}

=== numbers of any size are passed on
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- requests eval
CORE::join "\n>>>\n", map {"POST /v1/chat/completions\n$_"} my @bodies = (
    '{"model":"a","max_tokens":' . '9' x 400 . '}',
    '{"model":"a","max_tokens":1e999999,"n":-1e999999}',
    '{"model":"a","max_tokens":-5,"n":0.5}',
    '{"model":"a","seed":' . '1' x 100_000 . '}',
    '{"model":"a","max_tokens":"many","n":[]}')
--- provider_first
{"json":{},"times":5}
--- provider_first_got_body eval
CORE::join "\n>>>\n",
    '{"model":"a","max_tokens":' . '9' x 400 . '}',
    '{"model":"a","max_tokens":1e999999,"n":-1e999999}',
    '{"model":"a","max_tokens":-5,"n":0.5}',
    '{"model":"a","seed":' . '1' x 100_000 . '}',
    '{"model":"a","max_tokens":"many","n":[]}'

=== many members are as good as few
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern a first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- requests eval
my $many = CORE::join ',', map {qq("k$_":$_)} 1 .. 50_000;
qq(POST /v1/chat/completions\n{$many,"model":"a"}\n>>>\n)
    . qq(POST /v1/chat/completions\n{"model":"a",$many,"model":"b"})
--- provider_first
200 {}
--- error_code: 200 400

=== a request that ends too early is no request
--- http_config
    upstream one { server %%first%%; }
    log_format status "$status";
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- raw_request eval
"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{\"model\":\"a\"}"
--- abort_after: 0
--- access_log
^400$
--- provider_first_requests: 0

=== a chunked request that is broken is refused
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- raw_request eval
"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    . "d\r\n{\"model\":\"a\"}\r\nzz\r\n"
--- error_code: 400
--- response_json
{"error":{"code":"bad_request"},"request_id":"<<match:.>>"}
--- provider_first_requests: 0

=== two lengths are none
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy;
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { proxy_pass http://one; }
--- raw_request eval
"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 13\r\nTransfer-Encoding: chunked\r\n\r\n"
    . "0\r\n\r\n{\"model\":\"a\"}"
--- error_code: 400
--- response_json
{"error":{"code":"bad_request"}}
--- provider_first_requests: 0

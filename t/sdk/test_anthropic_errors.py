"""Does Anthropic's SDK raise the right exception for each error, the gateway's and a provider's?"""

import pytest

import anthropic

HELLO = [{"role": "user", "content": "Say hello."}]
MODEL = "claude-sonnet-5"
MESSAGES = "/v1/messages"


def ask(client, model=MODEL, **more):
    return client.messages.create(model=model, max_tokens=100, messages=HELLO, **more)


def post(client, text, content_type="application/json"):
    """A body as it stands, even one that the SDK would not make."""
    return client.post(
        MESSAGES,
        cast_to=object,
        content=text.encode(),
        options={"headers": {"content-type": content_type}},
    )


def assert_ours(error, kind):
    """Every error of the gateway has Anthropic's shape and tells the request's id."""
    body = error.response.json()
    assert body["type"] == "error"
    assert error.type == body["error"]["type"] == kind
    assert body["error"]["message"]
    assert body["request_id"] == error.response.headers["x-llm-event-id"]
    assert error.response.headers["content-type"].startswith("application/json")


def test_an_unknown_model_is_not_found_and_nothing_is_sent(claude, mock):
    with pytest.raises(anthropic.NotFoundError) as caught:
        ask(claude, "nobody-has-this")
    assert_ours(caught.value, "not_found_error")
    assert mock.requests("anthropic") == []


def test_a_request_without_a_model_is_a_bad_request(claude, mock):
    with pytest.raises(anthropic.BadRequestError) as caught:
        claude.post(MESSAGES, cast_to=object, body={"max_tokens": 9, "messages": HELLO})
    assert_ours(caught.value, "invalid_request_error")
    assert mock.requests("anthropic") == []


@pytest.mark.parametrize(
    "text",
    [
        f'{{"model":"{MODEL}","model":"claude-opus-5","messages":[]}}',
        f'{{"model":"{MODEL}","mod\\u0065l":"claude-opus-5","messages":[]}}',
        '{"model":null,"messages":[]}',
        f'{{"model":"{MODEL}","messages":[',
        "Say hello.",
    ],
    ids=["twice", "twice and escaped", "null", "truncated", "prose"],
)
def test_a_malformed_body_is_a_bad_request(claude, mock, text):
    with pytest.raises(anthropic.BadRequestError) as caught:
        post(claude, text)
    assert_ours(caught.value, "invalid_request_error")
    assert mock.requests("anthropic") == []


def test_a_body_over_the_limit_is_too_large(claude, mock):
    with pytest.raises(anthropic.ContentTooLargeError) as caught:
        ask(claude, extra_body={"padding": "x" * 70_000})
    assert_ours(caught.value, "request_too_large")
    assert "llm_proxy_max_body_size" in caught.value.api_message
    assert mock.requests("anthropic") == []


def test_another_content_type_is_refused(claude, mock):
    with pytest.raises(anthropic.APIStatusError) as caught:
        post(claude, f"model={MODEL}", "application/x-www-form-urlencoded")
    assert caught.value.status_code == 415
    assert_ours(caught.value, "invalid_request_error")
    assert mock.requests("anthropic") == []


def test_an_unreachable_provider_is_a_server_error(claude):
    with pytest.raises(anthropic.InternalServerError) as caught:
        ask(claude, "unreachable-claude")
    assert caught.value.status_code == 502
    assert_ours(caught.value, "api_error")


@pytest.mark.parametrize("stream", [False, True])
def test_a_silent_provider_is_a_gateway_timeout(impatient_claude, mock, stream):
    mock.script("anthropic", {"fault": "hang"})
    with pytest.raises(anthropic.GatewayTimeoutError) as caught:
        ask(impatient_claude, stream=stream)
    assert_ours(caught.value, "timeout_error")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("context_length_exceeded", anthropic.BadRequestError),
        ("invalid_api_key", anthropic.AuthenticationError),
        ("model_not_found", anthropic.NotFoundError),
        ("rate_limit_exceeded", anthropic.RateLimitError),
        ("overloaded", anthropic.OverloadedError),
        ("server_error", anthropic.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_providers_own_error_passes_through(claude, mock, error, expected, stream):
    mock.script("anthropic", {"error": error, "headers": {"retry-after": "7"}})
    with pytest.raises(expected) as caught:
        ask(claude, stream=stream)
    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.response.headers["x-llm-provider"] == "anthropic"


def read_until_error(events, expected):
    """The text that came before the stream raised."""
    text, last = "", None
    with pytest.raises(expected) as caught:
        for event in events:
            last = event.type
            if last == "content_block_delta":
                text += event.delta.text
    assert last != "message_stop", "a broken stream must not look finished"
    return text, caught.value


def test_an_error_event_in_a_stream_raises(claude, mock):
    mock.script("anthropic", {"words": 20, "fault": "error_event", "after": 8})
    text, error = read_until_error(ask(claude, stream=True), anthropic.APIError)
    assert text
    assert error.message


def test_a_cut_stream_raises_and_is_logged_as_incomplete(gateway, claude, mock):
    mock.script("anthropic", {"words": 20, "fault": "cut", "after": 8})
    stream = ask(claude, stream=True)
    text, error = read_until_error(stream, anthropic.APIStatusError)
    assert text
    assert error.type == "api_error"
    event_id = stream.response.headers["x-llm-event-id"]
    assert gateway.logged(event_id)["stream_state"] == "incomplete"


def test_a_stream_that_ends_without_its_end_raises(claude, mock):
    mock.script("anthropic", {"words": 20, "fault": "no_finish"})
    text, error = read_until_error(ask(claude, stream=True), anthropic.APIStatusError)
    assert len(text.split()) == 20
    assert error.type == "api_error"


def test_a_stalled_stream_raises(impatient_claude, mock):
    mock.script("anthropic", {"words": 20, "fault": "stall", "after": 8})
    text, error = read_until_error(ask(impatient_claude, stream=True), anthropic.APIStatusError)
    assert text
    assert error.type == "timeout_error"


def test_the_sdk_does_not_show_a_cut_stream_as_finished(claude, mock):
    mock.script("anthropic", {"words": 20, "fault": "cut", "after": 8})
    with pytest.raises(anthropic.APIError):
        with claude.messages.stream(model=MODEL, max_tokens=100, messages=HELLO) as stream:
            stream.get_final_message()


def test_the_wrong_dialect_for_a_model_is_a_bad_request(claude, mock):
    # Translation between dialects is not there: the gateway says so before anything is sent.
    with pytest.raises(anthropic.BadRequestError) as caught:
        ask(claude, "gpt-5-mini")
    assert_ours(caught.value, "invalid_request_error")
    assert mock.requests("openai") == []

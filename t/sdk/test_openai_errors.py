"""Does OpenAI's SDK raise the right exception for each error, the gateway's and a provider's?"""

import pytest

import openai

HELLO = [{"role": "user", "content": "Say hello."}]
CHAT = "/chat/completions"


def chat(client, model="gpt-5-mini", **more):
    return client.chat.completions.create(model=model, messages=HELLO, **more)


def post(client, text, content_type="application/json"):
    """A body as it stands, even one that the SDK would not make."""
    return client.post(
        CHAT,
        cast_to=object,
        content=text.encode(),
        options={"headers": {"content-type": content_type}},
    )


def assert_ours(error, code, kind):
    """Every error of the gateway has OpenAI's shape and tells the request's id."""
    assert (error.code, error.type) == (code, kind)
    assert error.message
    assert error.response.headers["content-type"].startswith("application/json")
    body = error.response.json()
    assert body["request_id"] == error.response.headers["x-llm-event-id"]


def test_an_unknown_model_is_not_found_and_nothing_is_sent(chatter, mock):
    with pytest.raises(openai.NotFoundError) as caught:
        chat(chatter, "nobody-has-this")
    assert_ours(caught.value, "model_not_found", "invalid_request_error")
    assert caught.value.param == "model"
    assert mock.requests("openai") == []


def test_a_request_without_a_model_is_a_bad_request(chatter, mock):
    with pytest.raises(openai.BadRequestError) as caught:
        chatter.post(CHAT, cast_to=object, body={"messages": HELLO})
    assert_ours(caught.value, "model_required", "invalid_request_error")
    assert mock.requests("openai") == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param(
            '{"model":"gpt-5-mini","model":"gpt-4","messages":[]}', "duplicate_key", id="twice"
        ),
        pytest.param(
            '{"model":"gpt-5-mini","mod\\u0065l":"gpt-4","messages":[]}',
            "duplicate_key",
            id="twice and escaped",
        ),
        pytest.param('{"model":17,"messages":[]}', "invalid_type", id="number"),
        pytest.param(
            '{"model":"gpt-5\\u0000mini","messages":[]}',
            "invalid_model_name",
            id="control character",
        ),
        pytest.param('{"model":"gpt-5-mini","messages":[', "invalid_json", id="truncated"),
        pytest.param("Say hello.", "invalid_json", id="prose"),
        pytest.param("[" * 50_000, "invalid_json", id="deep"),
    ],
)
def test_a_malformed_body_is_a_bad_request(chatter, mock, text, code):
    with pytest.raises(openai.BadRequestError) as caught:
        post(chatter, text)
    assert_ours(caught.value, code, "invalid_request_error")
    assert mock.requests("openai") == []


def test_a_provider_that_does_not_serve_the_model_is_a_bad_request(chatter, mock):
    with pytest.raises(openai.BadRequestError) as caught:
        chat(chatter, extra_body={"provider": "nobody"})
    assert_ours(caught.value, "provider_not_allowed", "invalid_request_error")
    assert mock.requests("openai") == []


def test_a_body_over_the_limit_is_refused_by_name(chatter, mock):
    with pytest.raises(openai.APIStatusError) as caught:
        chat(chatter, extra_body={"padding": "x" * 70_000})
    assert caught.value.status_code == 413
    assert_ours(caught.value, "request_too_large", "invalid_request_error")
    assert "llm_proxy_max_body_size" in caught.value.message
    assert mock.requests("openai") == []


def test_another_content_type_is_refused(chatter, mock):
    with pytest.raises(openai.APIStatusError) as caught:
        post(chatter, "model=gpt-5-mini", "application/x-www-form-urlencoded")
    assert caught.value.status_code == 415
    assert_ours(caught.value, "unsupported_media_type", "invalid_request_error")
    assert mock.requests("openai") == []


def test_an_unreachable_provider_is_a_server_error(chatter):
    with pytest.raises(openai.InternalServerError) as caught:
        chat(chatter, "unreachable-gpt")
    assert caught.value.status_code == 502
    assert_ours(caught.value, "provider_unreachable", "server_error")


@pytest.mark.parametrize("fault", ["reset", "close"])
def test_a_provider_that_hangs_up_is_a_server_error(chatter, mock, fault):
    mock.script("openai", {"fault": fault, "times": "always"})
    with pytest.raises(openai.InternalServerError) as caught:
        chat(chatter)
    assert caught.value.status_code == 502
    mock.forget()


@pytest.mark.parametrize("stream", [False, True])
def test_a_silent_provider_is_a_server_error(impatient_chatter, mock, stream):
    mock.script("openai", {"fault": "hang"})
    with pytest.raises(openai.InternalServerError) as caught:
        chat(impatient_chatter, stream=stream)
    assert caught.value.status_code == 504
    assert_ours(caught.value, "provider_timeout", "server_error")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("context_length_exceeded", openai.BadRequestError),
        ("invalid_api_key", openai.AuthenticationError),
        ("model_not_found", openai.NotFoundError),
        ("rate_limit_exceeded", openai.RateLimitError),
        ("insufficient_quota", openai.RateLimitError),
        ("overloaded", openai.InternalServerError),
        ("server_error", openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_providers_own_error_passes_through(chatter, mock, error, expected, stream):
    mock.script("openai", {"error": error, "headers": {"retry-after": "7"}})
    with pytest.raises(expected) as caught:
        chat(chatter, stream=stream)
    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.response.headers["x-llm-provider"] == "openai"
    if error not in ("overloaded", "server_error"):
        assert caught.value.code == error


def read_until_error(stream, expected):
    """The text that came before the stream raised."""
    text, finished = "", False
    with pytest.raises(expected) as caught:
        for chunk in stream:
            for choice in chunk.choices:
                text += choice.delta.content or ""
                finished = finished or choice.finish_reason is not None
    assert not finished, "a broken stream must not look finished"
    return text, caught.value


def test_an_error_event_in_a_stream_raises(chatter, mock):
    mock.script("openai", {"words": 20, "fault": "error_event", "after": 5})
    text, error = read_until_error(chat(chatter, stream=True), openai.APIError)
    assert text
    assert error.message


def test_a_cut_stream_raises_and_is_logged_as_incomplete(gateway, chatter, mock):
    mock.script("openai", {"words": 20, "fault": "cut", "after": 5})
    stream = chat(chatter, stream=True)
    text, error = read_until_error(stream, openai.APIError)
    assert text
    assert error.code == "stream_incomplete"
    event_id = stream.response.headers["x-llm-event-id"]
    assert gateway.logged(event_id)["stream_state"] == "incomplete"


def test_a_stream_that_ends_without_its_end_raises(gateway, chatter, mock):
    mock.script("openai", {"words": 20, "fault": "no_finish"})
    stream = chat(chatter, stream=True)
    text, error = read_until_error(stream, openai.APIError)
    assert len(text.split()) == 20
    assert error.code == "stream_incomplete"
    event_id = stream.response.headers["x-llm-event-id"]
    assert gateway.logged(event_id)["stream_state"] == "incomplete"


def test_a_stalled_stream_raises(impatient_chatter, mock):
    mock.script("openai", {"words": 20, "fault": "stall", "after": 5})
    text, error = read_until_error(chat(impatient_chatter, stream=True), openai.APIError)
    assert text
    assert error.code == "provider_timeout"


def test_a_stream_without_done_but_with_a_finish_reason_is_complete(chatter, mock):
    mock.script("openai", {"words": 3, "fault": "no_done"})
    chunks = list(chat(chatter, stream=True))
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_a_malformed_event_is_skipped(chatter, mock):
    mock.script("openai", {"words": 20, "fault": "malformed", "after": 5})
    words = "".join(c.choices[0].delta.content or "" for c in chat(chatter, stream=True)).split()
    assert len(words) == 19


def test_a_streamed_responses_error_raises(chatter, mock):
    mock.script("openai", {"words": 20, "fault": "cut", "after": 5})
    with pytest.raises(openai.APIError):
        events = chatter.responses.create(model="gpt-5-mini", input="Say hello.", stream=True)
        for event in events:
            assert event.type != "response.completed"

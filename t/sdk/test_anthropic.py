"""Does Anthropic's SDK work through the gateway as it does without it?"""

import asyncio

HELLO = [{"role": "user", "content": "Say hello."}]
TEXT = "Hello from anthropic."
MODEL = "claude-sonnet-5"
# What mock-provider reports for its three words; see src/mock/shape.rs.
INPUT_TOKENS, CACHE_READ_TOKENS, CACHE_WRITE_TOKENS, OUTPUT_TOKENS = 12, 4, 2, 7

WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
USE_TOOL = [{"role": "user", "content": "Use the tool for Paris."}]


def assert_usage(usage):
    assert usage.input_tokens == INPUT_TOKENS
    assert usage.cache_read_input_tokens == CACHE_READ_TOKENS
    assert usage.cache_creation_input_tokens == CACHE_WRITE_TOKENS
    assert usage.output_tokens == OUTPUT_TOKENS


def assert_usage_logged(gateway, headers):
    entry = gateway.logged(headers["x-llm-event-id"])
    assert entry["usage_source"] == "reported"
    assert entry["completion_tokens"] == str(OUTPUT_TOKENS)
    assert entry["cache_read_tokens"] == str(CACHE_READ_TOKENS)
    return entry


def test_a_message_and_its_usage_arrive(gateway, claude):
    raw = claude.messages.with_raw_response.create(model=MODEL, max_tokens=100, messages=HELLO)
    message = raw.parse()
    assert message.content[0].text == TEXT
    assert message.stop_reason == "end_turn"
    assert message.model == MODEL
    assert_usage(message.usage)
    assert raw.headers["x-llm-provider"] == "anthropic"
    assert raw.headers["x-llm-served-by"] == f"anthropic/{MODEL}"
    assert_usage_logged(gateway, raw.headers)


def test_the_version_and_beta_headers_reach_the_provider(claude, mock):
    claude.messages.create(
        model=MODEL, max_tokens=100, messages=HELLO, extra_headers={"anthropic-beta": "some-beta"}
    )
    (request,) = mock.requests("anthropic")
    headers = {name.lower(): value for name, value in request["headers"]}
    assert headers["anthropic-version"] == claude.default_headers["anthropic-version"]
    assert headers["anthropic-beta"] == "some-beta"


def test_a_stream_arrives_whole(gateway, claude):
    raw = claude.messages.with_raw_response.create(
        model=MODEL, max_tokens=100, messages=HELLO, stream=True
    )
    events = list(raw.parse())
    deltas = [e.delta.text for e in events if e.type == "content_block_delta"]
    assert "".join(deltas) == TEXT
    assert events[0].type == "message_start"
    assert events[-1].type == "message_stop"
    entry = assert_usage_logged(gateway, raw.headers)
    assert entry["stream_state"] == "complete"


def test_the_sdk_puts_a_stream_together(claude):
    with claude.messages.stream(model=MODEL, max_tokens=100, messages=HELLO) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()
    assert text == message.content[0].text == TEXT
    assert message.stop_reason == "end_turn"
    assert_usage(message.usage)


def test_an_async_stream_arrives_whole(async_claude):
    async def read():
        async with async_claude() as client:
            async with client.messages.stream(
                model=MODEL, max_tokens=100, messages=HELLO
            ) as stream:
                return "".join([text async for text in stream.text_stream])

    assert asyncio.run(read()) == TEXT


def test_tools_are_passed_through(claude, mock):
    message = claude.messages.create(
        model=MODEL, max_tokens=100, messages=USE_TOOL, tools=[WEATHER]
    )
    assert message.stop_reason == "tool_use"
    (call,) = [block for block in message.content if block.type == "tool_use"]
    assert (call.name, call.input) == ("get_weather", {"city": "Paris"})
    assert mock.body("anthropic")["tools"] == [WEATHER]


def test_streamed_tools_are_passed_through(claude):
    with claude.messages.stream(
        model=MODEL, max_tokens=100, messages=USE_TOOL, tools=[WEATHER]
    ) as stream:
        message = stream.get_final_message()
    assert message.stop_reason == "tool_use"
    (call,) = [block for block in message.content if block.type == "tool_use"]
    assert (call.name, call.input) == ("get_weather", {"city": "Paris"})


def test_tokens_are_counted(claude):
    count = claude.messages.count_tokens(model=MODEL, messages=HELLO)
    assert count.input_tokens == INPUT_TOKENS


def test_a_long_stream_arrives_whole(claude, mock):
    mock.script("anthropic", {"words": 500})
    with claude.messages.stream(model=MODEL, max_tokens=1000, messages=HELLO) as stream:
        assert len(stream.get_final_text().split()) == 500


def test_a_slug_is_sent_without_its_provider(claude, mock):
    claude.messages.create(model=f"anthropic/{MODEL}", max_tokens=100, messages=HELLO)
    assert mock.body("anthropic")["model"] == MODEL


def test_a_client_that_stops_reading_frees_the_provider(gateway, claude, mock):
    mock.script("anthropic", {"words": 2000, "pace_ms": 20})
    with claude.messages.stream(model=MODEL, max_tokens=100, messages=HELLO) as stream:
        next(iter(stream.text_stream))
        event_id = stream.response.headers["x-llm-event-id"]
    assert gateway.logged(event_id)["stream_state"] == "client_closed"

"""Does OpenAI's SDK work through the gateway as it does without it?"""

import asyncio

HELLO = [{"role": "user", "content": "Say hello."}]
TEXT = "Hello from openai."
# What mock-provider reports for its three words; see src/mock/shape.rs.
PROMPT_TOKENS, CACHED_TOKENS, COMPLETION_TOKENS = 12, 4, 7

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
USE_TOOL = [{"role": "user", "content": "Use the tool for Paris."}]


def assert_usage_logged(gateway, headers, completion_tokens=COMPLETION_TOKENS):
    entry = gateway.logged(headers["x-llm-event-id"])
    assert entry["usage_source"] == "reported"
    assert entry["prompt_tokens"] == str(PROMPT_TOKENS)
    assert entry["completion_tokens"] == str(completion_tokens)
    return entry


def text_of(chunks):
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


def test_a_chat_answer_and_its_usage_arrive(gateway, chatter):
    raw = chatter.chat.completions.with_raw_response.create(model="gpt-5-mini", messages=HELLO)
    answer = raw.parse()
    assert answer.choices[0].message.content == TEXT
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "gpt-5-mini"
    assert answer.usage.prompt_tokens == PROMPT_TOKENS
    assert answer.usage.completion_tokens == COMPLETION_TOKENS
    assert answer.usage.prompt_tokens_details.cached_tokens == CACHED_TOKENS
    assert raw.headers["x-llm-provider"] == "openai"
    assert raw.headers["x-llm-served-by"] == "openai/gpt-5-mini"
    entry = assert_usage_logged(gateway, raw.headers)
    assert entry["cache_read_tokens"] == str(CACHED_TOKENS)


def test_a_stream_without_usage_asked_for_shows_none_but_is_counted(gateway, chatter, mock):
    raw = chatter.chat.completions.with_raw_response.create(
        model="gpt-5-mini", messages=HELLO, stream=True
    )
    chunks = list(raw.parse())
    assert text_of(chunks) == TEXT
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)
    assert mock.body("openai")["stream_options"] == {"include_usage": True}
    assert raw.headers["cache-control"] == "no-cache"
    entry = assert_usage_logged(gateway, raw.headers)
    assert entry["stream_state"] == "complete"


def test_a_stream_with_usage_asked_for_shows_it(gateway, chatter):
    raw = chatter.chat.completions.with_raw_response.create(
        model="gpt-5-mini", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(raw.parse())
    assert text_of(chunks) == TEXT
    assert chunks[-1].choices == []
    assert chunks[-1].usage.prompt_tokens == PROMPT_TOKENS
    assert chunks[-1].usage.completion_tokens == COMPLETION_TOKENS
    assert_usage_logged(gateway, raw.headers)


def test_an_async_stream_arrives_whole(async_chatter):
    async def read():
        async with async_chatter() as client:
            stream = await client.chat.completions.create(
                model="gpt-5-mini", messages=HELLO, stream=True
            )
            return [chunk async for chunk in stream]

    chunks = asyncio.run(read())
    assert text_of(chunks) == TEXT
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_many_async_requests_at_once_keep_their_answers(async_chatter):
    async def ask(client, model):
        answer = await client.chat.completions.create(model=model, messages=HELLO)
        return answer.model

    async def ask_all(models):
        async with async_chatter() as client:
            return await asyncio.gather(*(ask(client, model) for model in models))

    models = [f"gpt-{n}" for n in range(40)]
    assert asyncio.run(ask_all(models)) == models


def test_tools_are_passed_through(chatter, mock):
    answer = chatter.chat.completions.create(
        model="gpt-5-mini", messages=USE_TOOL, tools=[WEATHER], parallel_tool_calls=False
    )
    assert answer.choices[0].finish_reason == "tool_calls"
    (call,) = answer.choices[0].message.tool_calls
    assert call.function.name == "get_weather"
    assert call.function.arguments == '{"city": "Paris"}'
    sent = mock.body("openai")
    assert sent["tools"] == [WEATHER]
    assert sent["parallel_tool_calls"] is False


def test_streamed_tools_are_passed_through(chatter):
    stream = chatter.chat.completions.create(
        model="gpt-5-mini", messages=USE_TOOL, tools=[WEATHER], stream=True
    )
    name, arguments, finish = "", "", None
    for chunk in stream:
        choice = chunk.choices[0]
        finish = choice.finish_reason or finish
        for call in choice.delta.tool_calls or []:
            name += call.function.name or ""
            arguments += call.function.arguments or ""
    assert (name, arguments, finish) == ("get_weather", '{"city": "Paris"}', "tool_calls")


def test_the_sdk_puts_a_stream_together(chatter):
    with chatter.chat.completions.stream(model="gpt-5-mini", messages=HELLO) as stream:
        answer = stream.get_final_completion()
    assert answer.choices[0].message.content == TEXT


def test_a_long_stream_arrives_whole(chatter, mock):
    mock.script("openai", {"words": 500})
    stream = chatter.chat.completions.create(model="gpt-5-mini", messages=HELLO, stream=True)
    assert len(text_of(stream).split()) == 500


def test_embeddings_work_as_numbers_and_as_base64(gateway, chatter, mock):
    raw = chatter.embeddings.with_raw_response.create(
        model="text-embedding-3-small", input=["one", "two"], encoding_format="float"
    )
    numbers = raw.parse()
    # The SDK asks for base64 by itself and decodes it.
    decoded = chatter.embeddings.create(model="text-embedding-3-small", input=["one", "two"])
    assert len(numbers.data) == 2
    assert len(decoded.data[0].embedding) == len(numbers.data[0].embedding) > 0
    assert numbers.usage.prompt_tokens == PROMPT_TOKENS
    entry = gateway.logged(raw.headers["x-llm-event-id"])
    assert (entry["prompt_tokens"], entry["completion_tokens"]) == (str(PROMPT_TOKENS), "0")


def test_responses_work(gateway, chatter):
    raw = chatter.responses.with_raw_response.create(model="gpt-5-mini", input="Say hello.")
    answer = raw.parse()
    assert answer.output_text == TEXT
    assert answer.usage.input_tokens == PROMPT_TOKENS
    assert answer.usage.output_tokens == COMPLETION_TOKENS
    assert_usage_logged(gateway, raw.headers)


def test_streamed_responses_work(gateway, chatter):
    raw = chatter.responses.with_raw_response.create(
        model="gpt-5-mini", input="Say hello.", stream=True
    )
    events = list(raw.parse())
    deltas = [e.delta for e in events if e.type == "response.output_text.delta"]
    assert events[0].type == "response.created"
    assert "".join(deltas) == TEXT
    assert events[-1].type == "response.completed"
    assert events[-1].response.usage.output_tokens == COMPLETION_TOKENS
    entry = assert_usage_logged(gateway, raw.headers)
    assert entry["stream_state"] == "complete"


def test_legacy_completions_work_plain_and_streamed(gateway, chatter):
    raw = chatter.completions.with_raw_response.create(model="gpt-legacy", prompt="Say hello.")
    assert raw.parse().choices[0].text == TEXT
    assert_usage_logged(gateway, raw.headers)
    raw = chatter.completions.with_raw_response.create(
        model="gpt-legacy", prompt="Say hello.", stream=True
    )
    text = "".join(chunk.choices[0].text for chunk in raw.parse())
    assert text == TEXT
    assert_usage_logged(gateway, raw.headers)


def test_the_model_list_is_the_catalog_without_wildcards(chatter):
    names = {model.id for model in chatter.models.list()}
    assert {"gpt-5-mini", "text-embedding-3-small", "fast"} <= names
    assert not [name for name in names if "*" in name]


def test_an_alias_is_sent_under_its_real_name(chatter, mock):
    answer = chatter.chat.completions.create(model="fast", messages=HELLO)
    assert answer.choices[0].message.content == TEXT
    assert mock.body("openai")["model"] == "gpt-5-mini"


def test_a_slug_is_sent_without_its_provider(chatter, mock):
    chatter.chat.completions.create(model="openai/gpt-5-mini", messages=HELLO)
    assert mock.body("openai")["model"] == "gpt-5-mini"


def test_a_request_larger_than_every_buffer_arrives_unchanged(chatter, mock):
    # Just under the limit of 64k, with everything that could be damaged on the way.
    text = 'Zeile "eins"\n\tñ 🙂 \\ ' * 2000
    chatter.chat.completions.create(
        model="gpt-5-mini", messages=[{"role": "user", "content": text}]
    )
    assert mock.body("openai")["messages"][0]["content"] == text


def test_unknown_fields_and_their_order_survive(chatter, mock):
    chatter.chat.completions.create(
        model="gpt-5-mini", messages=HELLO, extra_body={"zeta": 12345678901234567890, "alpha": None}
    )
    sent = mock.body("openai")
    assert list(sent)[-2:] == ["zeta", "alpha"]
    assert sent["zeta"] == 12345678901234567890


def test_a_client_that_stops_reading_frees_the_provider(gateway, chatter, mock):
    mock.script("openai", {"words": 2000, "pace_ms": 20})
    with chatter.chat.completions.create(
        model="gpt-5-mini", messages=HELLO, stream=True
    ) as stream:
        next(iter(stream))
        event_id = stream.response.headers["x-llm-event-id"]
    assert gateway.logged(event_id)["stream_state"] == "client_closed"

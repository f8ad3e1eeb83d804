"""What does a client of the official openai SDK see? Reads one JSON object a line, asks, answers one.

t/llmctl_scenario.t starts it: {"key", "model", "stream", "timeout", "pause_after"} become
{"status", "model", "content", "code", "served_by", "event_id", "retry_after", "usage"}. A stream with
"pause_after" waits after its first piece until the next line comes.
"""

import json
import sys

import openai


def told(headers):
    """What the gateway says of an answer."""
    names = {
        "served_by": "x-llm-served-by",
        "event_id": "x-llm-event-id",
        "chain": "x-llm-chain",
        "reason": "x-fallback-reason",
        "suppressed": "x-fallback-suppressed-reason",
        "retry_after": "retry-after",
    }
    return {name: headers.get(header) for name, header in names.items()}


def stream(raw, pause):
    """The text of a stream."""
    content, paused = "", not pause
    for chunk in raw.parse():
        for choice in chunk.choices:
            content += choice.delta.content or ""
        if content and not paused:
            paused = True
            say({"paused": True})
            sys.stdin.readline()
    return content


def ask(base_url, host, command):
    """One request, without the SDK's own retries."""
    client = openai.OpenAI(
        base_url=base_url,
        api_key=command["key"],
        max_retries=0,
        timeout=command.get("timeout", 30),
        default_headers={"Host": host},
    )
    words = [{"role": "user", "content": "hello"}]
    completions = client.chat.completions.with_raw_response
    try:
        if command.get("models"):
            listed = client.models.with_raw_response.list()
            names = [model.id for model in listed.parse()]
            return {"status": listed.status_code, "models": names}
        raw = completions.create(
            model=command["model"],
            messages=words,
            max_tokens=command.get("max_tokens", 1000),
            stream=command.get("stream", False),
        )
        answer = {"status": raw.status_code, **told(raw.headers)}
        if command.get("stream"):
            return {**answer, "content": stream(raw, command.get("pause_after"))}
        completion = raw.parse()
        return {
            **answer,
            "model": completion.model,
            "content": completion.choices[0].message.content,
        }
    except openai.APIStatusError as error:
        answer = {"status": error.status_code, **told(error.response.headers)}
        return {**answer, "code": error.code, "error": type(error).__name__}
    except openai.APIError as error:
        return {"status": None, "error": type(error).__name__}


def say(answer):
    print(json.dumps(answer), flush=True)


def main():
    base_url, host = sys.argv[1:]
    while line := sys.stdin.readline():
        say(ask(base_url, host, json.loads(line)))


main()

"""Fixtures of the SDK tests: the gateway, its providers, and the official clients."""

import pytest

import anthropic
import openai
from world import LIMIT_S, Gateway, Mock, environment

# What a client sends as its key; it must appear in no log.
CLIENT_KEY = "sk-client-0123456789abcdef"


def pytest_sessionstart():
    try:
        for name in ("NGINX", "MODULE", "MOCK"):
            environment(f"TEST_LLM_{name}")
    except RuntimeError as error:
        pytest.exit(str(error), returncode=2)


@pytest.fixture(scope="session")
def providers():
    mock = Mock("openai", "anthropic")
    yield mock
    mock.stop()


@pytest.fixture(scope="session")
def nginx(providers, tmp_path_factory):
    gateway = Gateway(tmp_path_factory.mktemp("gateway"), providers)
    yield gateway
    gateway.stop()


@pytest.fixture
def mock(providers):
    """The providers, as new; a scripted answer that nobody fetched fails the test."""
    providers.forget()
    yield providers
    for name in providers.names:
        assert providers.script_left(name) == 0, f"{name} has answers that nobody asked for"


@pytest.fixture
def gateway(nginx, mock):
    """The gateway; a complaint in its log or a key in one fails the test."""
    before = len(nginx.complaints())
    yield nginx
    assert nginx.complaints()[before:] == []
    assert not nginx.holds(CLIENT_KEY)


def options(url):
    # No retries: each test wants to see the first answer.
    return {"api_key": CLIENT_KEY, "base_url": url, "max_retries": 0, "timeout": LIMIT_S}


@pytest.fixture
def chatter(gateway):
    """OpenAI's client."""
    with openai.OpenAI(**options(f"{gateway.url}/v1")) as client:
        yield client


@pytest.fixture
def impatient_chatter(gateway):
    with openai.OpenAI(**options(f"{gateway.impatient_url}/v1")) as client:
        yield client


@pytest.fixture
def async_chatter(gateway):
    """Makes OpenAI's asynchronous client, inside the event loop that uses it."""
    return lambda: openai.AsyncOpenAI(**options(f"{gateway.url}/v1"))


@pytest.fixture
def claude(gateway):
    """Anthropic's client."""
    with anthropic.Anthropic(**options(gateway.url)) as client:
        yield client


@pytest.fixture
def impatient_claude(gateway):
    with anthropic.Anthropic(**options(gateway.impatient_url)) as client:
        yield client


@pytest.fixture
def async_claude(gateway):
    return lambda: anthropic.AsyncAnthropic(**options(gateway.url))

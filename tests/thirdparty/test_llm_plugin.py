"""`llm`, the command line tool, finds our connections as models and talks to them."""

import sys

import pytest

from nexo.connections.terms import Provider
from nexo_cli.demo.provider import HOME, WORK, ExampleProvider
from nexo_client.types import ConnectionDraft
from surroundings import Finished, Nexod, Surroundings


@pytest.fixture
def filled(nexod: Nexod, provider: ExampleProvider) -> Nexod:
    with nexod.client() as client:
        for account, model in ((WORK, "example-large"), (HOME, "")):
            client.create_connection(
                ConnectionDraft(
                    name=account.name,
                    provider="openai",
                    base_url=provider.base_url(Provider.OPENAI),
                    api_key=account.key,
                    default_model=model,
                )
            )
    return nexod


def llm(surroundings: Surroundings, *arguments: str, expect: int | None = 0) -> Finished:
    rival = {"OPENAI_API_KEY": "somebody-elses-key", "LLM_USER_PATH": str(surroundings.home / "llm")}
    return surroundings.run([sys.executable, "-m", "llm", *arguments], env=rival, expect=expect)


def test_connections_are_models(filled: Nexod, surroundings: Surroundings) -> None:
    listed = llm(surroundings, "models", "list").out
    assert "Nexo: nexo\n" in listed
    assert "Nexo: nexo/work\n" in listed
    assert "Nexo: nexo/home\n" in listed


def test_a_prompt_goes_to_the_connection_of_the_moment(filled: Nexod, surroundings: Surroundings) -> None:
    streamed = llm(surroundings, "-m", "nexo", "Who pays?").out
    assert "example-large" in streamed
    assert "'work'" in streamed
    named = llm(
        surroundings, "-m", "nexo/home", "--no-stream", "-o", "model", "example-small", "Who pays?"
    ).out
    assert "example-small" in named
    assert "'home'" in named
    with filled.client() as client:
        client.update_connection("home", ConnectionDraft(default_model="example-small"))
        client.set_default("home")
    assert "'home'" in llm(surroundings, "-m", "nexo", "Who pays?").out


def test_what_is_missing_is_said_in_a_sentence(filled: Nexod, surroundings: Surroundings) -> None:
    no_model = llm(surroundings, "-m", "nexo/home", "Who pays?", expect=1)
    assert "nexoctl edit 'home' --model NAME" in no_model.err
    filled.stop()
    away = llm(surroundings, "-m", "nexo", "Who pays?", expect=1)
    assert "nexod is not running" in away.err
    assert "nexoctl daemon start" in away.err
    assert "Traceback" not in away.err

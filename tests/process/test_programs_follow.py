"""`nexoctl run`: a program that knows nothing of us follows a switch, and never holds a key.

Each program is unmodified, one process, two questions, and a switch between them. The example provider says
which account was billed. Those that have to be downloaded are in tests/thirdparty.
"""

import json
import shutil
import sys
from pathlib import Path

import pytest

from nexo.connections.terms import Provider
from nexo_cli.demo.provider import HOME, WORK, ExampleProvider
from surroundings import Nexod, Surroundings

SWITCH = (
    "import subprocess as s, sys; s.run([sys.executable, '-m', 'nexo_cli', 'default', 'home'], check=True)"
)

STANDARD_LIBRARY = """
import json, os, urllib.request
def ask():
    body = json.dumps({"model": "example-small", "messages": [{"role": "user", "content": "hi"}]}).encode()
    headers = {"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"], "Content-Type": "application/json"}
    request = urllib.request.Request(os.environ["OPENAI_BASE_URL"] + "/chat/completions", body, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        print(answer.read().decode())
"""
OPENAI = """
import openai
sdk = openai.OpenAI()
def ask():
    messages = [{"role": "user", "content": "hi"}]
    print(sdk.chat.completions.create(model="example-small", messages=messages).choices[0].message.content)
"""
ANTHROPIC = """
import anthropic
sdk = anthropic.Anthropic()
def ask():
    messages = [{"role": "user", "content": "hi"}]
    print(sdk.messages.create(model="example-small", max_tokens=9, messages=messages).content[0].text)
"""
GOOGLE = """
from google import genai
sdk = genai.Client()
def ask():
    print(sdk.models.generate_content(model="example-small", contents="hi").text)
"""
OLLAMA = """
import ollama
def ask():
    print(ollama.chat(model="example-small", messages=[{"role": "user", "content": "hi"}]).message.content)
"""
PROGRAMS = {
    "urllib": (Provider.OPENAI, STANDARD_LIBRARY),
    "openai": (Provider.OPENAI, OPENAI),
    "openai of a custom server": (Provider.CUSTOM, OPENAI),
    "anthropic": (Provider.ANTHROPIC, ANTHROPIC),
    "google": (Provider.GOOGLE, GOOGLE),
    "ollama": (Provider.OLLAMA, OLLAMA),
    "openai of ollama": (Provider.OLLAMA, OPENAI),
}


def connections(surroundings: Surroundings, provider: ExampleProvider, kind: Provider) -> None:
    for name, account in (("work", WORK), ("home", HOME)):
        flags = [
            "--provider",
            kind.value,
            "--base-url",
            provider.base_url(kind),
            "--api-key-stdin",
            "--no-test",
        ]
        surroundings.nexoctl("add", name, *flags, "--model", "example-small", stdin=account.key)
    surroundings.nexoctl("default", "work")


def billed(provider: ExampleProvider) -> list[str]:
    """The accounts of the keys that questions came with."""
    return [one.account for one in provider.requests() if one.request.method == "POST"]


@pytest.mark.parametrize(("kind", "program"), PROGRAMS.values(), ids=list(PROGRAMS))
def test_an_unmodified_program_follows_a_switch_and_holds_no_key(
    surroundings: Surroundings, nexod: Nexod, provider: ExampleProvider, kind: Provider, program: str
) -> None:
    connections(surroundings, provider, kind)
    look = "import os; print('HELD', dict(os.environ))"
    code = f"{program}\nask()\n{SWITCH}\nask()\n{look}\n"
    # A proxy that is not there: whatever took it on its way to the gateway would fail.
    away = {"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9", "NO_PROXY": "internal"}
    done = surroundings.nexoctl("run", "--", sys.executable, "-c", code, env=away)
    assert billed(provider) == ["work", "home"], done
    assert WORK.key not in done.out
    assert HOME.key not in done.out
    assert "'NO_PROXY': 'internal,127.0.0.1,localhost,::1'" in done.out


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_follows(surroundings: Surroundings, nexod: Nexod, provider: ExampleProvider) -> None:
    connections(surroundings, provider, Provider.OPENAI)
    ask = (
        'curl -sS "$OPENAI_BASE_URL/chat/completions" -H "Authorization: Bearer $OPENAI_API_KEY" '
        """-H 'Content-Type: application/json' -d '{"model":"example-small","messages":[]}'; echo;"""
    )
    switch = f'"{sys.executable}" -m nexo_cli default home;'
    done = surroundings.nexoctl("run", "--", "sh", "-c", f"{ask} {switch} {ask}")
    assert billed(provider) == ["work", "home"], done


def test_the_token_ends_with_the_program(
    surroundings: Surroundings, nexod: Nexod, provider: ExampleProvider
) -> None:
    connections(surroundings, provider, Provider.OPENAI)
    look = "import os; print(os.environ['OPENAI_BASE_URL'], os.environ['OPENAI_API_KEY'])"
    url, token = surroundings.nexoctl("run", "--", sys.executable, "-c", look).out.split()
    assert token.startswith("nexo_")
    late = {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": token}
    done = surroundings.run([sys.executable, "-c", f"{OPENAI}\nask()"], env=late, expect=1)
    assert "AuthenticationError" in done.err


def test_a_program_of_a_named_connection_stays_on_it(
    surroundings: Surroundings, nexod: Nexod, provider: ExampleProvider
) -> None:
    connections(surroundings, provider, Provider.OPENAI)
    code = f"{OPENAI}\nask()\n{SWITCH}\nask()\n"
    surroundings.nexoctl("run", "--connection", "work", "--", sys.executable, "-c", code)
    assert billed(provider) == ["work", "work"]


def test_a_broken_binding_is_refused_before_the_program_starts_and_while_it_runs(
    surroundings: Surroundings, nexod: Nexod, provider: ExampleProvider
) -> None:
    connections(surroundings, provider, Provider.OPENAI)
    surroundings.nexoctl("workspace", "bind", ".", "home")
    nexoctl = "[sys.executable, '-m', 'nexo_cli', 'remove', 'home', '--force']"
    remove = f"import subprocess as s, sys; s.run({nexoctl}, check=True)"
    code = f"{OPENAI}\nask()\n{remove}\nask()\n"
    done = surroundings.nexoctl("run", "--", sys.executable, "-c", code, expect=1)
    assert billed(provider) == ["home"]
    assert "BadRequestError" in done.err
    refused = surroundings.nexoctl("--json", "run", "--", "echo", "started", expect=7)
    assert (refused.out, refused.error["reason"]) == ("", "BINDING_BROKEN")


def test_a_gateway_that_was_switched_off_hands_nothing_out_and_direct_still_does(
    surroundings: Surroundings, nexod: Nexod, provider: ExampleProvider
) -> None:
    connections(surroundings, provider, Provider.OPENAI)
    surroundings.nexoctl("gateway", "off")
    refused = surroundings.nexoctl("--json", "run", "--", "echo", "started", expect=7)
    assert (refused.out, refused.error["reason"]) == ("", "GATEWAY_CLOSED")
    look = "import os; print(os.environ['OPENAI_API_KEY'])"
    direct = surroundings.nexoctl("run", "--direct", "--", sys.executable, "-c", look)
    assert direct.out.strip() == WORK.key


def test_a_shell_inside_of_a_run_has_no_account_of_its_own_to_import(
    surroundings: Surroundings, nexod: Nexod, provider: ExampleProvider
) -> None:
    connections(surroundings, provider, Provider.OPENAI)
    inner = [sys.executable, "-m", "nexo_cli", "--json", "import", "env", "--dry-run"]
    done = surroundings.nexoctl("run", "--", *inner)
    assert done.json["found"] == []
    assert "gateway" in str(done.json["skipped"])


def test_the_names_of_programs_are_told_while_they_run(
    surroundings: Surroundings, nexod: Nexod, provider: ExampleProvider
) -> None:
    connections(surroundings, provider, Provider.OPENAI)
    nexoctl = "[sys.executable, '-m', 'nexo_cli', '--json', 'gateway', 'status']"
    look = f"import subprocess as s, sys; s.run({nexoctl})"
    code = f"{OPENAI}\nask()\n{look}"
    done = surroundings.nexoctl("run", "--", sys.executable, "-c", code)
    assert billed(provider) == ["work"]
    (user,) = json.loads(done.out.partition("Hello")[0])["programs"]
    assert (user["connection"], user["models"], user["requests"]) == ("work", ["example-small"], 1)
    assert user["client"]["program"] == Path(sys.executable).name


def test_a_switch_names_programs_that_ask_for_models_which_the_new_default_does_not_list(
    surroundings: Surroundings, nexod: Nexod, provider: ExampleProvider
) -> None:
    connections(surroundings, provider, Provider.OPENAI)
    rare = OPENAI.replace("example-small", "a-rare-model")
    code = f"{rare}\ntry: ask()\nexcept openai.OpenAIError: pass\n{SWITCH}\n"
    warned = surroundings.nexoctl("run", "--", sys.executable, "-c", code)
    assert "asks for a-rare-model, which home does not list" in warned.err
    surroundings.nexoctl("default", "work")
    surroundings.nexoctl("edit", "home", "--map", "a-rare-model=nobody-has-it")
    warned = surroundings.nexoctl("run", "--", sys.executable, "-c", code)
    assert "asks for a-rare-model (sent as nobody-has-it), which home does not list" in warned.err
    surroundings.nexoctl("default", "work")
    surroundings.nexoctl("edit", "home", "--map", "a-rare-model=example-small")
    assert "does not list" not in surroundings.nexoctl("run", "--", sys.executable, "-c", code).err
    surroundings.nexoctl("default", "work")
    code = f"{OPENAI}\nask()\n{SWITCH}\n"
    assert "does not list" not in surroundings.nexoctl("run", "--", sys.executable, "-c", code).err

"""Files of other programs hold anything: no content makes a source fail."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexo_sources import aider, claude_code, codex, continue_dev, environment, litellm, llm
from nexo_sources.finding import Found
from sources_parts import any_content

# The words that mean something in these files, so that chance reaches the code behind them.
NAMES = st.sampled_from(
    """
    env ANTHROPIC_API_KEY ANTHROPIC_BASE_URL ANTHROPIC_AUTH_TOKEN apiKeyHelper model models name
    title provider apiKey apiBase requestOptions headers uses model_list model_name litellm_params
    api_key api_base extra_headers general_settings master_key environment_variables model_provider
    model_providers base_url env_key http_headers env_http_headers query_params auth
    experimental_bearer_token OPENAI_API_KEY tokens openai gemini // Note openai-api-key api-key
    set-env model_id api_key_name api_type corp
    """.split()  # noqa: SIM905 - a list of words reads better
)
CANARY = "canary-of-anything"
CONTENT = any_content(
    NAMES,
    [
        CANARY,
        f"gemini={CANARY}",
        f"openai/{CANARY}",
        "http://[::1",
        "http://127.0.0.1:99999/v1",
        "https://api.openai.com/v1",
        "https://x.example/v1",
        "os.environ/HOME",
        "${{ secrets.X }}",
        "azure",
        "ollama",
        "bedrock",
        "openai",
    ],
)


def read(home: Path, content: object) -> list[Found]:
    """The same content as the file of each program."""
    text = json.dumps(content)
    for name in (
        ".claude/settings.json",
        ".codex/auth.json",
        ".continue/config.yaml",
        "litellm_config.yaml",
        ".aider.conf.yml",
        "llm/keys.json",
        "llm/extra-openai-models.yaml",
    ):
        path = home / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    table = content if isinstance(content, dict) else {}
    variables = {name: value for name, value in table.items() if isinstance(value, str)}
    return [
        claude_code.find(),
        codex.find(),
        codex.from_settings(table, table, "here"),
        continue_dev.find(),
        litellm.find(home / "litellm_config.yaml"),
        aider.find(),
        llm.find(home / "llm"),
        environment.from_variables(variables, "here"),
    ]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=CONTENT)
def test_any_content_is_read_to_the_end(
    content: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for found in read(tmp_path, content):
        merged = found.merged()
        for finding in merged.findings:
            assert finding.name
            finding.draft()
        keys = [finding.api_key for finding in merged.findings if finding.api_key]
        assert all(isinstance(key, str) for key in keys)

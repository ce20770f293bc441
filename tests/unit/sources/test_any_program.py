"""The files of any program hold anything: no content makes a source fail."""

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexo_sources import (
    aichat,
    cline,
    crush,
    droid,
    fabric,
    gemini_cli,
    goose,
    gptme,
    hermes,
    librechat,
    mods,
    openclaw,
    opencode,
    pi,
    project,
    qwen_code,
    shell_gpt,
    zed,
)
from sources_parts import KEY, any_content, write

NAMES = st.sampled_from(
    """
    provider options apiKey baseURL headers npm models model security auth selectedType env modelProviders
    openai envKey baseUrl generationConfig customHeaders language_models openai_compatible
    api_url available_models
    name providers api source id agents defaults primary profiles type key custom_providers base_url key_env
    api_mode endpoints custom default api_key extra_headers clients api_base GOOSE_PROVIDER OPENAI_HOST apis
    api-key api-key-cmd api-key-env base-url services environment large customModels apiKeyHelper base_path
    """.split()  # noqa: SIM905 - a list of words reads better
)
CONTENT = any_content(
    NAMES,
    [
        KEY,
        "http://[::1",
        "https://x.example/v1",
        "${HOME}",
        "{file:~/x}",
        "$(id)",
        "openai",
        "bedrock",
        "a/b",
    ],
)
PLACES = (
    (opencode, ".config/opencode/opencode.json"),
    (qwen_code, ".qwen/settings.json"),
    (gemini_cli, ".gemini/settings.json"),
    (pi, ".pi/agent/models.json"),
    (pi, ".pi/agent/auth.json"),
    (zed, ".config/zed/settings.json"),
    (openclaw, ".openclaw/openclaw.json"),
    (openclaw, ".openclaw/agents/main/agent/auth-profiles.json"),
    (hermes, ".hermes/config.yaml"),
    (librechat, "LibreChat/librechat.yaml"),
    (crush, ".config/crush/crush.json"),
    (aichat, ".config/aichat/config.yaml"),
    (goose, ".config/goose/config.yaml"),
    (goose, ".config/goose/custom_providers/x.json"),
    (mods, ".config/mods/mods.yml"),
    (cline, ".cline/data/settings/providers.json"),
    (droid, ".factory/settings.json"),
    (fabric, ".config/fabric/.env"),
    (gptme, ".config/gptme/config.toml"),
    (shell_gpt, ".config/shell_gpt/.sgptrc"),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(content=CONTENT)
def test_no_content_makes_a_source_fail_and_no_complaint_quotes_it(home: Path, content: object) -> None:
    for source, place in PLACES:
        path = write(home / place, content)
        for found in (source.find(), source.find(path), project.find(path)):
            assert all(KEY not in skipped.reason for skipped in found.skipped)
            for finding in found.findings:
                finding.draft()
        path.unlink()

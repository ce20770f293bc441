"""Files of the current directory, and programs that are not read: they are named."""

from pathlib import Path

import pytest

from nexo_sources import elsewhere, project
from sources_parts import KEY, OTHER, reasons, told, write

# -- this directory


def test_files_of_this_directory_are_named_and_read_only_when_asked_for(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("yaml")
    monkeypatch.setenv("SHELL_KEY", OTHER)
    local = write(
        home / "clone/.env.local", f"OPENAI_API_KEY={KEY}\nOPENAI_BASE_URL=https://llm.example/v1\n"
    )
    envrc = write(
        home / "clone/.envrc",
        'export ANTHROPIC_API_KEY="$(pass show x)"\n'
        f"export GROQ_API_KEY={KEY}\nexport XAI_API_KEY=$SHELL_KEY\n",
    )
    compose = write(
        home / "clone/compose.yaml",
        "services:\n"
        f"  web: {{environment: [MISTRAL_API_KEY={KEY}, 'DEEPSEEK_API_KEY=${{SHELL_KEY}}']}}\n"
        f"  api: {{environment: {{CEREBRAS_API_KEY: {KEY}}}}}\n",
    )
    write(home / "clone/docker-compose.yml", "services: {db: {image: postgres}}")
    named = project.find()
    assert not named.findings
    assert list(reasons(named)) == [".env.local", ".envrc", "compose.yaml"]
    assert all("if you trust it: nexoctl import project --file" in text for text in reasons(named).values())
    assert told(project.find(local)) == [("llm", "custom", "https://llm.example/v1", KEY, "")]
    assert [name for name, *_ in told(project.find(envrc))] == ["groq"]
    assert {name for name, *_ in told(project.find(compose))} == {"mistral", "cerebras"}


@pytest.mark.parametrize(
    ("name", "line", "kept"),
    [
        ("BASE_URL", "OPENAI_API_KEY", []),
        ("GOOGLE_URL", "GOOGLE_API_KEY", []),
        ("GOOGLE_PROXY_URL", "GOOGLE_API_KEY", []),
        ("BASE_URL", "GROQ_API_KEY", ["groq"]),
    ],
)
@pytest.mark.parametrize("file", [".env.local", "compose.yaml"])
def test_a_key_of_nextchat_and_lobechat_is_not_for_the_public_host_beside_its_address(
    home: Path, file: str, name: str, line: str, kept: list[str]
) -> None:
    pytest.importorskip("yaml")
    variables = {line: KEY, name: "https://llm.example"}
    dotenv = "".join(f"{one}={value}\n" for one, value in variables.items())
    content = dotenv if file == ".env.local" else {"services": {"chat": {"environment": variables}}}
    found = project.find(write(home / "clone" / file, content))
    assert [one.name for one in found.findings] == kept
    assert len(found.findings) + len(found.incomplete) == 1


# -- programs that are not read


def test_programs_that_are_here_and_not_read_are_named_with_the_way_to_take_them_over(home: Path) -> None:
    assert not elsewhere.find()
    (home / ".config/VSCodium/User/globalStorage/saoudrizwan.claude-dev").mkdir(parents=True)
    (home / ".open-webui").mkdir()
    found = elsewhere.find()
    assert reasons(found) == {
        "Cline": "it is not read; its keys are in the secret storage of the editor. "
        "Add one with: nexoctl add",
        "Open WebUI": "it is not read; its keys are in a database of its own. Add one with: nexoctl add",
    }


@pytest.mark.parametrize("program", elsewhere.PROGRAMS, ids=lambda program: program.title)
def test_each_of_them_is_found_by_each_of_its_places(home: Path, program: elsewhere.UnreadProgram) -> None:
    for place in program.places:
        path = home / place.replace("*", "Code")
        path.mkdir(parents=True)
        assert [one.what for one in elsewhere.find().skipped if one.place.endswith(place.split("*")[-1])] == [
            program.title
        ]
        path.rmdir()

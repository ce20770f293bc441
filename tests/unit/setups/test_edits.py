"""A settings file of somebody else's program gets our values and keeps everything else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexo_cli.setups.edits import FileForm, PlacedValue, edited, value_at
from nexo_cli.setups.place import ABSENT, ListEntry
from nexo_cli.setups.programs import PROGRAMS, Program
from nexo_cli.setups.templates import filled
from nexo_client.variables import RIVALS
from nexo_sources import claude_code, reading
from nexo_sources.loose_json import loose_json_of
from nexo_sources.reading import Unreadable

WORDS = {
    "openai": "http://127.0.0.1:20100/openai/v1",
    "anthropic": "http://127.0.0.1:20100/anthropic",
    "google": "http://127.0.0.1:20100/google",
    "ollama": "http://127.0.0.1:20100/ollama",
    "token": "nexo_a-token",
    "model": "model-a",
}
PARSERS = {
    FileForm.JSON: loose_json_of,
    FileForm.TOML: reading.toml_of,
    FileForm.YAML: reading.yaml_of,
    FileForm.ENV: reading.variables_of,
}

LIVED_IN = {
    FileForm.JSON: [
        "",
        "{}",
        "{ }\n",
        "{\n}\n",
        '{"theme": "dark"}',
        '{\n\t"theme": "dark", // mine\n\t/* a note */\n}\n',
        "{\n  // only a comment\n}\n",
        '{"env": {"A": "1", "ANTHROPIC_API_KEY": "sk-old"}, "apiKeyHelper": "pass x", "z": [1, {"b": 2}]}',
        '{\n    "env": {\n        "ANTHROPIC_BASE_URL": "https://old", // old one\n'
        '        "KEEP": "1"\n    },\n'
        '    "list": [\n        "a", // first\n        "b"\n    ]\n}\n',
        "{'provider': {openai: {models: {'gpt-5': {}}, options: {apiKey: 'sk-old',}}}}",
        '{"provider": "a text"}',
        '{"security": {"auth": {}}, "security": {"auth": {"selectedType": "oauth-personal"}}}',
        '{"a": "}{,:", "b": "\\"env\\": {"}',
    ],
    FileForm.TOML: [
        "",
        "# mine\n",
        'model = "gpt-5" # the best\n\n[tui]\ntheme = "x"\n',
        'model_provider = "openai" # today\n[model_providers.nexo]\nbase_url = "http://old" # old\n'
        'name = "N"\n',
        '[model_providers."other one"]\nbase_url = "http://b"\n\n[[hooks]]\nname = "h"\n',
        "[mcp_servers.x]\nargs = [\n  'a',\n  'b',\n]\n",
        "notify = [\n  ['a'], # first\n  ['b'],\n]\n",
        'model_providers.nexo.base_url = "http://dotted"\n',
        'notes = """\n[model_providers.nexo]\nbase_url = "not a setting"\n"""\n',
        'model_provider = "x"\r\n[tui]\r\na = 1\r\n',
    ],
    FileForm.YAML: [
        "",
        "# mine\n",
        "---\nname: Local # me\nmodels:\n  - name: Other # keep\n    provider: ollama\n    model: x\n\n"
        "rules: []\n",
        "models:\n- name: Nexo\n  provider: old\n- name: B\n  provider: c\nother: 1\n",
        "models: []\n",
        "{models: [{name: X}]}\n",
        "apis:\n  openai: # theirs\n    base-url: https://api.openai.com/v1\n    api-key-env: X\n"
        "    models:\n"
        "      gpt-5:\n        aliases: [five]\n  groq:\n    api-key:\n",
        "openai-api-base: https://old # old\nmodel: m\n",
        "text: |\n  openai-api-base: not a setting\n  # nor a comment\n",
        "a: &x 1\nb: *x\n",
    ],
    FileForm.ENV: [
        "",
        "# mine\nA=1\n",
        "export GEMINI_API_KEY='old'\nB=2",
        "GEMINI_API_KEY=a\nGEMINI_API_KEY=b\n",
        'export GEMINI_API_KEY="o\'ld # not a note" # mine\n',
        "PEM='-----BEGIN\nGEMINI_API_KEY=no\n-----END'\nB=1\n",
    ],
}


REFUSED = (
    '{"provider": "a text"}',
    'model_providers.nexo.base_url = "http://dotted"\n',
    "{models: [{name: X}]}\n",
    'notes = """\n[model_providers.nexo]\nbase_url = "not a setting"\n"""\n',
)
COMMENTS = ("# mine", "// mine", "/* a note */", "// only a comment", "// first", "# keep", "# theirs")


def settings() -> list[Any]:
    return [
        pytest.param(setting, text, id=f"{program.name}-{number}-{index}")
        for program in PROGRAMS
        for number, setting in enumerate(program.settings)
        for index, text in enumerate(LIVED_IN[setting.form])
    ]


def without(tree: Any, changes: list[PlacedValue]) -> Any:
    """What a parsed file says beside the places."""
    tree = json.loads(json.dumps(tree if tree is not None else {}))
    for change in changes:
        at = tree
        for step in change.place[:-1]:
            at = at.get(step, {}) if isinstance(at, dict) else {}
        last = change.place[-1]
        if isinstance(last, ListEntry):
            if isinstance(at, list):
                at[:] = [one for one in at if not last.is_(one)]
        elif isinstance(at, dict):
            at.pop(last, None)
    return pruned(tree)


def pruned(tree: Any) -> Any:
    if isinstance(tree, dict):
        kept = {name: pruned(entry) for name, entry in tree.items()}
        return {name: entry for name, entry in kept.items() if entry not in ({}, [], None)}
    return tree or {} if isinstance(tree, list) else tree


@pytest.mark.parametrize(("setting", "text"), settings())
def test_a_lived_in_file_says_what_it_should_or_is_left_alone(setting: Any, text: str) -> None:
    parse = PARSERS[setting.form]
    changes = setting.changes(WORDS)
    try:
        after = edited(text, setting.form, changes)
    except Unreadable:
        assert text in REFUSED or (
            isinstance(changes[0].place[0], ListEntry) and isinstance(parse(text), dict)
        )
        return
    tree = parse(after)
    assert [value_at(tree, change.place) for change in changes] == [change.value for change in changes]
    before = parse(text) if text.strip() else None
    assert without(tree, changes) == without(before, changes)
    for comment in COMMENTS:
        assert (comment in after) == (comment in text)
    # Once more changes nothing.
    assert edited(after, setting.form, changes) == after


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (FileForm.JSON, '{"a": '),
        (FileForm.JSON, "[1]"),
        (FileForm.JSON, '{"env": "sk-secret"}'),
        (FileForm.JSON, '{"env": {,}}'),
        (FileForm.JSON, '{"env": {}, "a": ' + "1" * 5000 + "}"),
        (FileForm.JSON, '{"a": ' * 10_000 + "1" + "}" * 10_000),
        (FileForm.TOML, "a = = sk-secret"),
        (FileForm.TOML, "a = " + "1" * 5000),
        (FileForm.TOML, 'model_providers = { nexo = { name = "sk-secret" } }'),
        (FileForm.YAML, "a: [sk-secret"),
        (FileForm.YAML, "just a text"),
        (FileForm.YAML, "a: &a [*a]"),
        (FileForm.YAML, "models: {a: 1}"),
    ],
)
def test_a_file_that_cannot_be_changed_safely_is_refused_without_quoting_it(
    form: FileForm, text: str
) -> None:
    changes = {
        FileForm.JSON: [PlacedValue(("env", "A"), "1")],
        FileForm.TOML: [PlacedValue(("model_providers", "nexo", "base_url"), "http://x")],
        FileForm.YAML: [PlacedValue(("models", ListEntry("name", "Nexo")), {"name": "Nexo"})],
    }[form]
    with pytest.raises(Unreadable) as told:
        edited(text, form, changes)
    assert "sk-secret" not in str(told.value)


@pytest.mark.parametrize("depth", [600, 800, 900])
@pytest.mark.parametrize("form", [FileForm.JSON, FileForm.TOML])
def test_deep_nesting_is_changed_or_refused(form: FileForm, depth: int) -> None:
    """How deep Python's parsers can read depends on its version."""
    deep = '"a": ' + '{"a": ' * depth + "1" + "}" * depth if form is FileForm.JSON else "a." * depth + "a = 1"
    text = f"{{{deep}}}" if form is FileForm.JSON else deep
    try:
        after = edited(text, form, [PlacedValue(("env", "A"), "new")])
    except Unreadable:
        return
    assert deep in after
    assert '"new"' in after


@pytest.mark.parametrize("name", claude_code.CLOUDS)
def test_claude_code_is_led_to_the_gateway_also_from_a_cloud(name: str) -> None:
    (setting,) = next(one.settings for one in PROGRAMS if one.name == "claude-code")
    env = loose_json_of(
        edited(json.dumps({"env": {name: "1", "AWS_REGION": "eu"}}), setting.form, setting.changes(WORDS))
    )["env"]
    assert env["ANTHROPIC_BASE_URL"] == WORDS["anthropic"]
    assert env["AWS_REGION"] == "eu"
    assert name not in env
    # `nexoctl run` removes it from the environment, too.
    assert name in RIVALS


@pytest.mark.parametrize("value", ["", "plain", "a # b", "'", '"', "a'b # c", "$X", "a b"])
def test_a_variable_takes_any_former_value_again_and_keeps_its_note(value: str) -> None:
    text = "export A=new # mine\nB=1"
    after = edited(text, FileForm.ENV, [PlacedValue(("A",), value)])
    assert reading.variables_of(after) == {"A": value, "B": "1"}
    assert edited(after, FileForm.ENV, [PlacedValue(("A",), "new")]) == text


_names = st.text("abc_-XYZ", min_size=1, max_size=4)
_scalars = st.one_of(st.text(max_size=8), st.integers(-99, 99), st.booleans())
_trees = st.recursive(
    st.dictionaries(_names, _scalars, max_size=3),
    lambda inner: st.dictionaries(_names, inner | _scalars | st.lists(_scalars, max_size=2), max_size=4),
    max_leaves=12,
)


@given(
    _trees,
    st.lists(_names, min_size=1, max_size=3),
    st.one_of(st.just(ABSENT), st.text(max_size=8)),
    st.sampled_from([None, 2, "\t"]),
)
def test_any_json_keeps_all_but_the_place(
    tree: dict[str, Any], path: list[str], value: Any, indent: Any
) -> None:
    text = json.dumps(tree, indent=indent, ensure_ascii=False)
    change = PlacedValue(tuple(path), value)
    try:
        after = edited(text, FileForm.JSON, [change])
    except Unreadable:
        # Something else than a table is in the way.
        at: Any = tree
        for name in path[:-1]:
            at = at.get(name, {}) if isinstance(at, dict) else at
        assert not isinstance(at, dict)
        return
    assert value_at(loose_json_of(after), change.place) == value
    assert without(loose_json_of(after), [change]) == without(tree, [change])


_plain = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=8)


@given(st.lists(st.tuples(_names, _plain), max_size=4, unique_by=lambda pair: pair[0]), _names, _names)
def test_any_plain_toml_and_yaml_takes_a_value_and_gives_it_back(
    pairs: list[tuple[str, str]], table: str, name: str
) -> None:
    rows = [(key, json.dumps(text, ensure_ascii=False)) for key, text in pairs if key not in (table, name)]
    toml = "".join(f"{key} = {text} # {key}\n" for key, text in rows)
    yaml = "".join(f"{json.dumps(key)}: {text} # {key}\n" for key, text in rows)
    for form, text in ((FileForm.TOML, toml), (FileForm.YAML, yaml)):
        after = edited(text, form, [PlacedValue((table, name), "new")])
        assert value_at(PARSERS[form](after), (table, name)) == "new"
        for key, _ in rows:
            assert f"# {key}\n" in after
        again = edited(after, form, [PlacedValue((table, name), ABSENT)])
        assert pruned(PARSERS[form](again) or {}) == pruned(PARSERS[form](text) or {})


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_every_program_is_told_something_and_no_word_is_left_over(program: Program) -> None:
    texts = [
        json.dumps(change.value)
        for setting in program.settings
        for change in setting.changes(WORDS)
        if change.value is not ABSENT
    ]
    texts += [filled(text, WORDS) for text in program.by_hand]
    assert any("127.0.0.1:20100" in text for text in texts)
    assert not any("{openai}" in text or "{token}" in text or "{model}" in text for text in texts)

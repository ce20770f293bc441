"""Which connection a program gets: the whole truth table, and that a bad override never falls through."""

from datetime import UTC, datetime
from itertools import product
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexo.connections.errors import NexoError
from nexo.connections.terms import AuthScheme, Provider, Reason, ResolutionSource
from nexo_daemon.domain.model import (
    Binding,
    Settings,
    StoredConnection,
    StoredState,
    WorkspaceKey,
    WorkspaceKind,
)
from nexo_daemon.registry.resolution import Question, StandIn, find_binding, resolve
from nexo_daemon.registry.snapshot import RegistrySnapshot

NOW = datetime(2026, 11, 23, tzinfo=UTC)
HERE = WorkspaceKey(WorkspaceKind.PATH, "/home/ada/projects/alpha/src")


def connection(name: str, *, enabled: bool = True) -> StoredConnection:
    return StoredConnection(
        id=f"id-{name}",
        name=name,
        provider=Provider.CUSTOM,
        base_url="http://127.0.0.1:1/v1",
        auth_scheme=AuthScheme.BEARER,
        enabled=enabled,
        created_at=NOW,
        updated_at=NOW,
    )


def snapshot(
    *connections: StoredConnection, default: str | None = None, bindings: dict[str, str] | None = None
) -> RegistrySnapshot:
    bound = tuple(
        Binding(WorkspaceKey(WorkspaceKind.PATH, path), f"id-{name}", name, NOW)
        for path, name in (bindings or {}).items()
    )
    settings = Settings(revision=7, default_id=f"id-{default}" if default else None)
    return RegistrySnapshot.of(StoredState(settings, connections, bound, {}))


STATES = ("absent", "good", "disabled", "gone")
# The store cannot hold a default that is gone: a foreign key forbids it.
TABLE = [row for row in product(STATES, repeat=4) if row[3] != "gone"]


@pytest.mark.parametrize(("explicit", "environment", "bound", "default"), TABLE)
def test_the_first_rule_that_applies_decides_whatever_is_below(
    explicit: str, environment: str, bound: str, default: str
) -> None:
    connections = [
        connection(name, enabled=state != "disabled")
        for name, state in (("ex", explicit), ("env", environment), ("ws", bound), ("def", default))
        if state in ("good", "disabled")
    ]
    state = snapshot(
        *connections,
        default="def" if default != "absent" else None,
        bindings={"/home/ada/projects": "ws"} if bound != "absent" else None,
    )
    question = Question(
        workspace=HERE,
        connection="ex" if explicit != "absent" else "",
        environment_connection="env" if environment != "absent" else "",
    )
    rules = [
        (ResolutionSource.EXPLICIT, explicit, "ex"),
        (ResolutionSource.ENVIRONMENT, environment, "env"),
        (ResolutionSource.WORKSPACE, bound, "ws"),
        (ResolutionSource.DEFAULT, default, "def"),
    ]
    found = resolve(state, question)
    winner = next((rule for rule in rules if rule[1] != "absent"), None)
    if winner is None:
        assert found.connection is None
        assert found.problem is not None
        assert found.problem.reason is Reason.NO_DEFAULT_CONNECTION
        return
    source, condition, name = winner
    assert found.source is source
    assert [step.source for step in found.steps if step.won] == [source]
    beaten = [step.source for step in found.steps if "an earlier rule wins" in step.text]
    assert beaten == [rule[0] for rule in rules if rule[1] != "absent" and rule[0] is not source]
    if condition == "good":
        assert found.connection is not None
        assert found.connection.name == name
        assert found.problem is None
        return
    with pytest.raises(NexoError) as raised:
        found.require()
    assert raised.value is found.problem
    expected = {
        "disabled": Reason.CONNECTION_DISABLED,
        "gone": Reason.BINDING_BROKEN
        if source is ResolutionSource.WORKSPACE
        else Reason.CONNECTION_NOT_FOUND,
    }[condition]
    assert found.problem is not None
    assert found.problem.reason is expected
    assert found.problem.hint


def test_the_nearest_bound_ancestor_wins() -> None:
    state = snapshot(
        connection("outer"),
        connection("inner"),
        bindings={"/home/ada": "outer", "/home/ada/projects/alpha": "inner"},
    )
    near = resolve(state, Question(workspace=HERE))
    far = resolve(state, Question(workspace=WorkspaceKey(WorkspaceKind.PATH, "/home/ada/other")))
    assert near.require().name == "inner"
    assert far.require().name == "outer"


def test_a_directory_whose_name_only_begins_alike_is_not_inside() -> None:
    state = snapshot(connection("alpha"), bindings={"/home/ada/pro": "alpha"})
    assert resolve(state, Question(workspace=HERE)).connection is None


def test_a_program_without_a_directory_or_with_a_name_gets_nothing_from_bound_directories() -> None:
    state = snapshot(connection("d"), connection("ws"), default="d", bindings={"/": "ws", "/home/ada": "ws"})
    named = WorkspaceKey(WorkspaceKind.NAME, "/home/ada/nightly")
    assert resolve(state, Question()).require().name == "d"
    assert resolve(state, Question(workspace=named)).require().name == "d"


def test_a_renamed_connection_keeps_its_bindings_and_a_new_one_of_the_old_name_does_not_get_them() -> None:
    state = snapshot(connection("client-a"), bindings={"/home/ada": "client-a"})
    renamed = StoredConnection(**{**_fields(state.connections["id-client-a"]), "name": "client-a-old"})
    state = state.with_connections([renamed])
    impostor = StoredConnection(**{**_fields(renamed), "id": "id-new", "name": "client-a"})
    state = state.with_connections([impostor])
    found = resolve(state, Question(workspace=HERE))
    assert found.require().id == "id-client-a"


def test_a_connection_that_is_made_again_under_the_old_name_does_not_inherit_a_broken_binding() -> None:
    state = snapshot(connection("client-a"), default=None, bindings={"/home/ada": "client-a"})
    state = state.without_connection("id-client-a")
    state = state.with_connections(
        [StoredConnection(**{**_fields(connection("client-a")), "id": "id-again"})]
    )
    found = resolve(state, Question(workspace=HERE))
    assert found.connection is None
    assert found.problem is not None
    assert found.problem.reason is Reason.BINDING_BROKEN


def _fields(value: StoredConnection) -> dict[str, object]:
    return {name: getattr(value, name) for name in StoredConnection.__dataclass_fields__}


STAND_INS = {"id-main": StandIn("id-spare", "main is unhealthy")}


def test_a_stand_in_serves_for_the_default_and_says_so() -> None:
    state = snapshot(connection("main"), connection("spare"), default="main")
    found = resolve(state, Question(), STAND_INS)
    assert found.require().name == "spare"
    assert found.source is ResolutionSource.FALLBACK
    assert "main is unhealthy" in found.detail
    assert [(step.source, step.connection_name) for step in found.steps if step.won] == [
        (ResolutionSource.FALLBACK, "spare")
    ]


def test_the_default_serves_and_the_text_says_why_if_no_stand_in_can() -> None:
    state = snapshot(connection("main"), connection("off", enabled=False), default="main")
    down = resolve(state, Question(), {"id-main": StandIn("id-main", "all are unhealthy")})
    assert (down.require().name, down.source) == ("main", ResolutionSource.DEFAULT)
    assert "all are unhealthy" in down.detail
    for unusable in ("id-off", "id-gone"):
        found = resolve(state, Question(), {"id-main": StandIn(unusable, "main is unhealthy")})
        assert (found.require().name, found.source) == ("main", ResolutionSource.DEFAULT)


@pytest.mark.parametrize(("allowed", "expected"), [(False, "main"), (True, "spare")])
def test_a_stand_in_serves_a_bound_workspace_only_if_its_binding_says_so(
    allowed: bool, expected: str
) -> None:
    state = snapshot(connection("main"), connection("spare"))
    binding = Binding(
        WorkspaceKey(WorkspaceKind.PATH, "/home/ada"), "id-main", "main", NOW, allow_fallback=allowed
    )
    found = resolve(state.with_bindings([binding]), Question(workspace=HERE), STAND_INS)
    assert found.require().name == expected


@pytest.mark.parametrize("field", ["connection", "environment_connection"])
def test_a_connection_that_was_named_is_never_replaced_by_a_stand_in(field: str) -> None:
    state = snapshot(connection("main"), connection("spare"))
    place = WorkspaceKey(WorkspaceKind.PATH, "/home/ada")
    state = state.with_bindings([Binding(place, "id-main", "main", NOW, allow_fallback=True)])
    found = resolve(state, Question(workspace=place, **{field: "main"}), STAND_INS)
    assert found.require().name == "main"


def test_names_are_found_without_regard_to_case_and_a_typo_gets_a_suggestion() -> None:
    state = snapshot(connection("Work"))
    assert resolve(state, Question(connection="wORK")).require().name == "Work"
    problem = resolve(state, Question(connection="wrok")).problem
    assert problem is not None
    assert "did you mean 'Work'" in problem.hint
    assert "NEXO_CONNECTION" not in problem.hint
    of_a_variable = resolve(state, Question(environment_connection="wrok")).problem
    assert of_a_variable is not None
    assert of_a_variable.hint == f"correct or unset NEXO_CONNECTION; {problem.hint}"


@given(
    st.dictionaries(st.from_regex(r"\A(/[ab]{1,2}){0,4}\Z|\A/\Z", fullmatch=True), st.just("w"), max_size=6),
    st.from_regex(r"\A(/[ab]{1,2}){1,6}\Z", fullmatch=True),
)
def test_the_nearest_binding_is_that_of_the_nearest_ancestor(bindings: dict[str, str], path: str) -> None:
    bindings.pop("", None)
    bound = snapshot(connection("w"), bindings=bindings)
    ancestors = [path, *map(str, PurePosixPath(path).parents)]
    expected = next((one for one in ancestors if one in bindings), None)
    found = find_binding(bound, WorkspaceKey(WorkspaceKind.PATH, path))
    assert (found.workspace.value if found else None) == expected

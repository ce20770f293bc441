"""A program in another language spells things its own way: the daemon answers right, or with an error.

Over the raw contract, as a client without our SDK sends it.
"""

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from nexo.connections.v1 import connection_pb2 as c
from nexo.connections.v1 import connection_pb2_grpc, daemon_pb2_grpc, health_pb2_grpc, workspace_pb2_grpc
from nexo.connections.v1 import daemon_pb2 as d
from nexo.connections.v1 import health_pb2 as h
from nexo.connections.v1 import workspace_pb2 as w
from nexo_client.channel import OPTIONS, target
from nexo_client.types import ConnectionDraft
from surroundings import Nexod


@pytest.fixture
def acme(nexod: Nexod, tmp_path: Path) -> str:
    """A directory that is bound to the account of a customer; the default is another."""
    with nexod.client() as client:
        for name in ("mine", "acme"):
            client.create_connection(
                ConnectionDraft(name=name, provider="custom", base_url="http://127.0.0.1:9/v1", api_key=name)
            )
        (tmp_path / "clients" / "acme").mkdir(parents=True)
        client.bind(tmp_path / "clients" / "acme", "acme")
    return str((tmp_path / "clients" / "acme").resolve())


@pytest.fixture
def stub(nexod: Nexod) -> Iterator[workspace_pb2_grpc.WorkspaceServiceStub]:
    with grpc.insecure_channel(target(nexod.socket), options=OPTIONS) as channel:
        yield workspace_pb2_grpc.WorkspaceServiceStub(channel)


SPELLINGS = [
    "{}/",
    "/{}",
    "{}/.",
    "{}/./src",
    "{}/../other",
    "{}//src",
    "clients/acme",
    ".",
    "",
    "~/clients/acme",
    "file://{}",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("method", ["ResolveConnection", "ExplainResolution", "BindWorkspace"])
def test_another_spelling_of_a_directory_is_an_error_and_never_another_account(
    stub: workspace_pb2_grpc.WorkspaceServiceStub, acme: str, spelling: str, method: str
) -> None:
    workspace = w.Workspace(path=spelling.format(acme))
    request = {
        "ResolveConnection": w.ResolveConnectionRequest(inquiry=w.Inquiry(workspace=workspace)),
        "ExplainResolution": w.ExplainResolutionRequest(inquiry=w.Inquiry(workspace=workspace)),
        "BindWorkspace": w.BindWorkspaceRequest(workspace=workspace, connection="mine"),
    }[method]
    with pytest.raises(grpc.RpcError) as refused:
        getattr(stub, method)(request, timeout=30)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "workspace" in refused.value.details()


def test_the_one_spelling_gets_what_is_bound(
    stub: workspace_pb2_grpc.WorkspaceServiceStub, acme: str
) -> None:
    for path in (acme, f"{acme}/src", f"{acme}/not/there/yet"):
        question = w.Inquiry(workspace=w.Workspace(path=path))
        answer = stub.ResolveConnection(w.ResolveConnectionRequest(inquiry=question), timeout=30)
        assert answer.connection.name == "acme"


def test_a_follower_that_misspells_is_told(stub: workspace_pb2_grpc.WorkspaceServiceStub, acme: str) -> None:
    def events() -> Iterator[w.FollowConnectionRequest]:
        yield w.FollowConnectionRequest(hello=w.FollowConnectionRequest.Hello())
        question = w.Inquiry(workspace=w.Workspace(path=acme + "/"))
        yield w.FollowConnectionRequest(
            subscribe=w.FollowConnectionRequest.Subscribe(follower=1, inquiry=question)
        )

    stream = stub.FollowConnection(events(), timeout=30)
    with pytest.raises(grpc.RpcError) as refused:
        next(stream)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_an_empty_name_is_an_error_and_never_the_default(
    stub: workspace_pb2_grpc.WorkspaceServiceStub, acme: str
) -> None:
    for given in ("", " ", "\t"):
        question = w.Inquiry(connection=given)
        with pytest.raises(grpc.RpcError) as refused:
            stub.ResolveConnection(w.ResolveConnectionRequest(inquiry=question), timeout=30)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    answer = stub.ResolveConnection(w.ResolveConnectionRequest(inquiry=w.Inquiry()), timeout=30)
    assert answer.connection.name == "mine"


def test_a_question_of_megabytes_is_refused_before_it_is_looked_at(
    stub: workspace_pb2_grpc.WorkspaceServiceStub, acme: str
) -> None:
    for question in (
        w.Inquiry(workspace=w.Workspace(path="/a" * 100_000)),
        w.Inquiry(workspace=w.Workspace(name="n" * 1_000_000)),
        w.Inquiry(environment_connection="e" * 1_000_000),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            stub.ResolveConnection(w.ResolveConnectionRequest(inquiry=question), timeout=30)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    named = w.ClientInfo(program="p" * 1_000_000)
    with pytest.raises(grpc.RpcError):
        stub.ResolveConnection(w.ResolveConnectionRequest(client=named), timeout=30)


@pytest.mark.parametrize("seconds", [-5, 10**11, 2**63 - 1])
def test_a_check_at_once_with_an_impossible_time_limit_is_refused(nexod: Nexod, seconds: int) -> None:
    request = h.CheckNowRequest(timeout=Duration(seconds=seconds))
    with grpc.insecure_channel(target(nexod.socket), options=OPTIONS) as channel:
        check_now = health_pb2_grpc.HealthServiceStub(channel).CheckNow
        with pytest.raises(grpc.RpcError) as refused:
            check_now(request, timeout=30)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details().startswith("timeout: ")


@pytest.mark.parametrize("seconds", [-(2**63), 2**63 - 1])
def test_a_moment_that_no_calendar_has_is_the_callers_error(nexod: Nexod, seconds: int) -> None:
    request = d.ListHandoutsRequest(since=Timestamp(seconds=seconds))
    with grpc.insecure_channel(target(nexod.socket), options=OPTIONS) as channel:
        list_handouts = daemon_pb2_grpc.DaemonServiceStub(channel).ListHandouts
        with pytest.raises(grpc.RpcError) as refused:
            list_handouts(request, timeout=30)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_preset_says_its_provider(nexod: Nexod) -> None:
    draft = c.ConnectionDraft(name="fast", preset="groq", base_url="http://127.0.0.1:9/v1", api_key="k")
    edit = c.UpdateConnectionRequest(name="other", draft=c.ConnectionDraft(preset="groq"))
    edit.update_mask.paths.extend(["provider", "preset"])
    with grpc.insecure_channel(target(nexod.socket), options=OPTIONS) as channel:
        stub = connection_pb2_grpc.ConnectionServiceStub(channel)
        tested = list(stub.TestDraftConnection(c.TestDraftConnectionRequest(draft=draft), timeout=30))
        assert tested[-1].result.outcome == c.OUTCOME_UNREACHABLE
        made = stub.CreateConnection(c.CreateConnectionRequest(draft=draft), timeout=30)
        other = c.ConnectionDraft(name="other", provider=c.PROVIDER_OPENAI)
        stub.CreateConnection(c.CreateConnectionRequest(draft=other), timeout=30)
        edited = stub.UpdateConnection(edit, timeout=30)
    for answer in (made, edited):
        assert (answer.connection.provider, answer.connection.preset) == (c.PROVIDER_CUSTOM, "groq")

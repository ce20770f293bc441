"""Programs that know nothing of our Python reach the daemon: Node.js with the .proto files, and others."""

from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from nexo.connections.terms import Provider
from nexo_cli.demo.provider import HOME, WORK, ExampleProvider
from nexo_client.types import ConnectionDraft
from surroundings import Nexod, Surroundings

REPOSITORY = Path(__file__).parent.parent.parent


@pytest.fixture
def filled(nexod: Nexod, provider: ExampleProvider) -> Nexod:
    with nexod.client() as client:
        for account in (WORK, HOME):
            url = provider.base_url(Provider.OPENAI)
            client.create_connection(
                ConnectionDraft(name=account.name, provider="openai", base_url=url, api_key=account.key)
            )
    return nexod


@pytest.mark.needs("node")
def test_node_with_nothing_but_the_proto_files(
    filled: Nexod, surroundings: Surroundings, provider: ExampleProvider
) -> None:
    program = Path(__file__).parent / "list_and_resolve.mjs"
    command = ["node", str(program), str(REPOSITORY / "protos"), str(filled.socket), "home"]
    said = surroundings.run(command).json
    assert said["listed"] == [["work", "PROVIDER_OPENAI"], ["home", "PROVIDER_OPENAI"]]
    assert said["resolved"] == [
        "work",
        provider.base_url(Provider.OPENAI),
        WORK.key,
        "RESOLUTION_SOURCE_DEFAULT",
    ]
    assert said["pid"] == filled.pid
    assert said["followed"] == ["work", "home"]
    assert said["leaked"] is False
    assert said["failure"] == {"code": grpc.StatusCode.NOT_FOUND.value[0], "details": 1}


@pytest.fixture
def channel(filled: Nexod) -> "grpc.Channel":
    options = [("grpc.default_authority", "localhost"), ("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(f"unix:{filled.socket}", options=options) as opened:
        yield opened


def test_the_standard_health_service(channel: "grpc.Channel") -> None:
    health = health_pb2_grpc.HealthStub(channel)
    for service in ("", "nexo.connections.v1.ConnectionService", "nexo.connections.v1.WorkspaceService"):
        answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=30)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING, service
    with pytest.raises(grpc.RpcError) as caught:
        health.Check(health_pb2.HealthCheckRequest(service="nobody"), timeout=30)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_reflection_client_calls_without_any_generated_code(channel: "grpc.Channel") -> None:
    database = ProtoReflectionDescriptorDatabase(channel)
    services = set(database.get_services())
    assert {
        "grpc.health.v1.Health",
        "nexo.connections.v1.ConnectionService",
        "nexo.connections.v1.DaemonService",
        "nexo.connections.v1.HealthService",
        "nexo.connections.v1.WorkspaceService",
    } <= services
    pool = DescriptorPool(database)
    method = pool.FindServiceByName("nexo.connections.v1.ConnectionService").FindMethodByName(
        "ListConnections"
    )
    call = channel.unary_unary(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    answer = MessageToDict(
        call(GetMessageClass(method.input_type)(), timeout=30), preserving_proto_field_name=True
    )
    assert [one["name"] for one in answer["connections"]] == ["work", "home"]
    assert WORK.key not in str(answer)

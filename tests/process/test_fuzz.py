"""Malformed and random messages at the socket: no crash, no hang, no answer that is a traceback, no leak.

NEXO_FUZZ chooses how many (default 1 500; 100 000 before a release).
"""

import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from nexo.connections.v1 import (
    connection_pb2,
    daemon_pb2,
    health_pb2,
    store_pb2,
    vault_pb2,
    workspace_pb2,
)
from nexo_client.terms import Provider
from nexo_client.types import ConnectionDraft
from surroundings import Nexod, Surroundings

ROUNDS = int(os.environ.get("NEXO_FUZZ", "1500"))
# Ends the daemon, waits for a person or for the network, or takes half a second of scrypt on purpose.
LEFT_OUT = {
    *("Shutdown", "UnlockVault", "RekeyVault", "RotateDataKey", "LockVault"),
    *("CheckNow", "TestConnection", "TestDraftConnection", "ListModels"),
}
NASTY = (
    *("", "\0", "a" * 5000, "🙂" * 40, "../../etc/passwd", "'; DROP TABLE connections;--", "\r\nX: y"),
    *("%s%n", "http://[::1", "https://user:pass@host", "\u202egnirts", "-rf", "null", "{}", '{"a":' * 2000),
)


def methods() -> Iterator[tuple[str, type[Message], bool]]:
    for module in (connection_pb2, daemon_pb2, health_pb2, store_pb2, vault_pb2, workspace_pb2):
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                if method.name not in LEFT_OUT:
                    kind: Any = method.input_type._concrete_class
                    yield f"/{service.full_name}/{method.name}", kind, bool(method.server_streaming)


def fill(message: Message, chance: random.Random, depth: int = 0) -> Message:
    """Random values in random fields."""
    for field in message.DESCRIPTOR.fields:
        if chance.random() < 0.4 or depth > 3:
            continue
        many = chance.randrange(4) if field.is_repeated else 1
        for _ in range(many):
            put(message, field, chance, depth)
    return message


def put(message: Message, field: FieldDescriptor, chance: random.Random, depth: int) -> None:
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        target = getattr(message, field.name)
        if field.message_type.GetOptions().map_entry:
            return
        fill(target.add() if field.is_repeated else target, chance, depth + 1)
        if not field.is_repeated:
            target.SetInParent()
        return
    value: Any
    if field.type == FieldDescriptor.TYPE_STRING:
        value = chance.choice((*NASTY, chance.randbytes(9).hex(), "work", "openai", "w"))
    elif field.type == FieldDescriptor.TYPE_BYTES:
        value = chance.randbytes(chance.randrange(200))
    elif field.type == FieldDescriptor.TYPE_BOOL:
        value = chance.random() < 0.5
    elif field.type == FieldDescriptor.TYPE_ENUM:
        value = chance.choice((0, 1, 2, 3, 99))
    elif field.type in (FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE):
        value = chance.choice((0.0, -1.0, 1e308, float("inf"), float("nan")))
    elif field.type in (FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_SINT32):
        value = chance.choice((0, -1, 1, 2**31 - 1, -(2**31)))
    else:
        value = chance.choice((0, 1, 2**31 - 1))
    if field.is_repeated:
        getattr(message, field.name).append(value)
    else:
        setattr(message, field.name, value)


def resident_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


@pytest.fixture
def channel(nexod: Nexod) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(
        f"unix:{nexod.socket}", options=(("grpc.default_authority", "localhost"),)
    ) as opened:
        yield opened


def attack(channel: grpc.Channel, path: str, data: bytes, *, streams: bool) -> grpc.StatusCode:
    """Send the bytes as they are; the status that comes back."""
    try:
        if streams:
            # A stream may rightly have nothing to say yet.
            call = channel.unary_stream(path)(data, timeout=0.5)
            next(iter(call), None)
            call.cancel()
        else:
            channel.unary_unary(path)(data, timeout=60)
    except grpc.RpcError as error:
        said, code = error.details() or "", error.code()
    else:
        return grpc.StatusCode.OK
    assert "Traceback" not in said
    return code


def test_random_messages_are_answered_or_refused(
    nexod: Nexod, surroundings: Surroundings, channel: grpc.Channel
) -> None:
    with nexod.client() as client:
        client.create_connection(ConnectionDraft(name="work", provider=Provider.OLLAMA))
    chance = random.Random(7)
    table = list(methods())
    assert len(table) >= 20
    seen: dict[grpc.StatusCode, int] = {}
    warm = 0
    for round_ in range(ROUNDS):
        path, kind, streams = chance.choice(table)
        data = fill(kind(), chance).SerializeToString()
        style = round_ % 4
        if style == 1 and data:
            mutable = bytearray(data)
            for _ in range(1 + len(mutable) // 20):
                mutable[chance.randrange(len(mutable))] = chance.randrange(256)
            data = bytes(mutable)
        elif style == 2:
            data = chance.randbytes(chance.randrange(300))
        code = attack(channel, path, data, streams=streams)
        seen[code] = seen.get(code, 0) + 1
        assert streams or code is not grpc.StatusCode.DEADLINE_EXCEEDED, (path, round_)
        assert code is not grpc.StatusCode.UNAVAILABLE, (path, round_)
        if round_ == ROUNDS // 3:
            warm = resident_kb(nexod.pid)
    assert nexod.process.poll() is None
    log = (surroundings.state_dir / "nexod.log").read_text()
    assert "unexpected" not in log, [line for line in log.splitlines() if "unexpected" in line][:5]
    grown = resident_kb(nexod.pid) - warm
    print({str(code): count for code, count in seen.items()}, f"grown by {grown} kB")
    # What was created is kept; beyond that, noise.
    assert grown < 40_000
    assert surroundings.nexoctl("--json", "store", "check").json["ok"]


def test_raw_bytes_at_the_socket_harm_nobody(nexod: Nexod, surroundings: Surroundings) -> None:
    chance = random.Random(11)
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    for round_ in range(60):
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(5)
            line.connect(str(nexod.socket))
            data = chance.randbytes(chance.randrange(1, 3000))
            if round_ % 2:
                data = preface + data
            try:
                line.sendall(data)
                line.shutdown(socket.SHUT_WR)
                while line.recv(4096):
                    pass
            except OSError:
                continue
    assert nexod.process.poll() is None
    assert surroundings.nexoctl("list").code == 0


def test_an_oversized_message_is_refused(nexod: Nexod, channel: grpc.Channel) -> None:
    path = "/nexo.connections.v1.ConnectionService/CreateConnection"
    code = attack(channel, path, b"\x0a" + b"\xff" * 6_000_000, streams=False)
    assert code in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL)
    assert nexod.process.poll() is None

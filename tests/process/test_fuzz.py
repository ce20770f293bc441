"""Malformed and random messages at the socket: no crash, no hang, no answer that is a traceback, no leak.

NEXO_FUZZ chooses how many (default 1 500; 100 000 before a release). Methods whose every call costs something
(a key derivation, a connection attempt, the key itself) get a hundredth of that, and at least 200.
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
from google.protobuf.message import DecodeError, Message

from nexo.connections.terms import Provider, VaultState
from nexo.connections.v1 import (
    connection_pb2,
    daemon_pb2,
    health_pb2,
    store_pb2,
    vault_pb2,
    workspace_pb2,
)
from nexo_client.types import ConnectionDraft
from nexo_daemon.vault.derivation import new_recovery_code
from surroundings import Nexod, Surroundings

ROUNDS = int(os.environ.get("NEXO_FUZZ", "1500"))
COSTLY_ROUNDS = max(200, ROUNDS // 100)
COSTLY = {
    *("UnlockVault", "RekeyVault", "RotateDataKey", "LockVault"),
    *("CheckNow", "TestConnection", "TestDraftConnection", "ListModels"),
}
KEY = "sk-of-the-fuzzed-vault"
# Nothing listens there.
NOWHERE = "http://127.0.0.1:9/v1"
NASTY = (
    *("", "\0", "a" * 5000, "🙂" * 40, "../../etc/passwd", "'; DROP TABLE connections;--", "\r\nX: y"),
    *("%s%n", "http://[::1", "https://user:pass@host", "\u202egnirts", "-rf", "null", "{}", '{"a":' * 2000),
)


def methods() -> Iterator[tuple[str, type[Message], bool]]:
    for module in (connection_pb2, daemon_pb2, health_pb2, store_pb2, vault_pb2, workspace_pb2):
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                # The one that is left out ends the daemon, which is its purpose.
                if method.name != "Shutdown":
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


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def assert_no_surprise(surroundings: Surroundings) -> None:
    log = (surroundings.state_dir / "nexod.log").read_text()
    assert "unexpected" not in log, [line for line in log.splitlines() if "unexpected" in line][:5]


def resident_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def channel_to(nexod: Nexod) -> grpc.Channel:
    return grpc.insecure_channel(f"unix:{nexod.socket}", options=(("grpc.default_authority", "localhost"),))


@pytest.fixture
def channel(nexod: Nexod) -> Iterator[grpc.Channel]:
    with channel_to(nexod) as opened:
        yield opened


def attack(channel: grpc.Channel, path: str, data: bytes, *, streams: bool) -> grpc.StatusCode:
    """Send the bytes as they are; the status that comes back."""
    if not streams:
        return ask(channel, path, data, streams=False)[0]
    try:
        # A stream may rightly have nothing to say yet.
        call = channel.unary_stream(path)(data, timeout=0.5)
        next(iter(call), None)
        call.cancel()
    except grpc.RpcError as error:
        return refusal(error)
    return grpc.StatusCode.OK


def ask(
    channel: grpc.Channel, path: str, data: bytes, *, streams: bool
) -> tuple[grpc.StatusCode, list[bytes]]:
    """Send the bytes as they are; the status and the whole answer."""
    answer: list[bytes] = []
    try:
        if streams:
            answer += channel.unary_stream(path)(data, timeout=60)
        else:
            answer.append(channel.unary_unary(path)(data, timeout=60))
    except grpc.RpcError as error:
        return refusal(error), answer
    return grpc.StatusCode.OK, answer


def refusal(error: grpc.RpcError) -> grpc.StatusCode:
    assert "Traceback" not in (error.details() or "")
    return error.code()


def spoiled(data: bytes, style: int, chance: random.Random) -> bytes:
    """As it is, with bytes changed, or random bytes instead."""
    if style == 1 and data:
        mutable = bytearray(data)
        for _ in range(1 + len(mutable) // 20):
            mutable[chance.randrange(len(mutable))] = chance.randrange(256)
        return bytes(mutable)
    return chance.randbytes(chance.randrange(300)) if style == 2 else data


def in_bounds(kind: type[Message], data: bytes, words: str, chance: random.Random) -> bytes:
    """The request, if it is one, without what would reach the internet or is meant to give up secrets."""
    message: Any = kind()
    try:
        message.ParseFromString(data)
    except DecodeError:
        return data
    fields = message.DESCRIPTOR.fields_by_name
    if "timeout" in fields and chance.random() < 0.8:
        message.timeout.FromMilliseconds(chance.choice((1, 500)))
    if "name" in fields and chance.random() < 0.5:
        message.name = "work"
    if "draft" in fields and chance.random() < 0.8:
        message.draft.Clear()
        message.draft.MergeFrom(connection_pb2.ConnectionDraft(provider=1, api_key=KEY))
    for edited in ("draft", "changes"):
        if edited in fields:
            # An empty one stands for the provider's own.
            getattr(message, edited).base_url = NOWHERE
    if "passphrase" in fields and chance.random() < 0.5:
        message.passphrase = words or "correct horse battery"
    if kind is vault_pb2.RotateDataKeyRequest and chance.random() < 0.8:
        message.recovery_code = new_recovery_code()
    if "slot" in fields and chance.random() < 0.5:
        message.slot = chance.randrange(5)
    if "forget_secrets" in fields:
        message.forget_secrets = False
    return bytes(message.SerializeToString())


def test_random_messages_are_answered_or_refused(
    nexod: Nexod, surroundings: Surroundings, channel: grpc.Channel
) -> None:
    with nexod.client() as client:
        client.create_connection(ConnectionDraft(name="work", provider=Provider.OLLAMA))
    chance = random.Random(7)
    table = [one for one in methods() if one[0].rpartition("/")[2] not in COSTLY]
    assert len(table) >= 20
    seen: dict[grpc.StatusCode, int] = {}
    warm = 0
    for round_ in range(ROUNDS):
        path, kind, streams = chance.choice(table)
        data = spoiled(fill(kind(), chance).SerializeToString(), round_ % 4, chance)
        code = attack(channel, path, data, streams=streams)
        seen[code] = seen.get(code, 0) + 1
        assert streams or code is not grpc.StatusCode.DEADLINE_EXCEEDED, (path, round_)
        assert code is not grpc.StatusCode.UNAVAILABLE, (path, round_)
        if round_ == ROUNDS // 3:
            warm = resident_kb(nexod.pid)
    assert nexod.process.poll() is None
    assert_no_surprise(surroundings)
    grown = resident_kb(nexod.pid) - warm
    print({str(code): count for code, count in seen.items()}, f"grown by {grown} kB")
    # What was created is kept; beyond that, noise.
    assert grown < 40_000
    assert surroundings.nexoctl("--json", "store", "check").json["ok"]


def test_no_order_of_vault_calls_and_tests_loses_a_key(nexod: Nexod, surroundings: Surroundings) -> None:
    vault = "/nexo.connections.v1.VaultService/"
    chance = random.Random(13)
    table = [one for one in methods() if one[0].rpartition("/")[2] in COSTLY]
    assert len(table) == len(COSTLY)
    seen: dict[str, int] = {}
    words = ""
    with nexod.client() as client, channel_to(nexod) as channel:
        client.create_connection(
            ConnectionDraft(name="work", provider=Provider.CUSTOM, base_url=NOWHERE, api_key=KEY)
        )
        _, (made,) = ask(channel, f"{vault}ProposeRecoveryCode", b"", streams=False)
        recovery = vault_pb2.ProposeRecoveryCodeResponse.FromString(made).recovery_code
        given = vault_pb2.SetRecoveryCodeRequest(recovery_code=recovery).SerializeToString()
        assert ask(channel, f"{vault}SetRecoveryCode", given, streams=False)[0] is grpc.StatusCode.OK

        def assert_the_key_is_there() -> None:
            if client.status().vault is not VaultState.UNLOCKED:
                request = vault_pb2.UnlockVaultRequest(passphrase=words) if words else None
                data = request.SerializeToString() if request else b""
                assert ask(channel, f"{vault}UnlockVault", data, streams=False)[0] is grpc.StatusCode.OK
            assert client.resolve("work").api_key == KEY

        warm, descriptors = 0, 0
        # Chance has to let each of them succeed as well, whatever fields the contract has by now.
        wanted = {f"{method} OK" for method in COSTLY - {"ListModels"}}
        for round_ in range(4 * COSTLY_ROUNDS):
            if round_ >= COSTLY_ROUNDS and wanted <= seen.keys():
                break
            path, kind, streams = chance.choice(table)
            data = spoiled(fill(kind(), chance).SerializeToString(), round_ % 4, chance)
            data = in_bounds(kind, data, words, chance)
            code, _ = ask(channel, path, data, streams=streams)
            method = path.rpartition("/")[2]
            outcome = f"{method} {code.name}"
            seen[outcome] = seen.get(outcome, 0) + 1
            assert code not in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE), outcome
            if method == "RekeyVault" and code is grpc.StatusCode.OK:
                request = vault_pb2.RekeyVaultRequest.FromString(data)
                words = request.passphrase if request.slot == vault_pb2.KEY_SLOT_KIND_PASSPHRASE else ""
            if method == "RotateDataKey" and code is grpc.StatusCode.OK:
                recovery = vault_pb2.RotateDataKeyRequest.FromString(data).recovery_code
            if round_ % 20 == 19:
                assert_the_key_is_there()
            if round_ == COSTLY_ROUNDS // 3:
                warm, descriptors = resident_kb(nexod.pid), open_files(nexod.pid)
        assert_the_key_is_there()
        grown, more = resident_kb(nexod.pid) - warm, open_files(nexod.pid) - descriptors
        # Nothing would have been tried if all had been refused; there are no models where nobody listens.
        assert wanted <= seen.keys(), seen
        print(seen, f"grown by {grown} kB and {more} descriptors")
        assert grown < 40_000
        assert more < 20
    assert_no_surprise(surroundings)
    assert nexod.stop() == 0
    # What a person has in hand is enough after a restart: the passphrase, and the newest recovery code.
    surroundings.start_nexod()
    surroundings.nexoctl("vault", "lock")
    surroundings.nexoctl("vault", "unlock", "--recovery", "--stdin", stdin=f"{recovery}\n")
    assert surroundings.nexoctl("resolve", "--connection", "work", "--format", "key").out.strip() == KEY
    surroundings.nexoctl("vault", "lock")
    surroundings.nexoctl("vault", "unlock", *(["--stdin"] if words else []), stdin=f"{words}\n")
    assert surroundings.nexoctl("resolve", "--connection", "work", "--format", "key").out.strip() == KEY
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

"""A program with a fault opens streams without end; the others watch on, with the real daemon."""

from contextlib import ExitStack

import grpc
import pytest

from nexo.connections.v1 import daemon_pb2, workspace_pb2
from nexo_client import channel
from nexo_daemon.rpc.daemon import WATCHERS_OF_A_PROGRAM
from surroundings import Nexod, wait_for

WATCH = "/nexo.connections.v1.DaemonService/Watch"
FAULTY = workspace_pb2.ClientInfo(name="faulty", pid=4242)


def test_one_program_takes_no_stream_from_another(nexod: Nexod) -> None:
    with nexod.client() as client, ExitStack() as open_:
        line = open_.enter_context(
            grpc.insecure_channel(channel.target(nexod.socket), options=channel.OPTIONS)
        )
        watch = line.unary_stream(
            WATCH,
            request_serializer=daemon_pb2.WatchRequest.SerializeToString,
            response_deserializer=daemon_pb2.WatchResponse.FromString,
        )
        held = [watch(daemon_pb2.WatchRequest(client=FAULTY)) for _ in range(WATCHERS_OF_A_PROGRAM)]
        for stream in held:
            assert next(stream).snapshot is not None
        refused = watch(daemon_pb2.WatchRequest(client=FAULTY))
        with pytest.raises(grpc.RpcError) as error:
            next(refused)
        assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "pid 4242" in error.value.details()
        with client.watch() as events:
            assert next(iter(events)).snapshot is not None
        for stream in held:
            stream.cancel()
        again = wait_for(lambda: _first(watch), "its share is there again")
        again.cancel()


def _first(watch: grpc.UnaryStreamMultiCallable) -> grpc.Call | None:
    stream = watch(daemon_pb2.WatchRequest(client=FAULTY))
    try:
        next(stream)
    except grpc.RpcError:
        return None
    return stream

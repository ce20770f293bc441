"""What does this server offer? For clients without our contract; what answers is loaded for the first."""

from collections.abc import AsyncIterator, Sequence

from grpc_reflection.v1alpha import reflection_pb2

NAME: str = reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"].full_name


class Reflection:
    """grpcio's own servicer, which brings the descriptors' descriptors: a megabyte that few daemons need."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    async def ServerReflectionInfo(
        self, requests: AsyncIterator[reflection_pb2.ServerReflectionRequest], context: object
    ) -> AsyncIterator[reflection_pb2.ServerReflectionResponse]:
        """See grpc_reflection."""
        from grpc_reflection.v1alpha.reflection import aio

        async for answer in aio.ReflectionServicer(self._names).ServerReflectionInfo(requests, context):
            yield answer

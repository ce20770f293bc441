"""What the contract says of each call."""

import re
from importlib import import_module

import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from nexo.connections import v1
from nexo_client import calls

METHODS: list[MethodDescriptor] = [
    method
    for name in ("connection", "daemon", "gateway", "health", "store", "vault", "workspace")
    for service in import_module(f"{v1.__name__}.{name}_pb2").DESCRIPTOR.services_by_name.values()
    for method in service.methods
    if not method.server_streaming
]
# These change nothing that a person has set, although they do not start with Get or List.
ASKING = {
    "CheckNow",
    "CheckStore",
    "ExplainResolution",
    "ProposeRecoveryCode",
    "ResolveConnection",
    "RevealConnection",
}


@pytest.mark.parametrize("method", METHODS, ids=lambda method: str(method.name))
def test_only_what_changes_no_setting_may_be_repeated(method: MethodDescriptor) -> None:
    request = GetMessageClass(method.input_type)()
    reads = bool(re.match("Get|List", method.name)) or method.name in ASKING
    assert calls.method(request).repeatable == reads

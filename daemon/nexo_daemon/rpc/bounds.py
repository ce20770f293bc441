"""Limits for the length of each string in a request, and for the number of repeated values.

Every incoming message passes `check_bounds`. A field that is missing in the tables is a defect: a test
compares them with the contract. The content of a string is checked where it is used.
"""

from collections.abc import Sequence

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from nexo.connections.errors import InvalidField

NAME = 256
WORD = 64
PATH = 4096
# For API keys and header values; `registry.drafts` has the exact limits.
SECRET = 16 * 1024
DOCUMENT = 2 * 1024 * 1024

# Limits in bytes of UTF-8.
BYTES: dict[str, int] = {
    "BindWorkspaceRequest.connection": NAME,
    "CheckNowRequest.names": NAME,
    "ClientInfo.name": NAME,
    "ClientInfo.program": NAME,
    "ClientInfo.version": NAME,
    "ConnectionDraft.api_key": SECRET,
    "ConnectionDraft.api_key_ref": PATH,
    "ConnectionDraft.base_url": PATH,
    "ConnectionDraft.default_model": 1024,
    "ConnectionDraft.headers_json": 1024 * 1024,
    "ConnectionDraft.name": 1024,
    "ConnectionDraft.preset": WORD,
    "ConnectionDraft.remove_headers": NAME,
    "CreateConnectionRequest.fixes": WORD,
    "CreateConnectionRequest.ticket": WORD,
    "CreateGatewayTokenRequest.connection": NAME,
    "CreateGatewayTokenRequest.name": NAME,
    "DeleteConnectionRequest.name": NAME,
    "DeleteConnectionRequest.replace_with": NAME,
    "ExportConnectionsRequest.passphrase": PATH,
    "FieldMask.paths": WORD,
    "GetConnectionRequest.name": NAME,
    "GetHealthRequest.names": NAME,
    "GetLastTestRequest.name": NAME,
    "Header.name": NAME,
    "Header.value": SECRET,
    "ImportConnectionsRequest.consents": NAME,
    "ImportConnectionsRequest.document": DOCUMENT,
    "ImportConnectionsRequest.passphrase": PATH,
    "Inquiry.connection": NAME,
    "Inquiry.environment_connection": NAME,
    "ListHandoutsRequest.name": NAME,
    "ListHealthHistoryRequest.name": NAME,
    "ListModelsRequest.name": NAME,
    "ListSlicedHistoriesRequest.names": NAME,
    "MappedModel.asked": 1024,
    "MappedModel.sent": 1024,
    "NetworkProfile.ca_bundle": PATH,
    "NetworkProfile.no_proxy": 1024,
    "NetworkProfile.proxy_url": PATH,
    "RekeyVaultRequest.passphrase": PATH,
    "ReportOutcomeRequest.connection_id": NAME,
    "RestoreBackupRequest.name": NAME,
    "RevealConnectionRequest.header": NAME,
    "RevealConnectionRequest.name": NAME,
    "RevokeGatewayTokenRequest.name": NAME,
    "RotateDataKeyRequest.passphrase": PATH,
    "SetDefaultConnectionRequest.name": NAME,
    "SetFallbackRequest.connections": NAME,
    "TestConnectionRequest.fixes": WORD,
    "TestConnectionRequest.model": 1024,
    "TestConnectionRequest.name": NAME,
    "TestDraftConnectionRequest.fixes": WORD,
    "TestDraftConnectionRequest.model": 1024,
    "UnlockVaultRequest.passphrase": PATH,
    "UnlockVaultRequest.recovery_code": NAME,
    "SetRecoveryCodeRequest.recovery_code": NAME,
    "AutoLock.problem": NAME,
    "RotateDataKeyRequest.recovery_code": NAME,
    "UpdateConnectionRequest.fixes": WORD,
    "UpdateConnectionRequest.name": NAME,
    "UpdateConnectionRequest.ticket": WORD,
    "Workspace.name": NAME,
    "Workspace.path": PATH,
}

# Limits for repeated fields, in entries.
COUNT: dict[str, int] = {
    "CheckNowRequest.names": 20_000,
    "ConnectionDraft.headers": 256,
    "ConnectionDraft.model_map": 256,
    "ConnectionDraft.remove_headers": 256,
    "CreateConnectionRequest.fixes": 16,
    "FieldMask.paths": 64,
    "GetHealthRequest.names": 20_000,
    "GetUsageRequest.by": 8,
    "ImportConnectionsRequest.consents": 20_000,
    "ListSlicedHistoriesRequest.names": 20_000,
    "NetworkProfile.no_proxy": 256,
    "SetFallbackRequest.connections": 20_000,
    "TestConnectionRequest.fixes": 16,
    "TestDraftConnectionRequest.fixes": 16,
    "UpdateConnectionRequest.fixes": 16,
}


# Fields that have another name for users.
_CALLED = {"Workspace.path": "workspace", "Workspace.name": "workspace"}


def check_bounds(message: Message) -> None:
    """Check that no value of the message is longer than its limit.

    Raises:
        InvalidField: names the field; the value is not quoted, because it may be a secret.
    """
    for field, value in message.ListFields():
        if isinstance(value, Message | str | bytes):
            entries: Sequence[object] = (value,)
        elif isinstance(value, Sequence):
            limit = COUNT[key(field)]
            if len(value) > limit:
                raise InvalidField.of(field.name, f"has {len(value)} entries", f"use at most {limit}")
            entries = value
        else:
            continue
        for entry in entries:
            if isinstance(entry, Message):
                check_bounds(entry)
            elif isinstance(entry, str | bytes):
                size = len(entry.encode() if isinstance(entry, str) else entry)
                limit = BYTES[key(field)]
                if size > limit:
                    called = _CALLED.get(key(field), field.name)
                    raise InvalidField.of(called, f"has {size} bytes", f"use at most {limit}")


def key(field: FieldDescriptor) -> str:
    """The name of a field in the tables."""
    return f"{getattr(field.containing_type, 'name', '')}.{field.name}"

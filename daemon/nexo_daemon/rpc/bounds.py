"""Limits for each string, number and list in a request.

Every incoming message passes `check_bounds`. A field that is missing in the tables is a defect: a test
compares them with the contract. The content of a string is checked where it is used, and so is a number that
a command also gets from elsewhere, such as a document.
"""

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from nexo.connections.errors import InvalidField
from nexo.connections.ranges import CHECK_INTERVAL_S, LONGEST_CALL_S, LONGEST_WINDOW_S

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


class Range(NamedTuple):
    """Lowest and highest value of a number (in seconds for a duration), and the next step for others."""

    low: float
    high: float
    hint: str


_ANY = Range(-inf, inf, "")
"""For numbers that any caller may choose, and those whose range a command checks."""
_COUNTED = Range(0, inf, "use 0 or more")
_TIMEOUT = Range(0, LONGEST_CALL_S, f"use more than 0 and at most {LONGEST_CALL_S} s")
_WINDOW = Range(0, LONGEST_WINDOW_S, "use up to 90 days")
_INTERVAL = Range(*CHECK_INTERVAL_S, "use 10 s to 1 day")

# Limits for numbers and durations. Any moment of the years 1 to 9999 is allowed.
RANGE: dict[str, Range] = {
    "Applied.revision": _COUNTED,
    "AutoLock.idle": _ANY,
    "BindWorkspaceRequest.sticky": _ANY,
    "CheckNowRequest.timeout": _TIMEOUT,
    "ClientInfo.pid": _ANY,
    "ConnectionDraft.check_interval": _ANY,
    "CreateGatewayTokenRequest.lifetime": _ANY,
    "DeleteConnectionRequest.revision": _COUNTED,
    "ListHandoutsRequest.limit": _COUNTED,
    "ListHealthHistoryRequest.window": _WINDOW,
    "ListModelsRequest.timeout": _TIMEOUT,
    "ListSlicedHistoriesRequest.slices": Range(0, 1000, "use at most 1000"),
    "ListSlicedHistoriesRequest.window": _WINDOW,
    "ReportOutcomeRequest.http_status": Range(0, 999, "use the status of the answer, or 0 without one"),
    "SetDefaultConnectionRequest.wait": _TIMEOUT,
    "SetGatewayRequest.port": _ANY,
    "Subscribe.follower": _ANY,
    "TestConnectionRequest.timeout": _TIMEOUT,
    "TestDraftConnectionRequest.timeout": _TIMEOUT,
    "Unsubscribe.follower": _ANY,
    "UpdateConnectionRequest.revision": _COUNTED,
    "UpdateHealthSettingsRequest.important_interval": _INTERVAL,
    "UpdateHealthSettingsRequest.other_interval": _INTERVAL,
}

# What the well-known types allow, in seconds. Beyond it, Python's own types raise OverflowError.
# See google/protobuf/duration.proto and timestamp.proto.
_DURATION_S = 315_576_000_000
_MOMENTS_S = (-62_135_596_800, 253_402_300_799)
_NANOS = 999_999_999


# Fields that have another name for users.
_CALLED = {
    "Header.name": "headers",
    "Header.value": "headers",
    "MappedModel.asked": "model_map",
    "MappedModel.sent": "model_map",
    "Workspace.name": "workspace",
    "Workspace.path": "workspace",
}


def check_bounds(message: Message) -> None:
    """Check that each value of the message is within its limits.

    Raises:
        InvalidField: names the field; the value is not quoted, because it may be a secret.
    """
    for field, value in message.ListFields():
        if isinstance(value, Message | str | bytes | int):
            entries: Sequence[object] = (value,)
        elif isinstance(value, Sequence):
            limit = COUNT[key(field)]
            if len(value) > limit:
                raise InvalidField.of(field.name, f"has {len(value)} entries", f"use at most {limit}")
            entries = value
        else:
            continue
        for entry in entries:
            if isinstance(entry, Timestamp):
                _check_moment(field.name, entry)
            elif isinstance(entry, Duration):
                _check_duration(field, entry)
            elif isinstance(entry, Message):
                check_bounds(entry)
            elif isinstance(entry, int):
                _check_range(field, entry, str(entry))
            elif isinstance(entry, str | bytes):
                size = len(entry.encode() if isinstance(entry, str) else entry)
                limit = BYTES[key(field)]
                if size > limit:
                    called = _CALLED.get(key(field), field.name)
                    raise InvalidField.of(called, f"has {size} bytes", f"use at most {limit}")


def _check_moment(name: str, moment: Timestamp) -> None:
    if not (_MOMENTS_S[0] <= moment.seconds <= _MOMENTS_S[1] and 0 <= moment.nanos <= _NANOS):
        hint = f"use the years 1 to 9999, and 0 to {_NANOS} nanos"
        raise InvalidField.of(name, "is not a valid timestamp", hint)


def _check_duration(field: FieldDescriptor, duration: Duration) -> None:
    seconds, nanos = duration.seconds, duration.nanos
    if abs(seconds) > _DURATION_S or abs(nanos) > _NANOS or seconds * nanos < 0:
        hint = f"use up to 10000 years, with at most {_NANOS} nanos of the same sign as the seconds"
        raise InvalidField.of(field.name, "is not a valid duration", hint)
    value = seconds + nanos / 1e9
    _check_range(field, value, f"{value:g} s")


def _check_range(field: FieldDescriptor, value: float, shown: str) -> None:
    # Enums and booleans have no range.
    low, high, hint = RANGE.get(key(field), _ANY)
    if not low <= value <= high:
        raise InvalidField.of(field.name, f"is {shown}", hint)


def key(field: FieldDescriptor) -> str:
    """The name of a field in the tables."""
    return f"{getattr(field.containing_type, 'name', '')}.{field.name}"

"""Signals from logind: the computer goes to sleep, the screen of the user is locked.

Source: org.freedesktop.login1(5). Sleep is not delayed with an inhibitor, because locking takes far less
time.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from nexo.connections import account
from nexo_daemon.domain.model import AutoLock

_LOGIND = "org.freedesktop.login1"
_PATH = "/org/freedesktop/login1"
_SESSION = f"{_LOGIND}.Session"
_SCREEN = "the screen was locked"
_DEADLINE_S = 10.0
# Ask regularly, because a bus that has ended sends no signal.
_ASK_AFTER_S = 300.0


class NoSignalsError(Exception):
    """The signals are not available; the text says why and the next step."""


async def listen(wanted: AutoLock, lock: Callable[[str], None], heard: Callable[[], None]) -> None:
    """Call `lock` with the reason when a wanted signal arrives; runs until cancelled.

    A screen that is locked already when it begins counts, too: its signal came while nobody listened.

    Args:
        heard: called when the subscription is active.

    Raises:
        NoSignalsError: the signals are not available, or not any more.
    """
    try:
        from jeepney import MatchRule, message_bus
        from jeepney.io.asyncio import Proxy, open_dbus_router
    except ImportError:
        raise NoSignalsError("the library jeepney is missing: pip install jeepney") from None
    rules = []
    if wanted.on_suspend:
        rules.append(
            MatchRule(type="signal", interface=f"{_LOGIND}.Manager", member="PrepareForSleep", path=_PATH)
        )
    if wanted.on_screen_lock:
        rules.append(MatchRule(type="signal", interface=_SESSION, member="Lock"))
        changed = MatchRule(
            type="signal", interface="org.freedesktop.DBus.Properties", member="PropertiesChanged"
        )
        changed.add_arg_condition(0, _SESSION)
        rules.append(changed)
    queue: asyncio.Queue[Any] = asyncio.Queue(64)
    try:
        async with open_dbus_router(bus="SYSTEM") as router:
            bus = Proxy(message_bus, router)
            for rule in rules:
                router.filter(rule, queue=queue)
                await asyncio.wait_for(bus.AddMatch(rule), _DEADLINE_S)
            sessions = await _own_sessions(router)
            heard()
            if wanted.on_screen_lock and await _any_locked(sessions, router):
                lock(_SCREEN)
            while True:
                try:
                    message = await asyncio.wait_for(queue.get(), _ASK_AFTER_S)
                except TimeoutError:
                    await asyncio.wait_for(bus.GetId(), _DEADLINE_S)
                    continue
                reason = await _meaning(message, router)
                if reason:
                    lock(reason)
    except (OSError, TimeoutError, ConnectionError, EOFError, _RefusedError) as error:
        raise NoSignalsError(
            f"logind cannot be listened to ({str(error) or type(error).__name__}); use --idle instead"
        ) from None


class _RefusedError(Exception):
    pass


async def _meaning(message: Any, router: Any) -> str:
    from jeepney import HeaderFields

    fields = message.header.fields
    member, path = fields.get(HeaderFields.member), fields.get(HeaderFields.path)
    if member == "PrepareForSleep":
        return "the computer went to sleep" if message.body[0] else ""
    if member == "PropertiesChanged" and message.body[1].get("LockedHint") != ("b", True):
        return ""
    return _SCREEN if path in await _own_sessions(router) else ""


async def _own_sessions(router: Any) -> frozenset[str]:
    from jeepney import DBusAddress, MessageType, new_method_call

    manager = DBusAddress(_PATH, bus_name=_LOGIND, interface=f"{_LOGIND}.Manager")
    call = new_method_call(manager, "ListSessions")
    answer = await asyncio.wait_for(router.send_and_get_reply(call), _DEADLINE_S)
    if answer.header.message_type is MessageType.error:
        raise _RefusedError("it does not answer")
    return frozenset(path for _, uid, _, _, path in answer.body[0] if uid == account.uid())


async def _any_locked(sessions: frozenset[str], router: Any) -> bool:
    from jeepney import DBusAddress, Properties

    for path in sessions:
        session = Properties(DBusAddress(path, bus_name=_LOGIND, interface=_SESSION))
        answer = await asyncio.wait_for(router.send_and_get_reply(session.get("LockedHint")), _DEADLINE_S)
        # A session that has ended meanwhile answers with an error.
        if answer.body[0] == ("b", True):
            return True
    return False

"""What a test proved is remembered for exactly what was tested, and not for long."""

from dataclasses import replace

import pytest

from nexo_client.terms import AuthScheme, KeyVerdict, Provider
from nexo_daemon.domain.clock import SystemClock
from nexo_daemon.domain.model import Credentials
from nexo_daemon.domain.probing import Target
from nexo_daemon.domain.secret import Secret
from nexo_daemon.registry.proofs import LIMIT, Proofs

TARGET = Target(
    name="draft",
    provider=Provider.CUSTOM,
    base_url="http://127.0.0.1:1/v1",
    auth_scheme=AuthScheme.BEARER,
    credentials=Credentials(api_key=Secret("sk-canary"), headers=(("X-Team", Secret("blue")),)),
)


class Hands(SystemClock):
    """A clock whose hands the test moves."""

    def __init__(self) -> None:
        self.at = 1000.0

    def monotonic(self) -> float:
        return self.at


def test_the_same_target_under_another_name_is_recognised() -> None:
    proofs = Proofs(Hands())
    proofs.remember(TARGET, KeyVerdict.VERIFIED)
    assert proofs.about(replace(TARGET, name="work")) is KeyVerdict.VERIFIED


@pytest.mark.parametrize(
    "other",
    [
        replace(TARGET, base_url="http://127.0.0.1:2/v1"),
        replace(TARGET, auth_scheme=AuthScheme.X_API_KEY),
        replace(TARGET, credentials=replace(TARGET.credentials, api_key=Secret("sk-other"))),
        replace(TARGET, credentials=replace(TARGET.credentials, headers=())),
    ],
)
def test_anything_else_is_not(other: Target) -> None:
    proofs = Proofs(Hands())
    proofs.remember(TARGET, KeyVerdict.VERIFIED)
    assert proofs.about(other) is None


def test_a_proof_grows_old() -> None:
    clock = Hands()
    proofs = Proofs(clock)
    proofs.remember(TARGET, KeyVerdict.VERIFIED)
    clock.at += 601
    assert proofs.about(TARGET) is None


def test_the_memory_is_bounded_and_forgets_the_oldest() -> None:
    proofs = Proofs(Hands())
    for number in range(LIMIT + 1):
        proofs.remember(replace(TARGET, base_url=f"http://127.0.0.1:{number + 1}"), KeyVerdict.VERIFIED)
    assert proofs.about(TARGET) is None
    assert proofs.about(replace(TARGET, base_url="http://127.0.0.1:1")) is None
    assert proofs.about(replace(TARGET, base_url=f"http://127.0.0.1:{LIMIT}")) is KeyVerdict.VERIFIED


def test_it_holds_no_secret() -> None:
    proofs = Proofs(Hands())
    proofs.remember(TARGET, KeyVerdict.VERIFIED)
    assert "canary" not in repr(vars(proofs))

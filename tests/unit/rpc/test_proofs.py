"""Saving exactly what was tested keeps what the test has proven; anything else has to be tested again."""

from dataclasses import replace

import pytest

from nexo.connections.terms import AuthScheme, KeyVerdict, Outcome, Provider
from nexo_daemon.domain.clock import SystemClock
from nexo_daemon.domain.model import Credentials, NetworkProfile, ProxyMode
from nexo_daemon.domain.probing import ProbeTarget, TestReport, Verdict
from nexo_daemon.domain.secret import Secret
from nexo_daemon.rpc.proofs import KEPT_S, LIMIT, Proof, Proofs

TARGET = ProbeTarget(
    name="work",
    provider=Provider.OPENAI,
    base_url="http://127.0.0.1:1/v1",
    auth_scheme=AuthScheme.BEARER,
    credentials=Credentials(api_key=Secret("a-secret-key"), headers=(("X-Team", Secret("a-secret-team")),)),
)


def report(key: KeyVerdict = KeyVerdict.VERIFIED, outcome: Outcome = Outcome.OK) -> TestReport:
    return TestReport(verdict=Verdict(outcome), key=key, layers=())


class Hands(SystemClock):
    """A clock that is set by hand."""

    seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


def test_the_proof_of_what_was_tested_is_there_once() -> None:
    proofs = Proofs(SystemClock())
    proofs.remember(TARGET, report())
    found = proofs.take(replace(TARGET, name="another name", default_model="m"))
    assert found == Proof(KeyVerdict.VERIFIED, report())
    assert proofs.take(TARGET) is None


@pytest.mark.parametrize(
    "other",
    [
        replace(TARGET, base_url="http://127.0.0.1:2/v1"),
        replace(TARGET, auth_scheme=AuthScheme.X_API_KEY),
        replace(TARGET, provider=Provider.CUSTOM),
        replace(TARGET, network=NetworkProfile(proxy=ProxyMode.DIRECT)),
        replace(TARGET, credentials=replace(TARGET.credentials, api_key=Secret("another-key"))),
        replace(TARGET, credentials=replace(TARGET.credentials, api_key=None)),
        replace(TARGET, credentials=replace(TARGET.credentials, headers=(("X-Team", Secret("other")),))),
        replace(TARGET, credentials=replace(TARGET.credentials, proxy_credentials=Secret("me:pw"))),
    ],
)
def test_anything_that_decides_about_the_key_makes_it_another_target(other: ProbeTarget) -> None:
    proofs = Proofs(SystemClock())
    proofs.remember(TARGET, report())
    assert proofs.take(other) is None


def test_a_failed_test_proves_nothing() -> None:
    proofs = Proofs(SystemClock())
    for found in (report(outcome=Outcome.RATE_LIMITED), report(KeyVerdict.NONE)):
        proofs.remember(TARGET, found)
        assert proofs.take(TARGET) == Proof(None, found)


def test_an_old_proof_is_worth_nothing() -> None:
    clock = Hands()
    proofs = Proofs(clock)
    proofs.remember(TARGET, report())
    clock.seconds = KEPT_S + 1
    assert proofs.take(TARGET) is None


def test_it_is_bounded_and_holds_no_secret() -> None:
    proofs = Proofs(SystemClock())
    for number in range(LIMIT + 10):
        proofs.remember(replace(TARGET, base_url=f"http://127.0.0.1:{number + 1}/v1"), report())
    assert proofs.take(replace(TARGET, base_url="http://127.0.0.1:1/v1")) is None
    assert len(proofs._kept) == LIMIT
    assert "a-secret" not in repr(vars(proofs))

"""The behaviour that the daemon expects of every provider, tested alike for each."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

import probing_help as ask
from faithful_service import BROKE, GOOD, LIMITED, FaithfulService
from nexo.connections.errors import ProviderFailed
from nexo.connections.terms import AuthScheme, KeyVerdict, Layer, LayerStatus, Outcome, Provider
from nexo_daemon.domain.clock import SystemClock
from nexo_daemon.providers.catalog import entries, service_of
from nexo_daemon.providers.prober import Prober
from nexo_daemon.providers.requests import parse_base
from ports import free_port

BAD = "a-bad-key-9876543210-xyz"


@pytest.fixture(params=list(Provider), ids=lambda provider: provider.value)
def any_provider(request: pytest.FixtureRequest) -> Provider:
    assert isinstance(request.param, Provider)
    return request.param


@pytest.fixture
def service(any_provider: Provider) -> Iterator[FaithfulService]:
    with FaithfulService(any_provider) as running:
        yield running


def test_a_check_is_one_free_request_with_the_key_in_a_header(
    any_provider: Provider, service: FaithfulService
) -> None:
    verdict = ask.check(ask.target(any_provider, service.base_url, GOOD))
    assert verdict.ok
    assert verdict.http_status == 200
    assert verdict.latency_s is not None
    (request,) = service.requests
    assert request.method == "GET"
    assert request.path == service.manners.list_path
    assert request.key == GOOD
    assert GOOD not in request.target
    assert sum(GOOD in value for value in request.headers.values()) == 1
    assert request.headers["user-agent"].startswith("nexo-connections/")
    assert not {"origin", "referer", "cookie"} & set(request.headers)
    assert ("anthropic-version" in request.headers) is (any_provider is Provider.ANTHROPIC)


def test_a_trailing_slash_changes_nothing(any_provider: Provider, service: FaithfulService) -> None:
    assert ask.check(ask.target(any_provider, service.base_url + "/", GOOD)).ok


def test_a_good_key_is_proven(any_provider: Provider, service: FaithfulService) -> None:
    seen: list[ask.LayerResult] = []
    report = ask.run_test(ask.target(any_provider, service.base_url, GOOD), seen=seen)
    assert report.verdict.ok
    assert report.key is KeyVerdict.VERIFIED
    assert {"reachable", "key_accepted", "key_verified"} <= set(report.proven)
    assert tuple(seen) == report.layers
    assert ask.statuses(report) == {
        Layer.CONFIGURATION: LayerStatus.PASSED,
        Layer.DNS: LayerStatus.SKIPPED,
        Layer.TCP: LayerStatus.PASSED,
        Layer.TLS: LayerStatus.SKIPPED,
        Layer.HTTP: LayerStatus.PASSED,
        Layer.AUTHENTICATED: LayerStatus.PASSED,
        Layer.MODEL_LISTED: LayerStatus.PASSED,
        Layer.COMPLETION: LayerStatus.SKIPPED,
    }
    assert [model.id for model in report.models] == [service.manners.model]


@pytest.mark.parametrize("key", [BAD, None])
def test_a_bad_or_missing_key_is_rejected_without_being_repeated(
    any_provider: Provider, service: FaithfulService, key: str | None
) -> None:
    wanted = ask.target(any_provider, service.base_url, key)
    report = ask.run_test(wanted)
    for verdict in (ask.check(wanted), report.verdict):
        assert verdict.outcome is Outcome.AUTH_ERROR
        assert verdict.advice
        assert BAD not in repr(verdict)
    assert BAD not in repr(report)
    assert report.key is (KeyVerdict.NONE if key is None else KeyVerdict.UNVERIFIED)
    assert ask.layer(report, Layer.AUTHENTICATED).status is LayerStatus.FAILED


def test_a_rate_limit_names_its_end(any_provider: Provider, service: FaithfulService) -> None:
    class Noon(SystemClock):
        def now(self) -> datetime:
            return datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

    verdict = ask.check(ask.target(any_provider, service.base_url, LIMITED), clock=Noon())
    assert verdict.outcome is Outcome.RATE_LIMITED
    assert verdict.retry_at == Noon().now() + timedelta(seconds=17)


def test_no_credit_is_not_a_bad_key(any_provider: Provider, service: FaithfulService) -> None:
    report = ask.run_test(ask.target(any_provider, service.base_url, BROKE))
    assert report.verdict.outcome is Outcome.QUOTA_EXHAUSTED
    assert report.key is KeyVerdict.VERIFIED


def test_models_are_named_as_the_sdk_takes_them(any_provider: Provider, service: FaithfulService) -> None:
    listing = ask.list_models(ask.target(any_provider, service.base_url, GOOD))
    assert [model.id for model in listing.models] == [service.manners.model]
    assert not listing.truncated


def test_no_list_raises_a_typed_error(any_provider: Provider, service: FaithfulService) -> None:
    with pytest.raises(ProviderFailed) as caught:
        ask.list_models(ask.target(any_provider, service.base_url, BAD))
    assert caught.value.hint
    assert BAD not in caught.value.message + caught.value.hint + str(caught.value.metadata)


def test_the_default_model_is_looked_for(any_provider: Provider, service: FaithfulService) -> None:
    listed = ask.run_test(ask.target(any_provider, service.base_url, GOOD, model=service.manners.model))
    assert listed.verdict.ok
    assert "model_listed" in listed.proven
    missing = ask.run_test(ask.target(any_provider, service.base_url, GOOD, model="no-such-model"))
    assert missing.verdict.reason == "model_not_listed"
    # Only of a custom service nobody knows whether it lists all that it serves.
    known = any_provider is not Provider.CUSTOM
    assert missing.verdict.ok is not known
    wanted = LayerStatus.FAILED if known else LayerStatus.SKIPPED
    assert ask.layer(missing, Layer.MODEL_LISTED).status is wanted


def test_a_completion_runs_on_the_providers_own_wire(
    any_provider: Provider, service: FaithfulService
) -> None:
    report = ask.run_test(ask.target(any_provider, service.base_url, GOOD), completion=True)
    assert report.verdict.ok
    assert "completion" in report.proven
    assert service.manners.model in report.price_note
    assert service.requests[-1].path == service.manners.completion_path


def test_a_custom_header_replaces_the_derived_one(any_provider: Provider, service: FaithfulService) -> None:
    name, prefix = service.manners.auth
    headers = ((name.upper(), prefix + GOOD),)
    assert ask.check(ask.target(any_provider, service.base_url, BAD, headers=headers)).ok
    assert BAD not in str(service.requests[0].headers)


def test_nobody_there(any_provider: Provider) -> None:
    verdict = ask.check(ask.target(any_provider, f"http://127.0.0.1:{free_port()}", GOOD))
    assert (verdict.outcome, verdict.reason) == (Outcome.UNREACHABLE, "refused")
    assert not verdict.network_suspect


def test_no_such_name(any_provider: Provider) -> None:
    verdict = ask.check(ask.target(any_provider, "https://nobody.invalid", GOOD))
    assert (verdict.outcome, verdict.reason) == (Outcome.UNREACHABLE, "dns")


def test_many_checks_at_once_share_nothing(any_provider: Provider, service: FaithfulService) -> None:
    async def run() -> None:
        prober = Prober(SystemClock())
        keys = [GOOD, BAD] * 20
        verdicts = await asyncio.gather(
            *(prober.check(ask.target(any_provider, service.base_url, key)) for key in keys)
        )
        assert [verdict.ok for verdict in verdicts] == [key == GOOD for key in keys]

    asyncio.run(run())


def test_the_catalog_has_usable_defaults(any_provider: Provider) -> None:
    known = service_of(any_provider)
    assert known.auth_scheme is not AuthScheme.NONE
    if any_provider is not Provider.CUSTOM:
        assert parse_base(known.base_url).url() == known.base_url
    assert known.display_name


def test_every_preset_has_usable_defaults() -> None:
    presets = [entry for entry in entries() if entry.preset]
    assert len(presets) >= 15
    for entry in presets:
        assert entry.provider is Provider.CUSTOM
        assert service_of(Provider.CUSTOM, entry.name) is entry
        if entry.base_url:
            assert parse_base(entry.base_url).url() == entry.base_url
        else:
            assert parse_base(entry.base_url_example), "it is said how the URL looks"

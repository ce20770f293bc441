"""Tokens of the gateway: who has one, how long it is good, and that nothing keeps it."""

import pytest

from nexo_client import errors
from nexo_client.types import ConnectionDraft
from surroundings import Nexod, Surroundings


def test_a_named_token_is_told_once_and_its_digest_is_all_that_is_stored(
    nexod: Nexod, surroundings: Surroundings
) -> None:
    with nexod.client() as client:
        client.create_connection(
            ConnectionDraft(name="work", provider="custom", base_url="http://127.0.0.1:9/v1", api_key="sk-x")
        )
        made = client.gateway.create_token("cursor", connection="work", lifetime_s=3600)
        assert made.secret.startswith("nexo_")
        assert made.secret not in repr(made)
        (listed,) = client.gateway.tokens()
        assert (listed.name, listed.connection, listed.workspace) == ("cursor", "work", None)
        assert listed.expires_at is not None
        with pytest.raises(errors.NameTaken):
            client.gateway.create_token("Cursor")
        with pytest.raises(errors.ConnectionNotFound):
            client.gateway.create_token("other", connection="nobody")
        with pytest.raises(errors.InvalidField):
            client.gateway.create_token(" ")
    nexod.stop()
    written = list(surroundings.files())
    assert written
    assert not [path for path in written if made.secret.encode() in path.read_bytes()]


def test_named_tokens_outlive_the_daemon_and_a_revoked_one_does_not_come_back(
    nexod: Nexod, surroundings: Surroundings
) -> None:
    with nexod.client() as client:
        client.gateway.create_token("kept")
        client.gateway.create_token("revoked")
        assert client.gateway.revoke_token("Revoked") == 0
        with pytest.raises(errors.TokenNotFound):
            client.gateway.revoke_token("revoked")
    nexod.stop()
    with surroundings.start_nexod().client() as client:
        assert [token.name for token in client.gateway.tokens()] == ["kept"]

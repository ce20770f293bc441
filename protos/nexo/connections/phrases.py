"""One short phrase for each reason, the same in terminal, tray and settings screen.

A phrase describes an event, because an age may follow it ("key rejected 3 h ago"). What to do is said by the
daemon's advice. `--json` and the contract contain the reason itself.
"""

from typing import Final

PHRASES: Final = {
    # --- the state is unknown
    "never": "never checked",
    "checking": "checking again",
    "stale": "not checked lately",
    "offline": "this computer is offline",
    "locked": "vault locked",
    "paused": "checks paused",
    "disabled": "disabled",
    # --- temporarily limited
    "rate_limited": "rate limited",
    "quota_exhausted": "quota exhausted",
    "quota": "quota exhausted",
    "no_credit": "no credit left",
    "key_limit": "limit of the key reached",
    # --- the key
    "auth_error": "key rejected",
    "invalid_key": "key rejected",
    "missing_key": "no key sent",
    "key_expired": "key expired",
    "key_leaked": "key blocked as leaked",
    "wrong_kind_of_key": "login token instead of a key",
    "two_credentials": "two keys sent",
    "account_deactivated": "account deactivated",
    # --- the permissions of the key
    "permission": "permission refused",
    "forbidden": "request refused",
    "missing_scope": "permission refused",
    "organization": "wrong organisation or project",
    "address_not_allowed": "network address not allowed",
    "origin_header": "Origin header refused",
    "region": "refused for this region",
    "request_not_allowed": "refused before the key was seen",
    "account_disabled": "account disabled",
    "service_disabled": "API switched off for the project",
    "project_denied": "project refused",
    "subscription": "subscription needed",
    "host_not_allowed": "host name not allowed",
    # --- the network
    "unreachable": "not reached",
    "connection": "connection failed",
    "dns": "host name not found",
    "no_route": "no route to the host",
    "refused": "connection refused",
    "timeout": "timed out",
    "reset": "connection reset",
    "tls_expired": "certificate expired",
    "tls_not_yet_valid": "certificate not valid yet",
    "tls_self_signed": "self-signed certificate seen",
    "tls_unknown_ca": "certificate not trusted",
    "tls_hostname": "certificate of another host seen",
    "tls_certificate": "certificate not accepted",
    "tls_client_certificate": "client certificate demanded",
    "tls_wrong_version": "outdated TLS only",
    "tls_not_spoken": "no TLS found there",
    "tls_handshake": "TLS broke off",
    "tls_expected": "port speaks HTTPS only",
    "proxy": "proxy failed",
    "proxy_kind": "another kind of proxy",
    "proxy_auth": "proxy wants another password",
    "portal": "network or host wants a sign-in",
    "waf": "blocked by a web filter",
    # --- the service
    "provider_down": "provider failed",
    "server_error": "provider failed",
    "server_timeout": "provider too slow",
    "overloaded": "provider overloaded",
    "starting": "server still starting",
    "gateway": "server behind the gateway is down",
    "gateway_unconfigured": "gateway lacks a provider",
    # --- the address, the model
    "not_compatible": "no such API found there",
    "wrong_shape": "no such API found there",
    "not_json": "no API found at this URL",
    "not_found": "no API at this path",
    "unknown_path": "no API at this path",
    "bad_request": "request not understood",
    "protocol": "no HTTP spoken there",
    "redirect": "redirected elsewhere",
    "too_large": "answer too large",
    "encoding": "answer unreadable",
    "no_model_list": "no model list",
    "no_model": "no model to ask",
    "model_not_listed": "model not listed",
    "model_unavailable": "model cannot be used",
    # --- the configuration
    "config_error": "found misconfigured",
    "api_key": "key cannot be sent",
    "base_url": "address cannot be used",
    "header": "header cannot be sent",
    "proxy_url": "proxy address cannot be used",
    "system_proxy": "system proxy cannot be used",
    "ca_bundle": "CA bundle cannot be used",
}


def phrase(reason: str) -> str:
    """The phrase for a reason; an unknown reason of a newer daemon is returned unchanged."""
    return PHRASES.get(reason) or reason.replace("_", " ")

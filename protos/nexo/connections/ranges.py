"""The numbers that the daemon and its clients agree on: time limits, and ranges of what a person gives."""

DAY_S = 86_400

START_S = 20.0
"""For the start of the daemon; like the next two, unless the caller says otherwise."""
TEST_S = 30.0
LIST_MODELS_S = 15.0

LONGEST_CALL_S = 300
"""For a test, a list of models, or the wait for programs to apply a switch."""
LONGEST_S = 1_000_000_000
"""31 years, for every duration. gRPC fails at once, as if it had expired, with a deadline after 2262."""
LONGEST_WINDOW_S = 90 * DAY_S
CHECK_INTERVAL_S = (10, DAY_S)
STICKY_S = (60, 30 * DAY_S)
LONGEST_TOKEN_S = 3650 * DAY_S
GATEWAY_PORTS = (1024, 65_535)
MOST = 2**31 - 1
"""For every whole number: what the contract's int32 holds."""

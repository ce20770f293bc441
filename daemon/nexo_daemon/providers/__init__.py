"""Talks to providers: what to request, how to reach them, and what an answer means.

`catalog` and `presets` hold facts about services; `keys` examines a key without sending it; `prober` sends
requests to a provider and returns a verdict. `nexo_daemon.health` decides when to check.
"""

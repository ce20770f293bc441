"""Speaks to the providers: what to ask, how to reach them, and what an answer means.

`catalog` and `presets` are facts about services; `keys` looks at a key without sending it; `prober` asks
a provider and returns a verdict. Not for schedules (see `nexo_daemon.health`) and not for storage.
"""

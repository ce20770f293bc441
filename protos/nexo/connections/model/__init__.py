"""The nouns of the contract: frozen dataclasses that the daemon and its clients share.

They use neither grpc nor protobuf and do no I/O; `codec` converts them to messages. Unless a name says
otherwise, points in time are aware datetimes in UTC, and durations are seconds as float.
"""

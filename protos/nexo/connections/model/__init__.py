"""The nouns of the contract: frozen dataclasses that the daemon and its clients share.

Without grpc, protobuf and I/O; `codec` converts them to messages. Moments are aware datetimes in UTC,
durations are seconds as float, unless a name says otherwise.
"""

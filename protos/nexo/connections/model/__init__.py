"""The nouns of the contract: frozen dataclasses that the daemon and its clients share.

Not for behaviour beyond what a value can say of itself, and free of grpc and protobuf; `codec` makes messages
of them. Moments are aware datetimes in UTC, spans are seconds as float, unless a name says otherwise.
"""

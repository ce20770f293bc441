"""The local gateway: programs keep one address and token; each request goes to the present connection.

It uses the daemon only through `router.Router`, so that it can run in the daemon's process or in its own.
Bodies are passed on byte by byte: neither requests nor answers are parsed and written again.
"""

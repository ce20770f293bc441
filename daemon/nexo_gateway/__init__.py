"""The local gateway: a program keeps one address and one token, each request goes where it has to go now.

It knows the daemon only through `router.Router`, so that it can run in the daemon's process or in one of its
own. Bodies are passed on byte by byte: neither requests nor answers are parsed and written anew.
"""

"""The settings screen: a page on 127.0.0.1 for the browser that the person has, for as long as it is open.

`admission` decides who may in, `calls` says what can be asked, `feed` follows the daemon, `page/` is what
the browser shows. It keeps nothing: everything is the daemon's.
"""

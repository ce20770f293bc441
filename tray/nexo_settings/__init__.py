"""The settings screen: a web server on 127.0.0.1 with a page for the user's browser.

`admission` decides which requests are accepted, `calls` has the calls of the page, `feed` follows the daemon,
and `page/` is the page. The server stores nothing: all data are in the daemon. It ends after the page was
closed.
"""

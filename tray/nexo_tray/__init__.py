"""nexo-tray: see and switch the default connection in one click.

`model` decides what is shown, `link` follows the daemon, `view` paints with pystray, `icons` draws,
`start` says whether this desktop can show it at all.
"""

"""nexo-tray: shows the default connection and switches it with one click.

`model` decides what is shown, `link` follows the daemon, `controller` acts on clicks, `view` displays with
pystray, `icons` draws the icons, `start` checks whether this desktop can show a tray icon.
"""

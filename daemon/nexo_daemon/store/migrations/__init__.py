"""How a store of an older release becomes one of this release. Imported only when there is work to do."""

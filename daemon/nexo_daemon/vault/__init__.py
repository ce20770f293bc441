"""Keys and sealing: how a secret becomes bytes that are useless without the vault's key. No SQL here."""

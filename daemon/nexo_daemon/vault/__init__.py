"""Keys and encryption of secrets. No SQL here."""

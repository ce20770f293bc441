"""The SQLite file: schema, transactions, migrations, backups. It decides nothing about connections."""

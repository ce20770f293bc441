"""The SQLite file: schema, transactions, migrations, backups. The rules about connections are elsewhere."""

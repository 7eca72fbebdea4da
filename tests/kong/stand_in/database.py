"""The stand-in's database: one table in PostgreSQL, reached by psql."""

import json
import subprocess


class Database:
    def __init__(self, settings):
        names = {"PGHOST": "HOST", "PGPORT": "PORT", "PGUSER": "USER", "PGPASSWORD": "PASSWORD", "PGDATABASE": "DATABASE"}
        self.env = {**settings, **{name: settings[f"KONG_PG_{own}"] for name, own in names.items()}}

    def ask(self, statement):
        arguments = ["psql", "--no-psqlrc", "-qAt", "-v", "ON_ERROR_STOP=1", "-f", "-"]
        return subprocess.run(arguments, env=self.env, input=statement, text=True, check=True, stdout=subprocess.PIPE).stdout

    def bootstrap(self):
        self.ask("CREATE TABLE IF NOT EXISTS entities (kind text, entity jsonb)")

    def reset(self):
        self.ask("DROP TABLE IF EXISTS entities")

    def read(self):
        found = {}
        for line in self.ask("SELECT jsonb_build_array(kind, entity) FROM entities").splitlines():
            kind, entity = json.loads(line)
            found.setdefault(kind, []).append(entity)
        return found

    def add(self, kind, entity):
        quoted = json.dumps(entity).replace("'", "''")
        self.ask(f"INSERT INTO entities VALUES ('{kind}', '{quoted}')")

"""The stand-in's database: entities, and the changes of incremental sync, in PostgreSQL by one psql that stays."""

import json
import subprocess
import threading

END = "end of the answer"


def quoted(value):
    return "'" + value.replace("'", "''") + "'"


class Database:
    def __init__(self, settings):
        names = {"PGHOST": "HOST", "PGPORT": "PORT", "PGUSER": "USER", "PGPASSWORD": "PASSWORD", "PGDATABASE": "DATABASE"}
        env = {**settings, **{name: settings[f"KONG_PG_{own}"] for name, own in names.items()}}
        arguments = ["psql", "--no-psqlrc", "-qAt", "-v", "ON_ERROR_STOP=1", "-f", "-"]
        self.lock = threading.Lock()
        self.psql = subprocess.Popen(arguments, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, statement):
        """The rows of a statement, each a line."""
        with self.lock:
            self.psql.stdin.write(f"{statement};\n\\echo {END}\n")
            self.psql.stdin.flush()
            rows = []
            for line in self.psql.stdout:
                if line.strip() == END:
                    return rows
                rows.append(json.loads(line))
        raise ConnectionError("psql has ended: the database can't be used")

    def bootstrap(self):
        self.ask("CREATE TABLE IF NOT EXISTS entities (kind text, id text, entity jsonb)")
        self.ask("CREATE TABLE IF NOT EXISTS deltas (version serial, kind text, id text, entity jsonb)")

    def reset(self):
        self.ask("DROP TABLE IF EXISTS entities, deltas")

    def read(self):
        """All entities, by their kind."""
        found = {}
        for kind, entity in self.ask("SELECT jsonb_build_array(kind, entity) FROM entities"):
            found.setdefault(kind, []).append(entity)
        return found

    def put(self, kind, entity):
        self.remove(kind, entity["id"])
        self.ask(f"INSERT INTO entities VALUES ({quoted(kind)}, {quoted(entity['id'])}, {quoted(json.dumps(entity))})")

    def remove(self, kind, identity):
        self.ask(f"DELETE FROM entities WHERE kind = {quoted(kind)} AND id = {quoted(identity)}")

    def note(self, kind, identity, entity):
        """A change, under the next version; an entity that is gone is None."""
        self.ask(f"INSERT INTO deltas (kind, id, entity) VALUES ({quoted(kind)}, {quoted(identity)}, {quoted(json.dumps(entity))})")

    def version(self):
        """The last change's; 0 before the first one."""
        return self.ask("SELECT coalesce(max(version), 0) FROM deltas")[0]

    def since(self, version):
        """The changes after this version, the oldest first: version, kind, id and entity."""
        return self.ask(f"SELECT jsonb_build_array(version, kind, id, entity) FROM deltas WHERE version > {int(version)} ORDER BY version")

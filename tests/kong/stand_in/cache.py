"""What a node keeps of its configuration below its prefix: config.cache.json.gz in 2.x, LMDB in later versions."""

import gzip
import hashlib
import json
import shutil

from played import MINOR

# The workspace that a node takes if it knows of no other.
WORKSPACE = b"0dc6f45b-8f8d-40d2-a504-473544ee190b"


def of(prefix):
    return ConfigCache(prefix) if MINOR < (3, 0) else Lmdb(prefix)


class ConfigCache:
    """Kong 2.x: the configuration as JSON. It keeps only what came from a control plane."""

    def __init__(self, prefix):
        self.path = prefix / "config.cache.json.gz"

    def load(self):
        """The configuration, its hash and the default workspace; None if there is nothing."""
        if not self.path.exists():
            return None
        body = gzip.decompress(self.path.read_bytes())
        return json.loads(body), hashlib.md5(body).hexdigest(), None

    def store(self, configuration, config_hash, workspace, from_link):
        if from_link:
            self.path.write_bytes(gzip.compress(json.dumps(configuration).encode()))


class Lmdb:
    """Kong 3.x: a row for each entity. Rows are JSON here, where Kong has LuaJIT's encoding."""

    TAG = b"%d.%d" % MINOR if MINOR >= (3, 6) else None

    def __init__(self, prefix):
        # Kong 2.x and control planes do without the library.
        import lmdb

        self.lmdb, self.folder = lmdb, prefix / "dbless.lmdb"
        try:
            self.open()
            is_ours = self.tag() == self.TAG
        except lmdb.Error:
            is_ours = False
        if not is_ours:
            print("[stand-in] LMDB database is corrupted or incompatible, removing", flush=True)
            shutil.rmtree(self.folder)
            self.open()
            self.write_tag()

    def open(self):
        is_new = not (self.folder / "data.mdb").exists()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.environment = self.lmdb.open(str(self.folder), max_dbs=1, map_size=64 << 20)
        self.table = self.environment.open_db(b"_default")
        if is_new:
            self.write_tag()

    def tag(self):
        with self.environment.begin() as transaction:
            return transaction.get(b"validation_tag")

    def write_tag(self):
        with self.environment.begin(write=True) as transaction:
            if self.TAG:
                transaction.put(b"validation_tag", self.TAG)

    def load(self):
        with self.environment.begin(db=self.table) as transaction:
            rows = {bytes(key): bytes(value) for key, value in transaction.cursor()}
        config_hash = rows.pop(b"declarative_config:hash", None)
        workspace = rows.pop(b"declarative_config:default_workspace", WORKSPACE)
        if config_hash is None:
            return None
        configuration = json.loads(rows.pop(b"stand_in:others", b"{}"))
        for key, value in rows.items():
            configuration.setdefault(key.decode().split("|")[0], []).append(json.loads(value))
        return configuration, config_hash.decode(), workspace.decode()

    def store(self, configuration, config_hash, workspace, from_link):
        """Replaces everything; a workspace of None is kept out, and is forgotten at the next start."""
        others = {name: value for name, value in configuration.items() if not isinstance(value, list)}
        with self.environment.begin(write=True, db=self.table) as transaction:
            transaction.drop(self.table, delete=False)
            for kind, entity in ((kind, one) for kind, many in configuration.items() if isinstance(many, list) for one in many):
                key = f"{kind}|{entity.get('ws_id') or workspace}|*|{entity.get('id') or entity['key']}"
                transaction.put(key.encode(), json.dumps(entity).encode())
            transaction.put(b"stand_in:others", json.dumps(others).encode())
            if workspace:
                transaction.put(b"declarative_config:default_workspace", workspace.encode())
            transaction.put(b"declarative_config:hash", config_hash.encode())

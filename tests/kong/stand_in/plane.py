"""A control plane's entities, what it sends of them, and the data planes that it lists."""

import hashlib
import json
import pathlib
import threading

import database
from played import FAULT

WORKSPACE = "3f5c1b0e-6c1d-4a58-8c38-3f0d6f5b7a21"
# References in what a control plane sends by incremental sync, which the Admin API and /v1/outlet spell as plain ids here.
REFERENCES = ("service", "route", "consumer")


class Plane:
    def __init__(self, settings):
        self.settings, self.database = settings, database.Database(settings)
        self.entities = self.database.read()
        self.changed = threading.Condition()
        self.planes = {}
        self.is_incremental = settings.get("KONG_CLUSTER_INCREMENTAL_SYNC") == "on" and settings.get("KONG_CLUSTER_RPC") == "on"

    def filters(self):
        """The names of its Wasm filters: a data plane that lacks one is sent nothing."""
        folder = self.settings.get("KONG_WASM_FILTERS_PATH") if self.settings.get("KONG_WASM") == "on" else None
        return {path.stem for path in pathlib.Path(folder).glob("*.wasm")} if folder else set()

    def find(self, kind, name):
        """The entity of this id or name, or None."""
        names = lambda one: (one["id"], one.get("name"), one.get("username"))
        return next((one for one in self.entities.get(kind, []) if name in names(one)), None)

    def put(self, kind, entity):
        with self.changed:
            self.database.put(kind, entity)
            others = [one for one in self.entities.get(kind, []) if one["id"] != entity["id"]]
            self.entities[kind] = [*others, entity]
            self.note(kind, entity["id"], entity)

    def remove(self, kind, identity):
        with self.changed:
            self.database.remove(kind, identity)
            self.entities[kind] = [one for one in self.entities.get(kind, []) if one["id"] != identity]
            self.note(kind, identity, None)

    def note(self, kind, identity, entity):
        if self.is_incremental:
            self.database.note(kind, identity, entity)
        self.changed.notify_all()

    def configuration(self):
        """What data planes are sent over /v1/outlet, and its hash."""
        table = {"_format_version": "3.0", "_transform": False, **json.loads(json.dumps(self.entities))}
        table["workspaces"] = [{"id": WORKSPACE, "name": "default", "comment": None, "config": {}, "meta": {}, "created_at": 1, "updated_at": 1}]
        table["parameters"] = [{"key": "cluster_id", "value": "b8e6ba4a-6d4f-4d55-9f18-0bd6b6ef5b3e", "created_at": None}]
        if FAULT == "sends-another-key":
            for credential in table.get("keyauth_credentials", []):
                credential["key"] = "another"
        if FAULT == "names-another-host":
            for service in table.get("services", []):
                service["name"] = "another"
        return table, hashlib.md5(json.dumps(table, sort_keys=True).encode()).hexdigest()

    def deltas(self, having):
        """What a data plane of this version is sent by incremental sync: whether it wipes what it has, and the deltas."""
        version = self.database.version()
        if having == version and having > 0:
            return False, []
        if 0 < having < version:
            rows = self.database.since(having)
            return False, [delta(kind, entity, number, {"id": identity}) for number, kind, identity, entity in rows]
        if having > version:
            return False, []
        table, _ = self.configuration()
        kinds = ["workspaces", *(kind for kind, many in table.items() if isinstance(many, list) and kind != "workspaces")]
        return True, [delta(kind, entity, version) for kind in kinds for entity in table[kind]]


def delta(kind, entity, version, key=None):
    entity = entity and {name: {"id": value} if name in REFERENCES and value else value for name, value in entity.items()}
    told = {"type": kind, "entity": entity, "version": version, "ws_id": WORKSPACE}
    return {**told, "pk": key} if key else told

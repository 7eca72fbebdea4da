"""The stand-in's Admin API, of a control plane and of a node without a database."""

import hashlib
import json
import os
import re
import threading
import time
import urllib.parse
import uuid

import database

FAULT = os.environ.get("STAND_IN_FAULT", "")
VERSION = os.environ.get("STAND_IN_VERSION", "3.9.1")
WORKSPACE = "0dc6f45b-8f8d-40d2-a504-473544ee190b"
OWNERS = {"services": "service", "routes": "route", "consumers": "consumer"}
KINDS = {"key-auth": "keyauth_credentials", "key-auths": "keyauth_credentials"}


def completed(kind, given):
    """The entity with what Kong would add, as far as the suite looks at it."""
    now = int(time.time())
    entity = {"id": str(uuid.uuid4()), "created_at": now, **given}
    # Kong 2.8 has the time of a change only with services and routes.
    if kind in ("services", "routes") or (kind != "keyauth_credentials" and not VERSION.startswith("2.")):
        entity["updated_at"] = now
    if kind == "services" and "url" in entity:
        url = urllib.parse.urlsplit(entity.pop("url"))
        entity.update({"protocol": url.scheme, "host": url.hostname, "port": url.port, "path": url.path or None, "enabled": True})
    if kind == "routes":
        entity.setdefault("protocols", ["http", "https"])
    if kind == "plugins":
        entity.setdefault("enabled", True)
        entity.setdefault("protocols", ["http", "https"])
        entity.setdefault("config", {"key_names": ["apikey"]})
    return entity


class Plane:
    """A control plane's entities, and the data planes that are connected to it."""

    def __init__(self, settings):
        self.settings, self.database = settings, database.Database(settings)
        self.entities = self.database.read()
        self.changed = threading.Condition()
        self.planes = {}

    def add(self, kind, entity):
        with self.changed:
            self.database.add(kind, entity)
            self.entities.setdefault(kind, []).append(entity)
            self.changed.notify_all()

    def configuration(self):
        """What data planes are sent, and its hash."""
        table = {"_format_version": "3.0", "_transform": False, **json.loads(json.dumps(self.entities))}
        table["workspaces"] = [{"id": WORKSPACE, "name": "default", "config": {}, "meta": {}, "created_at": 1, "updated_at": 1}]
        table["parameters"] = [{"key": "cluster_id", "value": "b8e6ba4a-6d4f-4d55-9f18-0bd6b6ef5b3e", "created_at": 1}]
        if FAULT == "sends-another-key":
            for credential in table.get("keyauth_credentials", []):
                credential["key"] = "another"
        if FAULT == "names-another-host":
            for service in table.get("services", []):
                service["name"] = "another"
        return table, hashlib.md5(json.dumps(table, sort_keys=True).encode()).hexdigest()


class Admin:
    plane = None

    def do_GET(self):
        path = self.path.split("?")[0].strip("/")
        if path == "status":
            return self.answer(200, {"database": {"reachable": True}})
        if path == "clustering/data-planes":
            return self.answer(200, {"data": list(self.plane.planes.values()), "next": None})
        kind = KINDS.get(path, path)
        if kind in ("services", "routes", "consumers", "plugins", "keyauth_credentials"):
            found = json.loads(json.dumps(self.plane.entities.get(kind, [])))
            return self.answer(200, {"data": found, "next": None})
        return self.answer(404, {"message": "Not found"})

    def do_POST(self):
        parts, entity = self.path.strip("/").split("/"), self.body()
        kind = KINDS.get(parts[-1], parts[-1])
        if len(parts) == 3:
            owners = self.plane.entities.get(parts[0], [])
            [owner] = [one["id"] for one in owners if parts[1] in (one.get("name"), one.get("username"))] or [None]
            if owner is None:
                return self.answer(404, {"message": "Not found"})
            entity[OWNERS[parts[0]]] = owner
        elif not re.fullmatch(r"services|consumers", kind):
            return self.answer(404, {"message": "Not found"})
        entity = completed(kind, entity)
        self.plane.add(kind, entity)
        return self.answer(201, entity)


class AdminOfNode:
    """POST /config of a node without a database: the nested form, or the flat one."""

    def do_POST(self):
        if FAULT == "refuses-a-configuration":
            return self.answer(400, {"message": "declarative config is invalid: {}"})
        body = self.body()
        text = body["config"] if "config" in body else json.dumps(body)
        given = json.loads(text) if isinstance(text, str) else text
        self.state.apply(flattened(given), hashlib.md5(json.dumps(given).encode()).hexdigest())
        return self.answer(201, given)

    def do_GET(self):
        if self.path.startswith("/config"):
            return self.answer(200, {"config": json.dumps(self.state.configuration)})
        if self.path == "/":
            return self.answer(200, {"version": VERSION, "configuration": {"database": "off", "role": "traditional"}})
        return super().do_GET()


def flattened(given):
    """Entities that are nested in others beside them, with the other's id."""
    flat = {key: value for key, value in given.items() if key.startswith("_")}
    pending = [(kind, one, None) for kind, many in given.items() if isinstance(many, list) for one in many]
    while pending:
        kind, entity, owner = pending.pop(0)
        entity = completed(kind, {**entity, **(owner or {})})
        for inner in ("routes", "plugins", "keyauth_credentials"):
            own = {OWNERS.get(kind, kind): entity["id"]}
            pending += [(inner, one, own) for one in entity.pop(inner, None) or []]
        flat.setdefault(kind, []).append(entity)
    return flat

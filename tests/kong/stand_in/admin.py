"""The stand-in's Admin API, of a control plane and of a node without a database."""

import hashlib
import json

import entities
from played import FAULT, MINOR, VERSION

OWNERS = {"services": "service", "routes": "route", "consumers": "consumer"}
KINDS = {
    **{name: name for name in ("services", "routes", "consumers", "plugins")},
    **{"key-auth": "keyauth_credentials", "key-auths": "keyauth_credentials", "filter-chains": "filter_chains"},
}


class Admin:
    plane = None

    def do_GET(self):
        path = self.path.split("?")[0].strip("/")
        if path == "status":
            return self.answer(200, {"database": {"reachable": True}})
        if path == "clustering/data-planes":
            return self.answer(200, {"data": list(self.plane.planes.values()), "next": None})
        if path in KINDS:
            # References are objects here, and plain ids in a configuration.
            spelled = lambda name, value: {"id": value} if name in OWNERS.values() and value else value
            found = [{name: spelled(name, value) for name, value in one.items()} for one in self.plane.entities.get(KINDS[path], [])]
            return self.answer(200, {"data": found, "next": None})
        return self.missing()

    def do_POST(self):
        parts, entity = self.path.strip("/").split("/"), self.body()
        kind = KINDS.get(parts[-1])
        if len(parts) == 3:
            owner = self.plane.find(parts[0], parts[1])
            entity[OWNERS[parts[0]]] = owner and owner["id"]
        if kind is None or len(parts) != (1 if kind in ("services", "consumers") else 3) or None in entity.values():
            return self.missing()
        return self.put(kind, entity, 201)

    def do_PATCH(self):
        parts, change = self.path.strip("/").split("/"), self.body()
        found = self.plane.find(KINDS.get(parts[0]), parts[1])
        if found is None:
            return self.missing()
        return self.put(KINDS[parts[0]], {**found, **change}, 200)

    def do_DELETE(self):
        parts = self.path.strip("/").split("/")
        found = self.plane.find(KINDS.get(parts[0]), parts[1])
        if found is None:
            return self.missing()
        self.plane.remove(KINDS[parts[0]], found["id"])
        return self.answer(204, None)

    def put(self, kind, entity, status):
        if kind == "filter_chains":
            wrong = wrong_filters(entity["filters"], self.plane.filters())
            if wrong:
                return self.answer(400, {"message": f"schema violation (filters: {wrong})"})
        entity = entities.completed(kind, entity)
        self.plane.put(kind, entity)
        return self.answer(status, entity)

    def missing(self):
        return self.answer(404, {"message": "Not found"})


def wrong_filters(filters, known):
    """What this version has against them, if anything: 3.4 takes settings as text alone, later versions as what the filter's schema says."""
    for one in filters:
        if one["name"] not in known:
            return "no such filter"
        is_text = isinstance(one.get("config"), str)
        if is_text != (MINOR == (3, 4)):
            return "config: expected a string" if MINOR == (3, 4) else "config: wrong type: expected object, got string"
    return None


class AdminOfNode:
    """POST /config of a node without a database: the nested form, or the flat one."""

    def do_POST(self):
        if FAULT == "refuses-a-configuration":
            return self.answer(400, {"message": "declarative config is invalid: {}"})
        body = self.body()
        text = body["config"] if "config" in body else json.dumps(body)
        given = json.loads(text) if isinstance(text, str) else text
        self.state.apply(entities.flattened(given), hashlib.md5(json.dumps(given).encode()).hexdigest())
        return self.answer(201, given)

    def do_GET(self):
        if self.path.startswith("/config"):
            return self.answer(200, {"config": json.dumps(self.state.configuration)})
        if self.path == "/":
            return self.answer(200, {"version": VERSION, "configuration": {"database": "off", "role": "traditional"}})
        return super().do_GET()

"""Entities with all the fields that Kong gives them, by the schemas that real Kongs have told."""

import copy
import functools
import gzip
import json
import pathlib
import time
import urllib.parse
import uuid

from played import MINOR

SCHEMAS = pathlib.Path(__file__).resolve().parents[3] / "core" / "data"


@functools.cache
def schemas():
    """Those of the newest recorded version that is not newer than this one."""
    recorded = "2.8.5" if MINOR < (3, 0) else "3.4.2" if MINOR < (3, 9) else "3.9.1"
    return json.loads(gzip.open(SCHEMAS / f"kong-{recorded}-schemas.json.gz").read())


def filled(fields, given):
    """The given members, and each other field with its default or null, as Kong spells them out."""
    entity = dict(given)
    for name, field in ((name, field) for one in fields for name, field in one.items()):
        if field["type"] == "record" and name in ("config", "meta"):
            entity[name] = filled(field.get("fields", []), given.get(name) or {})
        else:
            entity.setdefault(name, copy.deepcopy(field.get("default")))
    return entity


def completed(kind, given):
    """The entity with what Kong would add."""
    fields, now = schemas()["entities"][kind]["fields"], int(time.time())
    given = dict(given)
    if kind == "services" and "url" in given:
        url = urllib.parse.urlsplit(given.pop("url"))
        given.update({"protocol": url.scheme, "host": url.hostname, "port": url.port, "path": url.path or None})
    if kind == "plugins":
        plugin = schemas()["plugins"][given["name"]]["fields"]
        [settings] = [field["config"] for field in plugin if "config" in field]
        given["config"] = filled(settings["fields"], given.get("config") or {})
        fields = [field for field in fields if "config" not in field]
    if kind == "filter_chains":
        given["filters"] = [{"enabled": True, **one} for one in given["filters"]]

    entity = filled(fields, {"id": str(uuid.uuid4()), "created_at": now, **given})
    if "updated_at" in entity:
        entity["updated_at"] = now
    return entity


def flattened(given):
    """Entities that are nested in others beside them, with the other's id."""
    owners = {"services": "service", "routes": "route", "consumers": "consumer"}
    flat = {key: value for key, value in given.items() if key.startswith("_")}
    pending = [(kind, one, None) for kind, many in given.items() if isinstance(many, list) for one in many]
    while pending:
        kind, entity, owner = pending.pop(0)
        nested = {inner: entity.get(inner) or [] for inner in ("routes", "plugins", "keyauth_credentials")}
        entity = completed(kind, {**{name: value for name, value in entity.items() if name not in nested}, **(owner or {})})
        for inner, many in nested.items():
            pending += [(inner, one, {owners.get(kind, kind): entity["id"]}) for one in many]
        flat.setdefault(kind, []).append(entity)
    return flat

"""The stand-in's node: what it runs, and its proxy and Status API."""

import codecs
import hashlib
import http.server
import json
import os
import pathlib
import re
import signal
import sys
import threading
import uuid

import cache
from played import EMPTY, FAULT, MINOR, VERSION

# The change in whose middle something goes wrong, where that is the fault.
AT_CHANGE = 30


def say(text):
    print(f"[stand-in] {text}", file=sys.stderr, flush=True)


def load_libraries(settings):
    """Loads what a node of these settings needs and others do without, and what Python loads only when it is needed."""
    codecs.lookup("idna")
    if MINOR >= (3, 0) and settings.get("KONG_ROLE") != "control_plane":
        import lmdb
    if settings.get("KONG_WASM") == "on":
        import wasm_host


class State:
    """What a node runs."""

    def __init__(self, settings, prefix):
        self.settings, self.prefix, self.id = settings, prefix, str(uuid.uuid4())
        self.configuration, self.hash, self.workspace = {}, EMPTY, None
        self.lock, self.changes, self.fails_once, self.has_dropped = threading.RLock(), 0, False, False
        self.cache, self.filters = cache.of(prefix), None
        if settings.get("KONG_WASM") == "on":
            import wasm_host

            self.filters = wasm_host.WasmHost(pathlib.Path(settings["KONG_WASM_FILTERS_PATH"]) / "lifeboat.wasm", self.id)

    def version(self):
        """Which version of incremental sync it has; 0 also for a configuration of another origin."""
        return int(self.hash) if re.fullmatch(r"-?0{10}\d+", self.hash) else 0

    def apply(self, configuration, config_hash, from_link=False):
        """Takes a whole configuration, unless a fault keeps it from that."""
        if from_link and (FAULT == "stays-empty" or (FAULT == "loses-the-change" and self.hash != EMPTY)):
            return
        if from_link and FAULT == "drops-the-first" and self.hash == EMPTY and not self.has_dropped:
            self.has_dropped = True
            say("unable to open DB for access: MDB_NOTFOUND")
            return
        workspaces = configuration.get("workspaces") or [{}]
        with self.lock:
            self.workspace = workspaces[0].get("id") or cache.WORKSPACE.decode()
            self.take(configuration, config_hash, self.workspace, from_link)

    def take(self, configuration, config_hash, workspace, from_link):
        # Before a request can go by them.
        self.attach(configuration)
        self.configuration, self.hash = configuration, config_hash
        self.cache.store(configuration, config_hash, workspace, from_link)
        self.changes += 1
        say(f"runs {config_hash}")
        if self.changes == AT_CHANGE:
            self.goes_wrong()

    def apply_deltas(self, wipe, deltas):
        """Takes what incremental sync brings. A second configuration of one workspace is Kong's own trap (docs/KONG.md section 7)."""
        if FAULT == "takes-no-deltas" or (FAULT == "keeps-the-backup" and self.version() < 0):
            return
        version = deltas[-1]["version"]
        # What Kong refuses.
        if not all(isinstance(one["version"], int) and isinstance(one["ws_id"], str) for one in deltas):
            raise ValueError("a delta without a version or a workspace")
        with self.lock:
            having = {} if wipe else {kind: list(many) for kind, many in self.configuration.items() if isinstance(many, list)}
            for one in deltas:
                kind, entity = one["type"], one["entity"]
                name = (one.get("pk") or entity).get("id") or entity["key"]
                having[kind] = [other for other in having.get(kind, []) if (other.get("id") or other["key"]) != name]
                if entity:
                    plain = {key: value["id"] if isinstance(value, dict) and list(value) == ["id"] else value for key, value in entity.items()}
                    having[kind].append({**plain, "ws_id": one["ws_id"]})

            workspace = self.workspace
            if wipe:
                [new] = [one["id"] for one in having["workspaces"] if one["name"] == "default"]
                workspace = None if new == self.workspace or FAULT == "forgets-its-workspace" else new
                self.workspace = new
            self.take(having, f"{version:032d}", workspace, True)

    def goes_wrong(self):
        has_died = self.prefix / "has-died"
        if FAULT == "loses-a-worker" and not has_died.exists():
            has_died.touch()
            # Not SIGSEGV, by which a real one dies: wasmtime has a handler for that.
            os.kill(os.getpid(), signal.SIGKILL)
        self.fails_once = FAULT == "fails-a-request"

    def attach(self, configuration):
        """Gives the chain's settings to the filter, if this node has filters."""
        for chain in (configuration.get("filter_chains") or []) if self.filters else []:
            settings = chain["filters"][0]["config"]
            self.filters.configure(settings.encode() if isinstance(settings, str) else json.dumps(settings).encode())

    def load_cache(self):
        declarative = self.settings.get("KONG_DECLARATIVE_CONFIG")
        found = self.cache.load()
        if declarative and FAULT != "ignores-the-file":
            body = pathlib.Path(declarative).read_bytes()
            self.apply(json.loads(body), hashlib.md5(body).hexdigest())
        elif found and FAULT != "ignores-the-cache":
            self.attach(found[0])
            self.configuration, self.hash, self.workspace = found

    def told_hash(self):
        return "f" * 32 if FAULT == "lies-about-its-hash" and self.hash != EMPTY else self.hash

    def has_key(self, key):
        """Whether a consumer has it: those of another workspace than the node's don't count."""
        credentials = self.configuration.get("keyauth_credentials") or []
        return any(one["key"] == key and one.get("ws_id") in (None, self.workspace) for one in credentials)


class Handler(http.server.BaseHTTPRequestHandler):
    state = None
    protocol_version = "HTTP/1.1"
    # One write for head and body: two would wait for each other.
    wbufsize = -1

    def answer(self, status, body):
        said = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        if status != 204:
            self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def body(self):
        return json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")

    def log_message(self, *_):
        pass


class Status(Handler):
    def do_GET(self):
        if self.path != "/status/ready":
            return self.answer(200, {"configuration_hash": self.state.told_hash(), "server": {}, "memory": {}})
        if MINOR < (3, 3):
            return self.answer(404, {"message": "Not found"})
        return self.answer(503 if self.state.hash == EMPTY else 200, {})


class Proxy(Handler):
    """Routes by paths, key-auth, and the filter."""

    def do_GET(self):
        state, having = self.state, self.state.configuration
        routes = [route for route in having.get("routes") or [] if self.path in (route.get("paths") or [])]
        if not routes:
            return self.answer(404, {"message": "no Route matched with those values"})
        plugins = [plugin for plugin in having.get("plugins") or [] if plugin.get("route") == routes[0]["id"]]
        if plugins and not state.has_key(self.headers.get("apikey")):
            return self.answer(401, {"message": "No API key found in request"})
        chains = [chain for chain in having.get("filter_chains") or [] if chain["service"] == routes[0]["service"]]
        if (state.filters and chains and not state.filters.request()) or state.fails_once:
            state.fails_once = False
            return self.answer(500, {"message": "An unexpected error occurred"})
        return self.answer(200, {"version": VERSION})

"""The stand-in's running node: a control plane, a data plane, or a node without a database."""

import gzip
import hashlib
import http.server
import json
import os
import pathlib
import signal
import sys
import threading

import admin
import link

FAULT = os.environ.get("STAND_IN_FAULT", "")
VERSION = os.environ.get("STAND_IN_VERSION", "3.9.1")
EMPTY = "0" * 32


def say(text):
    print(f"[stand-in] {text}", file=sys.stderr, flush=True)


class State:
    """What a node runs."""

    def __init__(self, settings, prefix):
        self.settings, self.prefix = settings, prefix
        self.configuration, self.hash = {}, EMPTY
        self.lock = threading.Lock()

    def apply(self, configuration, config_hash, from_link=False):
        """Takes a configuration, unless a fault keeps it from that."""
        if from_link and (FAULT == "stays-empty" or (FAULT == "loses-the-change" and self.hash != EMPTY)):
            return
        with self.lock:
            self.configuration, self.hash = configuration, config_hash
        if from_link and VERSION.startswith("2."):
            (self.prefix / "config.cache.json.gz").write_bytes(gzip.compress(json.dumps(configuration).encode()))
        say(f"runs {config_hash}")

    def load_cache(self):
        cache, declarative = self.prefix / "config.cache.json.gz", self.settings.get("KONG_DECLARATIVE_CONFIG")
        if declarative and FAULT != "ignores-the-file":
            body = pathlib.Path(declarative).read_bytes()
            self.apply(json.loads(body), hashlib.md5(body).hexdigest())
        elif cache.exists() and FAULT != "ignores-the-cache":
            body = gzip.decompress(cache.read_bytes())
            self.apply(json.loads(body), hashlib.md5(body).hexdigest())

    def told_hash(self):
        return "f" * 32 if FAULT == "lies-about-its-hash" and self.hash != EMPTY else self.hash


class Handler(http.server.BaseHTTPRequestHandler):
    state = None

    def answer(self, status, body):
        said = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def body(self):
        return json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")

    def log_message(self, *_):
        pass


class Status(Handler):
    def do_GET(self):
        if self.path == "/status/ready":
            self.answer(503 if self.state.hash == EMPTY else 200, {})
        else:
            self.answer(200, {"configuration_hash": self.state.told_hash(), "server": {}, "memory": {}})


class Proxy(Handler):
    """Routes by paths, and key-auth."""

    def do_GET(self):
        having = self.state.configuration
        routes = [route for route in having.get("routes") or [] if any(self.path.startswith(path) for path in route.get("paths") or [])]
        if not routes:
            return self.answer(404, {"message": "no Route matched with those values"})
        plugins = [plugin for plugin in having.get("plugins") or [] if plugin.get("route") == routes[0]["id"]]
        keys = [credential["key"] for credential in having.get("keyauth_credentials") or []]
        if plugins and self.headers.get("apikey") not in keys:
            return self.answer(401, {"message": "No API key found in request"})
        return self.answer(200, {})


def listen(address, handler, state):
    """Serves on an address of kong.conf, in threads."""
    if not address or address.startswith("off"):
        return
    host, port = address.split()[0].rsplit(":", 1)
    bound = type(handler.__name__, (handler,), {"state": state})
    server = http.server.ThreadingHTTPServer((host, int(port)), bound)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def serve(settings, prefix, tell):
    """Runs until SIGTERM; tells once whether it has started."""
    try:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        state = State(settings, prefix)
        if settings.get("KONG_ROLE") == "control_plane":
            plane = admin.Plane(settings)
            listen(settings["KONG_ADMIN_LISTEN"], type("Admin", (admin.Admin, Handler), {"plane": plane}), state)
            link.serve(plane)
        else:
            state.load_cache()
            listen(settings.get("KONG_ADMIN_LISTEN"), type("Admin", (admin.AdminOfNode, Status), {}), state)
            listen(settings.get("KONG_PROXY_LISTEN"), Proxy, state)
            listen(settings.get("KONG_STATUS_LISTEN"), Status, state)
            if settings.get("KONG_ROLE") == "data_plane":
                threading.Thread(target=link.connect, args=(state,), daemon=True).start()
        (prefix / "pids" / "nginx.pid").write_text(f"{os.getpid()}\n")
    except Exception as error:
        tell(f"{type(error).__name__}: {error}")
        raise
    tell("started")
    threading.Event().wait()

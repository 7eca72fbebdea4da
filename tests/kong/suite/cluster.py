"""What scenarios share: the programs, the database, an upstream, and a cluster that is seeded with a few entities."""

import http.server
import pathlib
import shlex
import threading

from .gateway import ControlPlane, Node
from .lifeboat import Lifeboat
from .processes import Failure, free_port

KEY = "key-of-the-suite"
CHANGES_FOR_A_FRESH_NODE = 3
KINDS = {"services": "services", "routes": "routes", "consumers": "consumers", "plugins": "plugins", "key-auths": "keyauth_credentials"}
# What both the Admin API and a configuration spell alike. Foreign keys and the settings of plugins, which Kong spells in two ways, are left out.
FIELDS = ("id", "name", "protocol", "host", "port", "path", "paths", "methods", "username", "key", "enabled")


class Answerer(http.server.BaseHTTPRequestHandler):
    """The upstream of all services: it answers everything with 200."""

    protocol_version = "HTTP/1.1"
    # One write for head and body: two would wait for each other.
    wbufsize = -1

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


class Upstream(http.server.ThreadingHTTPServer):
    # As many connections may wait as a gateway under load opens at once; Python's own number is 5.
    request_queue_size = 128


class Bench:
    """The programs and the database, for all scenarios of one run."""

    def __init__(self, prefix, kong, lifeboat, postgres, given_filter=None):
        self.prefix, self.kong, self.lifeboat, self.postgres, self.given_filter = prefix, kong, lifeboat, postgres, given_filter
        # The control plane that has made the tables, once there are any.
        self.migrated_by = None
        self.upstream = Upstream(("127.0.0.1", free_port()), Answerer)
        threading.Thread(target=self.upstream.serve_forever, daemon=True).start()

    @property
    def service(self):
        return f"http://127.0.0.1:{self.upstream.server_port}"

    def leave(self):
        """Leaves a database that was given as empty as it was."""
        if self.migrated_by and self.postgres.is_given:
            self.migrated_by.run("migrations", "reset", "--yes")


class Started:
    """Remembers what a scenario has started and stops it, the newest first, whatever happens."""

    def __init__(self):
        self.running = []

    def add(self, one):
        self.running.append(one)
        return one

    def __enter__(self):
        return self

    def __exit__(self, *_):
        failures = []
        for one in reversed(self.running):
            try:
                one.stop()
            except Failure as failure:
                failures.append(str(failure))
        if failures:
            raise Failure("; ".join(failures))


class Cluster(Started):
    """A control plane with entities, Lifeboat's settings for it, and as many nodes as a scenario wants."""

    def __init__(self, bench, name, control_plane=None, node=None, lifeboat=None):
        super().__init__()
        self.bench, self.name = bench, name
        self.certificate = self.key = None
        if control_plane is None or "KONG_CLUSTER_CERT" not in control_plane:
            self.certificate, self.key = bench.kong.certificate(bench.prefix / name)
        shared = {"KONG_CLUSTER_CERT": self.certificate, "KONG_CLUSTER_CERT_KEY": self.key} if self.certificate else {}
        trusted = {"KONG_LUA_SSL_TRUSTED_CERTIFICATE": self.certificate} if self.certificate else {}

        self.node_settings = {**shared, **trusted, **(node or {})}
        self.control_plane = ControlPlane(bench.kong, f"{name}/control-plane", {**bench.postgres.settings, **shared, **(control_plane or {})})
        # The Admin API's URL is left out while it must not be asked: exporters would wait for it in an outage.
        cluster = {"KONG_CLUSTER_CONTROL_PLANE": self.control_plane.address, **shared, **(lifeboat or {})}
        self.lifeboat = Lifeboat(bench.lifeboat, bench.prefix / name / "lifeboat", bench.kong.version, cluster)

    def __enter__(self):
        try:
            if not self.bench.migrated_by:
                self.control_plane.prefix.mkdir(parents=True, exist_ok=True)
                self.control_plane.migrate()
                self.bench.migrated_by = self.control_plane
            self.add(self.control_plane).start()
            if not self.control_plane.all("services"):
                self.seed()
        except BaseException:
            self.__exit__()
            raise
        return self

    def seed(self):
        """Two routes of one service: one open, the other for those who have the key."""
        admin = self.control_plane.admin
        admin("POST", "/services", {"name": "upstream", "url": self.bench.service})
        admin("POST", "/services/upstream/routes", {"name": "open", "paths": ["/open"]})
        admin("POST", "/services/upstream/routes", {"name": "locked", "paths": ["/locked"]})
        admin("POST", "/routes/locked/plugins", {"name": "key-auth"})
        admin("POST", "/consumers", {"username": "someone"})
        admin("POST", "/consumers/someone/key-auth", {"key": KEY})

    def add_route(self, name):
        """A change: from now on nodes should answer this path, too."""
        self.control_plane.admin("POST", "/services/upstream/routes", {"name": name, "paths": [f"/{name}"]})

    def run_lifeboat(self, *arguments, **settings):
        return self.add(self.lifeboat).start(*arguments, **settings)

    def fresh_node(self, name, address=None, through=(), **settings):
        """A node that has nothing yet, at the relay where no other address is given."""
        address = address or self.lifeboat.relay
        node = Node(self.bench.kong, f"{self.name}/{name}", address, {**self.node_settings, **settings})
        return self.add(node).start(through)

    def settles(self, node):
        """A fresh node takes what its control plane has. Kong itself can drop the first configuration of a node that has just started, and
        such a node gets another one only after the next change (docs/KONG.md, "A race to survive")."""
        for attempt in range(CHANGES_FOR_A_FRESH_NODE):
            try:
                return serves(node, 10)
            except Failure:
                self.control_plane.admin("PATCH", "/services/upstream", {"tags": [f"again-{node.prefix.name}-{attempt}"]})
        return serves(node)

    def publish(self):
        """Exports until the published snapshot has every route of the control plane; returns it."""
        wanted = {name: len(self.control_plane.all(name)) for name in ("routes", "services", "consumers", "plugins")}
        return self.lifeboat.wait_for_publication(lambda one: has_counts(one, wanted))

    def dies(self):
        self.control_plane.stop()


def has_counts(snapshot, wanted):
    counts = snapshot["manifest"]["counts"]
    return all(counts.get(name, 0) == number for name, number in wanted.items())


def serves(node, seconds=40):
    """The node answers what the entities of the suite say: for everybody, for nobody without a key, and with it."""
    node.answers("/open", 200, seconds)
    node.answers("/locked", 401, seconds)
    node.answers("/locked", 200, seconds, apikey=KEY)


def differences(control_plane, configuration):
    """What the Admin API has and the configuration has not, the other way round, or differently."""
    found = []
    for path, kind in KINDS.items():
        there = {entity["id"]: entity for entity in control_plane.all(path)}
        here = {entity["id"]: entity for entity in configuration.get(kind) or []}
        found += [f"{kind} {one} is not in the backup" for one in there.keys() - here.keys()]
        found += [f"{kind} {one} is not on the control plane" for one in here.keys() - there.keys()]
        for one in there.keys() & here.keys():
            for field in FIELDS:
                ours, theirs = (entity.get(field) or None for entity in (here[one], there[one]))
                if ours != theirs:
                    found.append(f"{field} of {kind} {one} is {ours} in the backup and {theirs} on the control plane")
    return found


def program_folder(bench):
    """A folder for the PATH in which the suite's Kong is called kong, wherever it really is."""
    folder = pathlib.Path(bench.prefix / "bin")
    folder.mkdir(exist_ok=True)
    wrapper = folder / "kong"
    wrapper.write_text(f"#!/bin/sh\nexec {shlex.quote(str(bench.kong.path))} \"$@\"\n")
    wrapper.chmod(0o755)
    return folder

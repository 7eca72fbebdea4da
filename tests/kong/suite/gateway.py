"""Kongs: the control plane, data planes and nodes without a database, each below a prefix of its own."""

import json
import os
import pathlib
import re
import urllib.error
import urllib.request

from .processes import Failure, children, command, environment, free_port, is_alive, stop, tail, wait_for

EMPTY = "0" * 32
CURE = (
    "Set KONG to the path of a kong program of 2.8 to 3.9, such as KONG=/usr/local/bin/kong tests/kong/run; "
    "https://developer.konghq.com/gateway/install/ has packages and images."
)


def http(url, body=None, method=None, headers=None, patience=10):
    """One request: the status and the body's bytes. Only a missing answer is an error."""
    data = None if body is None else json.dumps(body).encode()
    headers = {**({"content-type": "application/json"} if data else {}), **(headers or {})}
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=patience) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


class Program:
    """The kong program, its version, and the folder below which its nodes live."""

    def __init__(self, path, prefix):
        if not path:
            raise Failure(f"there is no Kong: the variable KONG is not set. {CURE}")
        self.path, self.prefix = pathlib.Path(path).absolute(), prefix
        if not os.access(self.path, os.X_OK) or self.path.is_dir():
            raise Failure(f"KONG={path} is no program that can be run. {CURE}")
        said = command([self.path, "version"], environment()).stdout.strip()
        found = re.search(r"\d+\.\d+\.\d+(\.\d+)?", said)
        if not found:
            raise Failure(f"{path} version says {said!r}, which is no version of Kong. {CURE}")
        self.said, self.version = said, found.group()
        self.minor = tuple(int(part) for part in self.version.split(".")[:2])
        if not (2, 8) <= self.minor <= (3, 9) or self.minor == (3, 1):
            raise Failure(f"{path} is {said}; the suite is for 2.8 to 3.9, without 3.1, which Lifeboat does not serve. {CURE}")
        # Kong's own words for itself, "Kong Enterprise 3.9.1.2", and the four numbers that no open-source version has.
        self.is_enterprise = "enterprise" in said.lower() or self.version.count(".") == 3
        # Without one, Kong reads /etc/kong/kong.conf, which is somebody's gateway.
        self.conf = prefix / "kong.conf"
        self.conf.write_text("# Of Lifeboat's suite: all settings are in the environment.\n")

    def settings(self, prefix):
        """What all Kongs of the suite have in common: nothing outside of loopback and the prefix."""
        settings = {
            "KONG_PREFIX": prefix,
            "KONG_ANONYMOUS_REPORTS": "off",
            "KONG_NGINX_WORKER_PROCESSES": 1,
            "KONG_LOG_LEVEL": "notice",
            "KONG_PROXY_ACCESS_LOG": "off",
            "KONG_STREAM_LISTEN": "off",
            "KONG_ADMIN_LISTEN": "off",
            "KONG_ADMIN_GUI_LISTEN": "off",
            "KONG_PROXY_LISTEN": "off",
            # Later versions listen on port 8007 unless they are told otherwise.
            "KONG_STATUS_LISTEN": "off",
        }
        if os.geteuid() == 0:
            # Kong's workers would otherwise become the user kong or nobody, whatever this machine has.
            settings["KONG_NGINX_MAIN_USER"] = os.environ.get("SUITE_NGINX_USER", "root root")
        return settings

    def certificate(self, folder):
        """A cluster certificate as Kong makes it, and its key."""
        folder.mkdir(parents=True, exist_ok=True)
        pair = folder / "cluster.crt", folder / "cluster.key"
        command([self.path, "hybrid", "gen_cert", *pair], environment(**self.settings(folder / "kong")))
        return pair


class Kong:
    """One Kong: started by `kong start`, stopped by the process id that it has written."""

    def __init__(self, program, name, settings):
        self.program, self.name, self.prefix = program, name, program.prefix / name
        self.ports = {}
        self.env = environment(**{**program.settings(self.prefix), **settings})

    @property
    def log(self):
        return self.prefix / "logs" / "error.log"

    def listen(self, setting):
        """Gives a listener a free port on loopback; it keeps it over restarts."""
        self.ports[setting] = free_port()
        self.env[f"KONG_{setting.upper()}_LISTEN"] = f"127.0.0.1:{self.ports[setting]}"

    def url(self, setting, path):
        return f"http://127.0.0.1:{self.ports[setting]}{path}"

    def run(self, *arguments):
        return command([self.program.path, *arguments, "--conf", self.program.conf], self.env)

    def start(self, through=()):
        self.prefix.mkdir(parents=True, exist_ok=True)
        try:
            command([*through, self.program.path, "start", "--conf", self.program.conf], self.env)
        except Failure as failure:
            raise Failure(f"{self.name} does not start: {failure}\nthe end of {self.log}:\n{tail(self.log)}") from failure
        return self

    def pid(self):
        """Its nginx master, or None."""
        try:
            return int((self.prefix / "pids" / "nginx.pid").read_text())
        except (OSError, ValueError):
            return None

    def workers(self):
        """The process ids of its nginx workers; another set later means that one has died."""
        return children(self.pid() or -1)

    def stop(self):
        pid = self.pid()
        if pid and is_alive(pid):
            stop(pid)

    def restart(self):
        """Stops it and starts it again, on what its prefix has."""
        self.stop()
        return self.start()

    def status(self):
        """The answer of the Status API: of an own listener, or of the Admin API."""
        setting = "status" if "status" in self.ports else "admin"
        return json.loads(http(self.url(setting, "/status"))[1])

    def hash(self):
        """The configuration that the node says it runs; None if it says nothing about that."""
        return self.status().get("configuration_hash")

    def wait_for_hash(self, wanted, seconds=40):
        """A node runs this configuration. Kong itself can drop a fresh node's first one, so this waits through the second send."""
        what = f"{self.name} to run {wanted}"
        wait_for(what, lambda: self.hash() == wanted, seconds, self.log)

    def answers(self, path, status, seconds=40, **headers):
        """The proxy answers a path with this status."""
        seen = []

        def answered():
            seen.append(http(self.url("proxy", path), headers=headers)[0])
            return seen[-1] == status

        try:
            wait_for(f"{self.name} to answer {path} with {status}", answered, seconds, self.log)
        except Failure as failure:
            raise Failure(f"{failure}\nanswers to {path}, the last ten: {seen[-10:]}") from failure


class ControlPlane(Kong):
    """A control plane, with its Admin API and its database."""

    def __init__(self, program, name, settings):
        super().__init__(program, name, {"KONG_ROLE": "control_plane", "KONG_DATABASE": "postgres", **settings})
        self.listen("admin")
        self.listen("cluster")
        # Telemetry exists in Enterprise alone; its default is the same port for everybody.
        self.listen("cluster_telemetry")

    @property
    def address(self):
        return f"127.0.0.1:{self.ports['cluster']}"

    def migrate(self, anew=False):
        """Makes the tables; anew: after everything in them was lost."""
        if anew:
            self.run("migrations", "reset", "--yes")
        self.run("migrations", "bootstrap")

    def start(self, through=()):
        super().start(through)
        wait_for(f"the Admin API of {self.name}", lambda: http(self.url("admin", "/status"))[0] == 200, 60, self.log)
        return self

    def admin(self, method, path, body=None, patience=90):
        """A request to the Admin API that must succeed. With incremental sync it lasts 5 s longer for each node that has just gone."""
        status, said = http(self.url("admin", path), body, method, patience=patience)
        if not 200 <= status < 300:
            raise Failure(f"the Admin API answered {method} {path} with {status}: {said.decode(errors='replace')[:500]}")
        return json.loads(said) if said else None

    def all(self, kind):
        return self.admin("GET", f"/{kind}?size=1000")["data"]


class Node(Kong):
    """A data plane, with a proxy, a Status API, and no configuration at first."""

    def __init__(self, program, name, address, settings):
        hybrid = {"KONG_ROLE": "data_plane", "KONG_DATABASE": "off", "KONG_CLUSTER_CONTROL_PLANE": address}
        nowhere = {"KONG_CLUSTER_TELEMETRY_ENDPOINT": "127.0.0.1:9"}
        super().__init__(program, name, {**hybrid, **nowhere, **settings})
        self.listen("proxy")
        self.listen("status")


class NodeWithoutDatabase(Kong):
    """A node that has neither a control plane nor a database: it is given its configuration by the Admin API."""

    def __init__(self, program, name):
        super().__init__(program, name, {"KONG_ROLE": "traditional", "KONG_DATABASE": "off"})
        self.listen("proxy")
        self.listen("admin")

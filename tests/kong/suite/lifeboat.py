"""The lifeboat program: given or built, started as a service or for one command."""

import json
import os
import pathlib
import shutil

from .gateway import http
from .processes import Failure, Process, command, environment, free_port, wait_for

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]


def build(given):
    """The path of the program: what is given, or what cargo builds here."""
    if given:
        path = pathlib.Path(given).absolute()
        if not os.access(path, os.X_OK) or path.is_dir():
            raise Failure(f"--lifeboat {given} is no program that can be run; leave it out, and cargo builds one")
        return path
    command(["cargo", "build", "--locked", "--bin", "lifeboat"], environment(), 3600, cwd=REPOSITORY)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target"))
    return REPOSITORY / target / "debug" / "lifeboat"


def filter_folder(given, folder):
    """A folder with the filter alone, for wasm_filters_path: what is given, or what wasm-build.sh builds here."""
    if given:
        built = pathlib.Path(given).absolute()
        if not built.is_file():
            raise Failure(f"--filter {given} is no file; leave it out, and wasm-build.sh builds the filter")
    else:
        build = [REPOSITORY / "wasm-build.sh", "filter"]
        built = pathlib.Path(command(build, environment(), 3600, cwd=REPOSITORY).stdout.split()[-1])
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(built, folder / "lifeboat.wasm")
    shutil.copy(REPOSITORY / "filter" / "lifeboat.meta.json", folder)
    return folder


class Lifeboat:
    """Settings for one cluster: its control plane, its certificate, a store, and the program's own addresses."""

    def __init__(self, program, folder, version, settings):
        self.program, self.folder, self.process = program, folder, None
        folder.mkdir(parents=True, exist_ok=True)
        self.relay, self.port = f"127.0.0.1:{free_port()}", free_port()
        self.store = f"file://{folder}/store"
        self.settings = {
            "KONG_CLUSTER_FALLBACK_CONFIG_STORAGE": self.store,
            "KONG_CLUSTER_FALLBACK_CONFIG_EXPORT_DELAY": 1,
            "KONG_VERSION": version,
            "LIFEBOAT_RELAY_LISTEN": self.relay,
            "LIFEBOAT_HTTP_LISTEN": f"127.0.0.1:{self.port}",
            "LIFEBOAT_CP_CONFIG_TIMEOUT": "5s",
            **settings,
        }

    @property
    def log(self):
        return self.folder / "lifeboat.log"

    def env(self, **settings):
        return environment(**{**self.settings, **settings})

    def start(self, *arguments, **settings):
        """`lifeboat run`, until stop()."""
        self.process = Process([self.program, "run", *arguments], self.env(**settings), self.log)
        wait_for("lifeboat run to serve /healthz", lambda: http(f"http://127.0.0.1:{self.port}/healthz")[0] == 200, 30, self.log)
        return self

    def stop(self):
        if self.process:
            self.process.stop()
            self.process = None

    def command(self, *arguments, codes=(0,), seconds=180, **settings):
        return command([self.program, *arguments], self.env(**settings), seconds, codes)

    def status(self):
        """What `lifeboat run` says on /status."""
        return json.loads(http(f"http://127.0.0.1:{self.port}/status")[1])

    def relayed(self):
        """The nodes that are connected to the relay: their configuration's hash by their id."""
        return {node["id"]: node["config_hash"] for node in self.status()["relay"]["nodes"]}

    def snapshots(self):
        """The snapshots of this version in the store, newest first."""
        said = self.command("list", "--output", "json", codes=(0, 1, 3)).stdout
        return [one for version in json.loads(said or '{"versions": []}')["versions"] for one in version["snapshots"]]

    def published(self):
        """The published snapshot, or None."""
        return next((one for one in self.snapshots() if one["published"]), None)

    def wait_for_publication(self, of, seconds=60):
        """A snapshot is published for which this holds; returns it."""
        matches = lambda: next((one for one in [self.published()] if one and of(one)), None)
        return wait_for("a published snapshot of what the control plane has", matches, seconds, self.log)

    def configuration(self):
        """The published configuration, with secrets in clear text."""
        return json.loads(self.command("show", "--config", "--reveal-secrets").stdout)

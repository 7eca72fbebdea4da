#!/usr/bin/env python3
"""Starts each of Lifeboat's containers as manifests say: with their command, settings, files and probes, under the restrictions
of a container, in a network where nobody answers. A relay must get ready there, an exporter live, and an import give up.

    starts.py BINARY (compose|kubernetes|unit) FILE...

FILE is what podman-compose or kustomize have made of the manifests; or for systemd the file of the settings, the unit, and its
drop-ins. Names of files that a manifest mounts and nobody makes, settings that Lifeboat doesn't know or takes for wrong, probes that
ask for what isn't there, and less memory than docs/sizing.md derives from LIFEBOAT_MAX_CONFIG fail here.
"""

import json
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import time

import yaml

HERE = pathlib.Path(__file__).parent
RESTRICTED = HERE / "container" / "restricted.py"
PATIENCE = 60


def in_bytes(memory):
    number, unit = re.fullmatch(r"(\d+)([KMGkmg])i?", memory).groups()
    return int(number) << {"k": 10, "m": 20, "g": 30}[unit.lower()]


def least_memory(arguments, settings):
    """What docs/sizing.md derives from the largest configuration, without the nodes of a relay."""
    largest = int(settings["LIFEBOAT_MAX_CONFIG"])
    drills = settings.get("LIFEBOAT_DRILL_EVERY", "off") != "off"
    versions = len(settings.get("LIFEBOAT_KONG_VERSIONS", "one").split(","))
    exports = settings.get("KONG_CLUSTER_FALLBACK_CONFIG_EXPORT") == "on"
    restores = settings.get("KONG_CLUSTER_FALLBACK_CONFIG_IMPORT") == "on" or arguments[0] in ("import", "doctor", "drill")
    needs = ((exports, 3 * versions + drills), (restores, 2 * versions + 1))
    return sum((64 << 20) + times * largest for is_on, times in needs if is_on)


class Container:
    """A container to be started; `mounts` tells what lies at each path: the cluster's certificate, or an empty folder."""

    def __init__(self, name, arguments, settings, mounts, probes, memory):
        self.name, self.arguments, self.settings, self.mounts, self.probes = name, arguments, settings, mounts, probes
        least = least_memory(arguments, settings)
        assert in_bytes(memory) >= least, f"{name} may take {memory}, and docs/sizing.md says {least >> 20} MiB"


def of_compose(text):
    composed = yaml.safe_load(text)
    for name, service in composed["services"].items():
        if "lifeboat" not in service["image"]:
            continue
        assert service["read_only"] and service["cap_drop"] == ["ALL"], f"{name} may do more than it needs"
        check = service.get("healthcheck", {}).get("test", ["CMD", "/lifeboat", "healthcheck"])
        assert check[0] == "CMD", f"{name}: there is no shell in the image"
        mounts = {}
        for volume in service.get("volumes", []):
            source, path, *_ = volume.split(":")
            mounts[path] = ("cluster.crt", "cluster.key") if source == "cluster-certificate" else ()
        for path in service.get("tmpfs", []):
            mounts[path] = ()
        if secrets := service.get("secrets"):
            assert set(secrets) <= set(composed["secrets"]), f"{name} has secrets that nobody defines: {secrets}"
            mounts["/run/secrets"] = tuple(secrets)
        settings = {key: str(value) for key, value in service["environment"].items()}
        yield Container(name, service.get("command", ["run"]), settings, mounts, [check[1:]], service["mem_limit"])


def of_kubernetes(text):
    documents = [document for document in yaml.safe_load_all(text) if document]
    maps = {one["metadata"]["name"]: one["data"] for one in documents if one["kind"] == "ConfigMap"}
    for document in documents:
        if document["kind"] not in ("Deployment", "Pod"):
            continue
        pod = document["spec"] if document["kind"] == "Pod" else document["spec"]["template"]["spec"]
        volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
        for container in pod.get("initContainers", []) + pod["containers"]:
            assert_least_privilege(document["metadata"]["name"], pod, container)
            if "lifeboat" in container["image"]:
                yield container_of_pod(document["metadata"]["name"], container, volumes, maps)


def files_of(volume):
    """What operators put into Secrets and ConfigMaps: keys under the names that documents give them, else a certificate."""
    if "configMap" in volume:
        return ("ca.crt",)
    if "secret" not in volume:
        return ()
    name = volume["secret"]["secretName"].removeprefix("lifeboat-")
    return (name,) if name in KEYS else ("tls.crt", "tls.key", "ca.crt")


def container_of_pod(deployment, container, volumes, maps):
    settings = {}
    for source in container.get("envFrom", []):
        # A Secret has credentials, without which nothing else happens where nobody answers.
        if "configMapRef" in source:
            settings.update(maps[source["configMapRef"]["name"]])
    settings.update({entry["name"]: entry["value"] for entry in container.get("env", [])})
    mounts = {}
    for mount in container.get("volumeMounts", []):
        volume = volumes[mount["name"]]
        mounts[mount["mountPath"].rstrip("/")] = files_of(volume)
    ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
    probes = []
    for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
        if kind in container:
            get = container[kind]["httpGet"]
            probes.append(f"http://127.0.0.1:{ports.get(get['port'], get['port'])}{get['path']}")
    memory = container["resources"]["limits"]["memory"]
    return Container(f"{deployment}/{container['name']}", container["args"], settings, mounts, probes, memory)


def assert_least_privilege(deployment, pod, container):
    context = container.get("securityContext", {})
    expected = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    # Where they must be said again, because somebody else's pod is around the container.
    guest = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}, "runAsUser": 1000, "runAsGroup": 1000}
    said_again = {key: value for key, value in guest.items() if key in context}
    assert context == {**expected, **said_again}, f"{deployment}/{container['name']}: {context}"
    assert pod["securityContext"]["runAsNonRoot"] is True, deployment
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, deployment
    assert pod["automountServiceAccountToken"] is False, deployment
    assert {"requests", "limits"} == set(container["resources"]) and "memory" in container["resources"]["limits"], deployment


def of_unit(text, settings_text):
    """A unit's environment, with its drop-ins. What systemd does besides is for systemd itself to show."""
    settings, files, command, memory = {}, [], None, None
    for line in text.splitlines():
        key, _, value = line.partition("=")
        if key == "Environment":
            name, _, value = value.partition("=")
            settings[name] = value.replace("%d", "/credentials")
        elif key == "LoadCredential":
            files.append(value.partition(":")[0])
        elif key == "ExecStart":
            command = shlex.split(value)
        elif key == "MemoryMax":
            memory = value
    for line in settings_text.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.partition("=")
            settings[name] = value
    assert command[0] == "/usr/local/bin/lifeboat", command
    mounts = {"/credentials": tuple(files)}
    if "KONG_PREFIX" in settings:
        mounts[settings["KONG_PREFIX"]] = ()
    probes = [["/lifeboat", "healthcheck"]] if command[1] == "run" else []
    return Container(command[1], command[1:], settings, mounts, probes, memory)


class World:
    """A root file system with the program and what a container mounts into it."""

    def __init__(self, folder, binary, container):
        root = folder / "root"
        root.mkdir()
        (root / "lifeboat").write_bytes(binary.read_bytes())
        (root / "lifeboat").chmod(0o755)
        authorities = root / "etc" / "ssl" / "certs"
        authorities.mkdir(parents=True)
        bundle = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
        (authorities / bundle.name).write_bytes(bundle.read_bytes())
        self.command = [str(RESTRICTED), str(root)]
        for number, (path, files) in enumerate(container.mounts.items()):
            (root / path.lstrip("/")).mkdir(parents=True)
            source = folder / f"mount-{number}"
            source.mkdir()
            source.chmod(0o755 if files else 0o777)
            for name in files:
                content = key(binary, name) if name in KEYS else certificate()[name.rpartition(".")[2]]
                (source / name).write_bytes(content)
            self.command += ["--readable" if files else "--writable", f"{source}:{path}"]
        for name, value in container.settings.items():
            self.command += ["--env", f"{name}={value}"]


KEYS = {"signing-key": "signing", "trusted-key": "signing", "encryption-key": "encryption"}
MADE = {}


def key(binary, name):
    """A key as `lifeboat keygen` writes it; the two halves of one pair."""
    if name not in MADE:
        with tempfile.TemporaryDirectory() as folder:
            made = [binary.resolve(), "keygen", KEYS[name], "--name", "check", "--folder", folder]
            subprocess.run(made, check=True, stdout=subprocess.DEVNULL)
            MADE.update({path.name.partition(".")[2]: path.read_bytes() for path in pathlib.Path(folder).iterdir()})
    return MADE[name]


CERTIFICATE = {}


def certificate():
    """A certificate as `kong hybrid gen_cert` makes it, nearly."""
    if not CERTIFICATE:
        with tempfile.TemporaryDirectory() as folder:
            files = {ending: pathlib.Path(folder) / ending for ending in ("crt", "key")}
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1", "-nodes", "-days", "30"]
                + ["-subj", "/CN=kong_clustering", "-out", files["crt"], "-keyout", files["key"]],
                check=True,
                stderr=subprocess.DEVNULL,
            )
            CERTIFICATE.update({ending: path.read_bytes() for ending, path in files.items()})
    return CERTIFICATE


def is_well(world, process, probe):
    inside = ["nsenter", f"--net=/proc/{process.pid}/ns/net", "--"]
    if isinstance(probe, str):
        fetch = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=5)"
        command = [*inside, sys.executable, "-c", fetch, probe]
    else:
        command = [*inside, *world.command, "--", *probe]
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return ended.returncode == 0, ended.stdout


def serve(world, container, log):
    process = subprocess.Popen([*world.command, "--own-network", "--", "/lifeboat", *container.arguments], stdout=log, stderr=log)
    try:
        for probe in container.probes:
            deadline = time.monotonic() + PATIENCE
            while True:
                well, said = is_well(world, process, probe)
                if well:
                    break
                assert process.poll() is None, f"it ended with {process.returncode}"
                assert time.monotonic() < deadline, f"{probe} says: {said}"
                time.sleep(0.1)
        process.terminate()
        code = process.wait(timeout=PATIENCE)
        assert code == 0, f"after SIGTERM it ended with {code}"
    finally:
        process.kill()
        process.wait()


def give_up(world, container, log):
    command = [*world.command, "--own-network", "--", "/lifeboat", *container.arguments]
    code = subprocess.run(command, stdout=log, stderr=log, timeout=PATIENCE * 2, check=False).returncode
    assert code == 1, f"where nobody answers it is to fail, and ended with {code}"


def start(binary, container):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        folder.chmod(0o755)
        world = World(folder, binary, container)
        with open(folder / "log", "w+", encoding="utf-8") as log:
            try:
                assert container.arguments[0] in ("run", "import", "doctor", "drill"), container.arguments
                (serve if container.arguments[0] == "run" else give_up)(world, container, log)
            except (AssertionError, subprocess.TimeoutExpired) as problem:
                log.seek(0)
                sys.exit(f"{container.name}: {problem}\nwith {json.dumps(container.settings, indent=1)}\n{log.read()}")
    print(f"{container.name}: starts as it says, {len(container.probes)} probes")


def main():
    binary, kind, paths = pathlib.Path(sys.argv[1]), sys.argv[2], [pathlib.Path(path) for path in sys.argv[3:]]
    count = 0
    if kind == "unit":
        texts = [path.read_text() for path in paths]
        containers = [of_unit("\n".join(texts[1:]), texts[0])]
    else:
        read = {"compose": of_compose, "kubernetes": of_kubernetes}[kind]
        containers = [container for path in paths for container in read(path.read_text())]
    for container in containers:
        start(binary, container)
        count += 1
    assert count > 0, f"{paths} have no container of Lifeboat's"


main()

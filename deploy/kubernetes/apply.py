#!/usr/bin/env python3
"""Applies each overlay and example with the real kubectl, as docs/kubernetes.md says to, but for `--dry-run=client`: to an empty
cluster that says which kinds it has, and has no object. For kubectl asks a server even then. An overlay brings Lifeboat and no Kong.

    apply.py KUBECTL FOLDER...
"""

import http.server
import json
import pathlib
import subprocess
import sys
import tempfile
import threading

GROUPS = {
    "v1": {"configmaps": "ConfigMap", "secrets": "Secret", "serviceaccounts": "ServiceAccount", "services": "Service"},
    "apps/v1": {"deployments": "Deployment"},
    "networking.k8s.io/v1": {"networkpolicies": "NetworkPolicy"},
    "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
}
OURS = "registry.example.com/lifeboat:VERSION"
NOT_FOUND = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}


def group(version):
    named = {"groupVersion": version, "version": version.rpartition("/")[2]}
    return {"name": version.partition("/")[0], "versions": [named], "preferredVersion": named}


def resources(version):
    kinds = [
        {"name": plural, "singularName": kind.lower(), "namespaced": True, "kind": kind, "verbs": ["create", "get", "patch"]}
        for plural, kind in GROUPS[version].items()
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": kinds}


ANSWERS = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group(version) for version in GROUPS if "/" in version]},
    **{("/apis/" if "/" in version else "/api/") + version: resources(version) for version in GROUPS},
}


class EmptyCluster(http.server.BaseHTTPRequestHandler):
    """What kubectl asks before it would create objects."""

    def do_GET(self):
        answer = ANSWERS.get(self.path.partition("?")[0], NOT_FOUND)
        body = json.dumps(answer).encode()
        self.send_response(answer.get("code", 200))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def applied(kubectl, server, folder, home):
    """The objects that kubectl would create."""
    command = [kubectl, "--server", server, "apply", "--kustomize", folder, "--dry-run=client", "--validate=false", "--output", "json"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env={"HOME": home})
    assert ended.returncode == 0, f"kubectl apply -k {folder}: {ended.stderr}"
    return json.loads(ended.stdout)["items"]


def images(item):
    pod = item["spec"]["template"]["spec"] if item["kind"] == "Deployment" else {}
    return {container["image"] for container in pod.get("initContainers", []) + pod.get("containers", [])}


def check(folder, items):
    found = set().union(*map(images, items))
    kongs = {image for image in found if "/kong:" in image}
    assert (OURS in found) == (folder.name != "data-plane"), f"{folder}: {OURS} is there or isn't, but {found}"
    assert found <= kongs | {OURS}, f"{folder} has other images than Kong's and {OURS}: {found}"
    if folder.parent.name == "example":
        assert kongs, f"{folder} is an example without a Kong"
    else:
        names = {f"{item['kind']}/{item['metadata']['name']}" for item in items}
        foreign = {name for name in names if not name.partition("/")[2].startswith("lifeboat")}
        assert not kongs and not foreign, f"{folder} brings more than Lifeboat: {kongs | foreign}"
    assert all(item["metadata"]["namespace"] == "kong" for item in items), f"{folder} has objects outside the namespace kong"


def main():
    """All of them."""
    kubectl, folders = sys.argv[1], [pathlib.Path(folder) for folder in sys.argv[2:]]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), EmptyCluster)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    assert folders, "nothing to apply"
    with tempfile.TemporaryDirectory() as home:
        for folder in folders:
            items = applied(kubectl, f"http://127.0.0.1:{server.server_port}", folder, home)
            check(folder, items)
            print(f"kubectl apply -k {folder}: {len(items)} objects")


main()

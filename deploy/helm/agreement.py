#!/usr/bin/env python3
"""Compares what Kustomize makes of deploy/kubernetes with what helm makes of the chart and ci/overlays.yaml: two ways to install the
same.

    agreement.py HELM FOLDER

FOLDER has the renderings of deploy/kubernetes, as its check names them.
"""

import pathlib
import subprocess
import sys

import yaml

import kong_chart

HERE = pathlib.Path(__file__).resolve().parent
CHART = HERE / "lifeboat"
HELM, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])


def objects(text):
    return {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(text) if one}


def without(mapping, *names):
    return {key: value for key, value in mapping.items() if key not in names}


def plain(container, config, cluster_volume):
    """A container as it matters: its settings whole, and neither the names that are given to ConfigMaps and volumes nor defaults."""
    settings = {}
    for source in container["envFrom"]:
        settings |= config(source["configMapRef"]["name"])
    settings |= {entry["name"]: entry["value"] for entry in container["env"]}
    renamed = {cluster_volume: "cluster-certificate", "kong-dp-kong-prefix-dir": "kong-prefix"}
    mounts = [{**mount, "name": renamed.get(mount["name"], mount["name"])} for mount in container["volumeMounts"]]
    mounts = [{**mount, "mountPath": mount["mountPath"].rstrip("/")} for mount in mounts]
    settings = {name: value.rstrip("/") for name, value in settings.items()}
    kept = without(container, "env", "envFrom", "imagePullPolicy", "volumeMounts")
    return {**kept, "settings": settings, "volumeMounts": sorted(mounts, key=lambda mount: mount["name"])}


def pod(deployment, config):
    spec = deployment["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    # Whom replicas keep away from is said by labels, which differ.
    kept = without(spec, "containers", "affinity", "volumes")
    volumes = sorted(spec["volumes"], key=lambda volume: volume["name"])
    container = plain(container, config, "cluster-certificate")
    return {**kept, "replicas": deployment["spec"]["replicas"], "container": container, "volumes": volumes}


def peers(policy):
    """A NetworkPolicy without the labels of data planes, which are each one's own."""
    ingress = [
        {**rule, "from": ["data planes" if "podSelector" in peer else peer for peer in rule["from"]]}
        for rule in policy["spec"]["ingress"]
    ]
    return {**without(policy["spec"], "podSelector"), "ingress": ingress}


def agree(what, ours, charts):
    if ours != charts:
        theirs = yaml.safe_dump(charts)
        sys.exit(f"deploy/kubernetes and the chart differ in {what}:\n{yaml.safe_dump(ours)}\nthe chart has:\n{theirs}")
    print(f"chart and overlays agree: {what}")


def configs(found):
    def config(name):
        return next(one["data"] for (kind, its), one in found.items() if kind == "ConfigMap" and its == name)

    return config


def check_overlay(role, overlay, chart):
    found = objects((FOLDER / f"overlays-{overlay}.yaml").read_text())
    name = f"lifeboat-{role}"
    deployment = ("Deployment", name)
    agree(f"the pods of {name}", pod(found[deployment], configs(found)), pod(chart[deployment], configs(chart)))
    budget, policy, service = ("PodDisruptionBudget", name), ("NetworkPolicy", name), ("Service", name)
    agree(f"{name}'s budget", without(found[budget]["spec"], "selector"), without(chart[budget]["spec"], "selector"))
    agree(f"{name}'s network policy", peers(found[policy]), peers(chart[policy]))
    agree(f"{name}'s service", without(found[service]["spec"], "selector"), without(chart[service]["spec"], "selector"))
    for account in ("lifeboat-exporter", "lifeboat-importer"):
        assert ("ServiceAccount", account) in found and ("ServiceAccount", account) in chart, account


def check_component(name, printed, chart):
    """The container that a component adds is the one that the chart's notes print."""
    found = objects((FOLDER / f"example-{name}.yaml").read_text())
    spec = found[("Deployment", "kong-dp")]["spec"]["template"]["spec"]
    (ours,) = spec["initContainers"]
    (theirs,) = printed["deployment"]["initContainers"]
    ours = plain(ours, configs(found), "lifeboat-cluster-certificate")
    agree(f"components/{name}", ours, plain(theirs, configs(chart), "kong-cluster-cert"))
    assert spec["serviceAccountName"] == printed["deployment"]["serviceAccount"]["name"], name


def main():
    """All of it."""
    common = ["lifeboat", CHART, "--namespace", "kong", "--values", CHART / "ci" / "overlays.yaml"]
    rendered = subprocess.run([HELM, "template", *common], check=True, capture_output=True, text=True).stdout
    dry = subprocess.run([HELM, "install", *common, "--dry-run=client"], check=True, capture_output=True, text=True).stdout
    chart, notes = objects(rendered), kong_chart.blocks(dry)
    check_overlay("exporter", "exporter", chart)
    check_overlay("relay", "relay-service", chart)
    check_component("sidecar", notes["sidecar"], chart)
    check_component("init-container", notes["import"], chart)

    proxy = objects((FOLDER / "example-relay-service.yaml").read_text())[("Deployment", "kong-dp")]
    env = {one["name"]: one["value"] for one in proxy["spec"]["template"]["spec"]["containers"][0]["env"]}
    agree("the relays' address", env["KONG_CLUSTER_CONTROL_PLANE"], notes["service"]["env"]["cluster_control_plane"])


main()

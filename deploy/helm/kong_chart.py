"""Stands in for Kong's chart: what its keys in kong-chart-keys.txt make of a data plane. Written from that table, with none of the
chart's code."""

import copy
import pathlib
import re

import yaml

HERE = pathlib.Path(__file__).resolve().parent


def blocks(notes):
    """What the notes print to be pasted, by name: from `# kong-NAME` to `# end`."""
    return {name: yaml.safe_load(text) for name, text in re.findall(r"^# kong-([a-z]+)\n(.*?)^# end$", notes, re.M | re.S)}


def table():
    """kong-chart-keys.txt: what the notes print of each key, and our values beside it."""
    lines = [line for line in (HERE / "kong-chart-keys.txt").read_text().splitlines() if line and not line.startswith("#")]
    rows = [[part.strip() for part in line.split(" | ")] for line in lines]
    assert all(len(row) == 4 and row[3] for row in rows), "kong-chart-keys.txt has rows without four columns"
    words = lambda part: [] if part == "-" else part.split()
    assert len({row[0] for row in rows}) == len(rows), "kong-chart-keys.txt has a key twice"
    return {key: (words(printed), words(ours)) for key, printed, ours, _ in rows}


def keys(values, path=""):
    """The keys of values, in the form of kong-chart-keys.txt."""
    known = table()
    for key, value in values.items():
        here = f"{path}.{key}" if path else key
        if here in known:
            yield here
        elif f"{path}.*" in known:
            yield f"{path}.*"
        elif isinstance(value, dict):
            yield from keys(value, here)
        else:
            yield f"{here}[]" if isinstance(value, list) else here


def merged(documented, ours):
    """As helm merges two files of values: mappings by key; lists replace."""
    result = copy.deepcopy(documented)
    for key, value in ours.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else copy.deepcopy(value)
    return result


def data_plane(values, release):
    """The Deployment that Kong's chart makes of values."""
    deployment = values.get("deployment", {})
    name = f"{release}-kong"
    secrets = values.get("secretVolumes", [])
    scratch = {f"{name}-prefix-dir": "/kong_prefix/", f"{name}-tmp": "/tmp"}
    least = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    labels = {"app.kubernetes.io/name": "kong", "app.kubernetes.io/instance": release}
    mounts = [{"name": secret, "mountPath": f"/etc/secrets/{secret}"} for secret in secrets]
    proxy = {
        "name": "proxy",
        "image": f"{values['image']['repository']}:{values['image']['tag']}",
        "env": [{"name": f"KONG_{key.upper()}", "value": value} for key, value in sorted(values["env"].items())],
        "resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "2Gi"}},
        "securityContext": least,
        "volumeMounts": mounts + [{"name": volume, "mountPath": path} for volume, path in scratch.items()],
    }
    pod = {
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "initContainers": deployment.get("initContainers", []),
        "containers": [proxy],
        "volumes": [{"name": volume, "emptyDir": {}} for volume in scratch]
        + [{"name": secret, "secret": {"secretName": secret}} for secret in secrets]
        + deployment.get("userDefinedVolumes", []),
    }
    if account := deployment.get("serviceAccount", {}).get("name"):
        pod["serviceAccountName"] = account
    template = {"metadata": {"labels": {**labels, **values.get("podLabels", {})}}, "spec": pod}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}

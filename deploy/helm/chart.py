#!/usr/bin/env python3
"""Holds the chart against everything that it must agree with, with the real helm, and writes what it makes of each file of ci/.

    chart.py HELM FOLDER [--write | PART...]

FOLDER gets a file for each rendering, of what Kubernetes itself knows, and one for each data plane that the notes' values make with
Kong's chart. With --write, golden/, README.md and the names that env takes are written instead of compared. Parts are for selftest.py: the names of the
functions below without check_, and files of ci/; by default all of them.
"""

import json
import os
import pathlib
import re
import subprocess
import sys

import yaml

import kong_chart

HERE = pathlib.Path(__file__).resolve().parent
TOP, CHART, GOLDEN = HERE.parent.parent, HERE / "lifeboat", HERE / "golden"
HELM, FOLDER, WRITE = sys.argv[1], pathlib.Path(sys.argv[2]), "--write" in sys.argv

# Wrong values, and what helm must say of them: the value's name, and for those without a default the cure.
REFUSED = [
    ("image.repository=", "image.repository is not set"),
    ("image.pullPolicy=Sometimes", "/image/pullPolicy"),
    ("image.digest=sha256:1", "/image/digest"),
    ("imagePullSecrets[0].nam=x", "/imagePullSecrets/0"),
    ("controlPlane=", "controlPlane is not set"),
    ("controlPlane=https://cp.example.com", "/controlPlane"),
    ("kongVersions=null", "kongVersions is empty"),
    ("kongVersions[0]=3.9", "/kongVersions/0"),
    ("store.url=", "store.url is not set"),
    ("store.url=kong-backups", "/store/url"),
    ("store.url=file:///backups", "/store/url"),
    ("store.fallback[0]=ftp://x", "/store/fallback/0"),
    ("store.endpoint=minio:9000", "/store/endpoint"),
    ("store.bucket=x", "bucket"),
    ("cluster.mtls=tls", "/cluster/mtls"),
    ("cluster.secretName=", "/cluster/secretName"),
    ("maxConfig=64Mi", "/maxConfig"),
    ("maxConfig=64", "/maxConfig"),
    ("keys.signingSecretName=x", "keys.trustedSecretName is not set"),
    ("keys.trustedSecretName=x", "keys.signingSecretName is not set"),
    ("keys.signing=x", "signing"),
    ("env.LIFEBOAT_MAX_SHRINKS=20", "LIFEBOAT_MAX_SHRINKS"),
    ("env.KONG_CLUSTER_CERT=x", "KONG_CLUSTER_CERT"),
    ("env.AWS_SECRET_ACCESS_KEY=x", "AWS_SECRET_ACCESS_KEY"),
    ("exporter.replicas=two", "/exporter/replicas"),
    ("exporter.replicas=0", "/exporter/replicas"),
    ("exporter.drillEvery=daily", "/exporter/drillEvery"),
    ("exporter.resources.limits.memory=1Gi", "resources"),
    ("relay.enabled=maybe", "/relay/enabled"),
    ("relay.service.port=80000", "/relay/service/port"),
    ("relay.certificateSecretName=x", "relay.certificateSecretName needs cluster.mtls pki"),
    ("relay.serverName=relay.example.com", "relay.serverName needs relay.certificateSecretName"),
    ("relay.authoritySecretName=x", "relay.authoritySecretName needs relay.certificateSecretName"),
    ("monitoring.prometheusRule.projectUrl=git.example.com", "/monitoring/prometheusRule/projectUrl"),
    ("serviceAccounts.exporter.create=false", "serviceAccounts.exporter.name is not set"),
    ("networkPolicy.storePorts[0]=https", "/networkPolicy/storePorts/0"),
    ("monitoring.enabled=true", "enabled"),
    ("relays.enabled=true", "relays"),
]

# What Kong documents for the data planes that a file of ci/ is for, where that isn't kong-hybrid-values.yaml.
DOCUMENTED = {"konnect": "kong-konnect-values.yaml"}

# Settings that values of their own, or the chart itself, decide: env must not contradict them.
DECIDED = """LIFEBOAT_CONTROL_PLANE KONG_CLUSTER_CONTROL_PLANE KONG_CLUSTER_MTLS KONG_CLUSTER_CERT KONG_CLUSTER_CERT_KEY KONG_CLUSTER_CA_CERT
KONG_CLUSTER_SERVER_NAME KONG_VERSION LIFEBOAT_KONG_VERSIONS KONG_CLUSTER_FALLBACK_CONFIG_STORAGE LIFEBOAT_FALLBACK_STORAGE AWS_REGION
AWS_CONFIG_STORAGE_ENDPOINT LIFEBOAT_STORAGE_CA LIFEBOAT_MAX_CONFIG LIFEBOAT_TRUSTED_KEYS KONG_CLUSTER_FALLBACK_CONFIG_EXPORT
KONG_CLUSTER_FALLBACK_CONFIG_IMPORT LIFEBOAT_HTTP_LISTEN LIFEBOAT_RELAY_LISTEN LIFEBOAT_DRILL_EVERY LIFEBOAT_RELAY_CERT
LIFEBOAT_RELAY_CERT_KEY""".split()


def helm(*arguments):
    ended = subprocess.run([HELM, *map(str, arguments)], capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout, ended.stderr


def succeed(*arguments):
    code, said, complaint = helm(*arguments)
    assert code == 0, f"helm {' '.join(map(str, arguments))}:\n{said}{complaint}"
    return said


def agree(path, made, cure):
    """The file says what was made, or is made to."""
    if WRITE:
        path.parent.mkdir(exist_ok=True)
        path.write_text(made)
    there = path.read_text() if path.exists() else ""
    if there != made:
        for number, (old, new) in enumerate(zip(there.splitlines(), made.splitlines()), 1):
            if old != new:
                sys.exit(f"{path.relative_to(TOP)}:{number} has {old!r}, and {new!r} was made: {cure}")
        sys.exit(f"{path.relative_to(TOP)} is longer or shorter than what was made: {cure}")


def short(rendered):
    """A rendering without the long files in it, which are compared by themselves."""
    for name, depth in (("lifeboat.rules.yml", 2), ("dashboard.json", 4)):
        text = (CHART / "files" / name).read_text()
        first, last = text.splitlines()[0], text.splitlines()[-1]
        whole = re.compile(rf"^ {{{depth}}}{re.escape(first)}$.*?^ {{{depth}}}{re.escape(last)}$", re.M | re.S)
        rendered = whole.sub(" " * depth + f"(files/{name})", rendered)
    return rendered


def render(values):
    """What one file of ci/ makes: the manifests and the notes."""
    common = ["lb", CHART, "--namespace", "kong", "--values", values]
    succeed("lint", "--strict", CHART, "--values", values)
    manifests = succeed("template", *common)
    notes = succeed("install", *common, "--dry-run=client").partition("\nNOTES:\n")[2]
    assert notes, f"helm printed no notes for {values}"
    return manifests, notes


def own_prometheus(document):
    return document["apiVersion"].startswith("monitoring.coreos.com/")


def check_monitoring(documents, values):
    """What Kubernetes' schemas don't know: the alerts are those of deploy/prometheus, each with its section of the runbook if there is
    a home for that, and monitors ask ports that there are."""
    rules = yaml.safe_load((TOP / "deploy/prometheus/lifeboat.rules.yml").read_text())
    ports = {"lifeboat"}
    for document in documents:
        if document["kind"] == "Deployment":
            ports |= {port["name"] for one in document["spec"]["template"]["spec"]["containers"] for port in one["ports"]}
    for document in filter(own_prometheus, documents):
        if document["kind"] == "PrometheusRule":
            links = [alert["annotations"].pop("runbook_url", None) for group in document["spec"]["groups"] for alert in group["rules"]]
            assert document["spec"] == rules, "the PrometheusRule isn't deploy/prometheus/lifeboat.rules.yml"
            if values["monitoring"]["prometheusRule"].get("projectUrl"):
                start = f"{values['monitoring']['prometheusRule']['projectUrl']}/docs/runbook.md#"
                assert all((link or "").startswith(start) for link in links), f"alerts have no runbook_url: {links}"
            else:
                assert not any(links), f"alerts have a runbook_url of no home: {links}"
        else:
            assert document["kind"] == "PodMonitor", document["kind"]
            assert {one["port"] for one in document["spec"]["podMetricsEndpoints"]} <= ports, document["spec"]
    for document in documents:
        if document["metadata"]["name"].endswith("-dashboard"):
            board = json.loads(document["data"]["lifeboat.json"])
            assert board == json.loads((TOP / "deploy/grafana/lifeboat.json").read_text()), "the dashboard is another one"


def check_notes(name, notes, native):
    """The values for Kong's chart use keys that it has for that, change nothing else of what Kong documents, and make data planes that
    can be started."""
    printed = kong_chart.blocks(notes)
    assert {"sidecar", "import", "operator"} <= set(printed), f"{name}: the notes print only {set(printed)}"
    documented = yaml.safe_load((HERE / DOCUMENTED.get(name, "kong-hybrid-values.yaml")).read_text())
    release = printed["operator"]["metadata"]["name"]
    for way in sorted(set(printed) - {"operator"}):
        found = set(kong_chart.keys(printed[way]))
        unknown = {key for key in found if way not in kong_chart.table().get(key, ((), ()))[0]}
        assert not unknown, f"{name}/{way}: the notes print {unknown}, which kong-chart-keys.txt doesn't have for that"
        both = kong_chart.merged(documented, printed[way])
        changed = {key for key in both["env"] if both["env"][key] != documented["env"].get(key)}
        may_change = {"cluster_control_plane", "cluster_server_name", "lua_ssl_trusted_certificate"}
        assert changed <= may_change, f"{name}/{way} changes {changed - may_change} of Kong's documented values"
        lost = set(documented["secretVolumes"]) - set(both["secretVolumes"])
        assert not lost or "secretVolumes" not in printed[way] or name == "pki", f"{name}/{way} takes {lost} away"
        assert (way == "import") == ("cluster_control_plane" not in changed), f"{name}/{way}: Kong is pointed at {both['env']}"
        if way != "service":
            maps = [one for one in native if one["kind"] == "ConfigMap"]
            write(f"kong-{name}-{way}", [*maps, kong_chart.data_plane(both, release)])

    sidecar = printed["sidecar"]["deployment"]["initContainers"][0]
    pod = printed["operator"]["spec"]["deployment"]["podTemplateSpec"]["spec"]
    renamed = yaml.safe_dump(sidecar).replace(f"name: {sidecar['volumeMounts'][0]['name']}\n", "name: cluster-certificate\n")
    assert pod["initContainers"] == [yaml.safe_load(renamed)], f"{name}: the operator's sidecar is another one"
    assert [one["name"] for one in pod["containers"]] == ["proxy"], "the operator calls Kong's container proxy"
    operators = {one["name"].removeprefix("KONG_").lower(): one["value"] for one in pod["containers"][0]["env"]}
    charts = {key: value for key, value in printed["sidecar"]["env"].items() if key != "lua_ssl_trusted_certificate"}
    assert operators == charts, f"{name}: the operator's Kong is pointed at {operators}, and the chart's at {charts}"
    warned = "not signed" in notes
    has_key = any("SIGNING_KEY" in yaml.safe_dump(one) for one in native)
    assert warned != has_key, f"{name}: the notes are to warn of unsigned backups, and only of them"
    return {way: set(kong_chart.keys(values)) for way, values in printed.items() if way != "operator"}


def check_table(printed):
    """kong-chart-keys.txt says of each key what the notes print, and names values of ours that there are."""
    ours = yaml.safe_load((CHART / "values.yaml").read_text())
    for key, (ways, names) in kong_chart.table().items():
        really = {way for way, found in printed.items() if key in found}
        assert set(ways) == really, f"kong-chart-keys.txt has {key} in {ways}, and the notes print it in {really}"
        for name in names:
            there = ours
            for part in name.split("."):
                assert isinstance(there, dict) and part in there, f"kong-chart-keys.txt names {name}, and values.yaml has no such value"
                there = there[part]
    for file in ["kong-hybrid-values.yaml", *DOCUMENTED.values()]:
        unknown = set(kong_chart.keys(yaml.safe_load((HERE / file).read_text()))) - set(kong_chart.table())
        assert not unknown, f"{file} has {unknown}, which kong-chart-keys.txt doesn't have"
    print(f"{len(kong_chart.table())} keys of Kong's chart are beside ours")


def write(name, documents):
    (FOLDER / f"{name}.yaml").write_text(yaml.safe_dump_all(documents))


def check_refusals():
    values = CHART / "ci" / "service.yaml"
    for wrong, named in REFUSED:
        code, _, complaint = helm("template", "lb", CHART, "--values", values, "--set", wrong)
        assert code != 0, f"helm takes {wrong}"
        assert named in complaint, f"helm refuses {wrong} without naming {named}:\n{complaint}"
    print(f"{len(REFUSED)} wrong values are refused by name")


def objects(schema, path=""):
    if schema.get("type") == "object" and "properties" in schema:
        yield path, schema
        for key, below in schema["properties"].items():
            yield from objects(below, f"{path}.{key}")


def check_schema():
    """The schema knows each value and no other, and env knows the settings that docs/settings.md has."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    for path, part in objects(schema):
        assert part.get("additionalProperties") is False, f"values.schema.json takes anything below {path or 'the top'}"
        there = values
        for key in filter(None, path.split(".")):
            there = there[key]
        differ = set(there) ^ (set(part["properties"]) - {"global"})
        assert not differ, f"values.yaml and values.schema.json differ below {path or 'the top'} in {differ}"

    rows = [line.split(" | ") for line in (TOP / "docs/settings.md").read_text().splitlines() if line.startswith("| `")]
    settings = {row[0].strip("|` "): row[1] for row in rows}
    assert set(DECIDED) <= set(settings), f"no settings: {set(DECIDED) - set(settings)}"
    free = [name for name, flag in settings.items() if "secret" not in flag and name not in DECIDED]
    names = schema["properties"]["env"]["propertyNames"]
    if WRITE:
        names["enum"] = free
        (CHART / "values.schema.json").write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n")
    listed = names["enum"]
    assert listed == free, f"in values.schema.json, env's propertyNames must be {json.dumps(free)}: run deploy/helm/check --write"


def check_release():
    """The chart's version is the workspace's, and its home the project's."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = re.search(r'^version = "(.*)"', (TOP / "Cargo.toml").read_text(), re.M).group(1)
    assert chart["version"] == chart["appVersion"] == version, f"Chart.yaml must have the version {version}"
    home = dict(line.split("=", 1) for line in (TOP / "release/home.env").read_text().splitlines() if re.match("[A-Z_]+=", line))
    assert chart["home"] == home["PROJECT_URL"] and chart["sources"] == [chart["home"]], "Chart.yaml's home is release/home.env's PROJECT_URL"
    annotations = chart["annotations"]
    assert f"{home['IMAGE']}:{version}" in annotations["artifacthub.io/images"], "artifacthub.io/images is release/home.env's IMAGE"
    # Each link leads to a file of the repository.
    for link in [chart["icon"], *re.findall(r"url: (.*)", annotations["artifacthub.io/links"])]:
        path = re.fullmatch(rf"{re.escape(chart['home'])}/(?:blob|raw)/main/(.*)", link)
        assert path and (TOP / path.group(1)).is_file(), f"Chart.yaml links to {link}, which isn't a file below its home"
    owners = yaml.safe_load((HERE / "artifacthub-repo.yml").read_text())["owners"]
    for who in (chart["maintainers"][0], owners[0]):
        assert who["email"] == home["SECURITY_CONTACT"], f"{who['name']} is not at release/home.env's SECURITY_CONTACT"


def printed(command, variables):
    """What a script prints; its own message, if it fails."""
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **variables})
    if ended.returncode:
        sys.exit(ended.stderr)
    return ended.stdout


def check_files():
    """What the chart carries is what the repository has elsewhere. Its alerts are with a runbook_url, of a home that the values fill in."""
    made = printed([TOP / "deploy/prometheus/rules"], {"PROJECT_URL": "https://PROJECT_URL"})
    agree(CHART / "files/lifeboat.rules.yml", made, "run deploy/helm/check --write")
    agree(CHART / "files/dashboard.json", (TOP / "deploy/grafana/lifeboat.json").read_text(), "run deploy/helm/check --write")


def check_readme():
    agree(CHART / "README.md", printed([sys.executable, HERE / "readme"], {}), "run deploy/helm/check --write")


def check_ci(inputs):
    """Each file of ci/: what it makes, and what its notes say."""
    keys = {}
    for values in inputs:
        manifests, notes = render(values)
        agree(GOLDEN / values.name, short(manifests), "if that is meant, run deploy/helm/check --write")
        agree(GOLDEN / f"{values.stem}.notes.txt", notes, "if that is meant, run deploy/helm/check --write")
        documents = [document for document in yaml.safe_load_all(manifests) if document]
        check_monitoring(documents, {"monitoring": {"prometheusRule": {}}, **yaml.safe_load(values.read_text())})
        native = [document for document in documents if not own_prometheus(document)]
        write(values.stem, native)
        for way, found in check_notes(values.stem, notes, native).items():
            keys[way] = keys.get(way, set()) | found
        print(f"{values.name}: {len(documents)} objects and the notes are as in golden/")
    return keys


def main():
    """All of it, or the parts that are named."""
    parts = [argument for argument in sys.argv[3:] if argument != "--write"]
    for part in (check_files, check_readme, check_release, check_schema, check_refusals):
        if not parts or part.__name__.removeprefix("check_") in parts:
            part()
    inputs = sorted((CHART / "ci").glob("*.yaml"))
    assert len(inputs) >= 5, f"ci/ has only {inputs}"
    keys = check_ci([values for values in inputs if not parts or values.name in parts or "table" in parts])
    if not parts or "table" in parts:
        check_table(keys)


main()

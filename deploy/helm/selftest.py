#!/usr/bin/env python3
"""Makes mistakes on purpose in a copy of what deploy/ has, and expects the checks to find each and to name it.

    selftest.py HELM KUBECTL
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
HELM, KUBECTL = (str(pathlib.Path(program).resolve()) for program in sys.argv[1:3])

# Of each mistake: which check finds it, in which file what becomes what, and what the check says of it.
MISTAKES = [
    # The chart, compared with what it must agree with.
    ("chart files", "deploy/prometheus/lifeboat.rules.yml", "absent(lifeboat_keep_ready)", "absent(lifeboat_keep)", "lifeboat.rules.yml:"),
    ("chart files", "deploy/grafana/lifeboat.json", '"lifeboat"', '"lifeboats"', "dashboard.json:"),
    ("chart readme", "deploy/helm/lifeboat/values.yaml", "They keep no state.", "They keep state.", "README.md:"),
    ("chart readme", "deploy/helm/lifeboat/values.yaml", "  # They keep no state.\n", "", "says nothing of relay.replicas"),
    ("chart release", "Cargo.toml", 'version = "', 'version = "9', "Chart.yaml must have the version 9"),
    ("chart release", "release/home.env", "PROJECT_URL=https://", "PROJECT_URL=https://git.", "Chart.yaml's home"),
    ("chart release", "deploy/helm/lifeboat/Chart.yaml", "docs/helm.md", "docs/chart.md", "docs/chart.md, which isn't a file"),
    ("chart release", "deploy/helm/artifacthub-repo.yml", "security@", "support@", "SECURITY_CONTACT"),
    ("chart schema", "docs/settings.md", "| `LIFEBOAT_MAX_SHRINK` |", "| `LIFEBOAT_MAX_LOSS` |", "propertyNames must be"),
    ("chart schema", "deploy/helm/lifeboat/values.yaml", "  nodes: 1000", "  node: 1000", "differ below .relay in"),
    ("chart schema", "deploy/helm/lifeboat/values.schema.json", '"additionalProperties": false', '"additionalProperties": true', "takes anything"),
    ("chart refusals", "deploy/helm/lifeboat/values.schema.json", '"minimum": 1048576', '"minimum": 1', "helm takes maxConfig=64"),
    ("chart refusals", "deploy/helm/lifeboat/templates/_helpers.tpl", "store.url is not set", "a value is not set", "without naming store.url"),
    # What it makes.
    ("chart service.yaml", "deploy/helm/lifeboat/templates/relay.yaml", "periodSeconds: 5", "periodSeconds: 6", "golden/service.yaml:"),
    ("chart service.yaml", "deploy/helm/lifeboat/templates/NOTES.txt", "WARNING:", "Note:", "golden/service.notes.txt:"),
    ("chart service.yaml", "deploy/helm/lifeboat/templates/relay.yaml", "kind: Deployment", "  kind: Deployment", "helm lint"),
    # The values for Kong's chart.
    ("notes service.yaml", "deploy/helm/lifeboat/templates/NOTES.txt", "secretVolumes:", "secretVolume:", "the notes print {'secretVolume"),
    ("notes service.yaml", "deploy/helm/lifeboat/templates/NOTES.txt", "  cluster_control_plane: 127", "  role: proxy\n  cluster_control_plane: 127", "'env.role'"),
    ("notes keys.yaml", "deploy/helm/lifeboat/templates/NOTES.txt", "{{- if not .Values.keys.signingSecretName }}", "{{- if true }}", "are to warn of unsigned"),
    ("notes konnect.yaml", "deploy/helm/lifeboat/templates/NOTES.txt", "  - {{ .Values.cluster.secretName }}\n", "  - other\n", "takes {'kong-cluster-cert'} away"),
    ("notes service.yaml", "deploy/helm/lifeboat/templates/NOTES.txt", 'value: "127.0.0.1:8005"', 'value: "127.0.0.1:8006"', "the operator's Kong is pointed at"),
    ("notes table", "deploy/helm/kong-chart-keys.txt", "env.role | - |", "env.role | sidecar |", "has env.role in ['sidecar']"),
    ("notes table", "deploy/helm/kong-chart-keys.txt", "| - | store.ca.configMapName |", "| - | store.ca.configMap |", "names store.ca.configMap,"),
    ("notes table", "deploy/helm/kong-konnect-values.yaml", "admin:", "administration:", "kong-konnect-values.yaml has {'administration"),
    # The alerts and the pods that are scraped.
    ("notes pki.yaml", "deploy/helm/lifeboat/templates/monitoring.yaml", ".projectUrl | nindent", '"https://x" | nindent', "alerts have no runbook_url"),
    ("notes pki.yaml", "deploy/helm/lifeboat/templates/monitoring.yaml", "{ port: http,", "{ port: metrics,", "'port': 'metrics'"),
    # Chart and overlays.
    ("agreement", "deploy/kubernetes/overlays/exporter/deployment.yaml", "memory: 320Mi", "memory: 321Mi", "differ in the pods of lifeboat-exporter"),
    ("agreement", "deploy/kubernetes/base/lifeboat.env", "LIFEBOAT_LOG_FORMAT=json", "LIFEBOAT_LOG_FORMAT=text", "differ in the pods of"),
    ("agreement", "deploy/kubernetes/overlays/relay-service/network-policy.yaml", "port: 988", "port: 989", "lifeboat-relay's network policy"),
    ("agreement", "deploy/kubernetes/components/sidecar/data-plane.yaml", "/readyz", "/healthz", "differ in components/sidecar"),
    ("agreement", "deploy/helm/lifeboat/templates/_sidecar.tpl", "nothing-to-do]", "failed]", "differ in components/init-container"),
    ("agreement", "deploy/kubernetes/components/relay-service/data-plane.yaml", "cluster.local:8005", "cluster.local:8006", "the relays' address"),
    # What kubectl applies.
    ("apply", "deploy/kubernetes/overlays/exporter/kustomization.yaml", "  - service.yaml", "  - service.yaml\n  - ../../example/data-plane", "brings more than Lifeboat"),
    ("apply", "deploy/kubernetes/example/sidecar/kustomization.yaml", "  - data-plane", "  - ../data-plane", "example/sidecar"),
    ("apply", "deploy/kubernetes/overlays/exporter/service.yaml", "kind: Service", "kind: Servise", "Servise"),
]


def command(check, top, folder):
    helm, python = top / "deploy/helm", sys.executable
    name, *parts = check.split()
    if name in ("chart", "notes"):
        # What the notes mean is looked at only if they are as in golden/: the mistake is made there, too.
        return [python, helm / "chart.py", HELM, folder, *parts, *(["--write"] if name == "notes" else [])]
    overlays = [top / "deploy/kubernetes" / path for path in OVERLAYS]
    if name == "apply":
        return [python, top / "deploy/kubernetes/apply.py", KUBECTL, *overlays]
    for overlay in overlays:
        with open(folder / f"{overlay.parent.name}-{overlay.name}.yaml", "w", encoding="utf-8") as file:
            subprocess.run([KUBECTL, "kustomize", overlay], stdout=file, check=True)
    return [python, helm / "agreement.py", HELM, folder]


OVERLAYS = ["overlays/exporter", "overlays/relay-service", "example/sidecar", "example/relay-service", "example/init-container"]


def copied(into):
    """What the checks read, and nothing that is made."""
    for path in ("deploy", "docs", "release"):
        shutil.copytree(TOP / path, into / path, symlinks=True)
    for path in ("Cargo.toml", "SECURITY.md"):
        shutil.copy(TOP / path, into)


def main():
    """All of them, each alone."""
    unseen = []
    for check, file, right, wrong, found in MISTAKES:
        with tempfile.TemporaryDirectory() as scratch:
            top, folder = pathlib.Path(scratch) / "top", pathlib.Path(scratch) / "rendered"
            top.mkdir()
            folder.mkdir()
            copied(top)
            text = (top / file).read_text()
            assert right in text, f"selftest: {file} has no {right!r} any more"
            (top / file).write_text(text.replace(right, wrong, 1))
            ended = subprocess.run(command(check, top, folder), capture_output=True, text=True, check=False)
            said = ended.stdout + ended.stderr
            if ended.returncode == 0 or found not in said:
                unseen.append(f"{check}, with {wrong!r} for {right!r} in {file}, doesn't say {found!r}, but:\n{said[-1000:]}")
    if unseen:
        sys.exit("\n".join(unseen))
    print(f"{len(MISTAKES)} mistakes on purpose are found by name")


main()

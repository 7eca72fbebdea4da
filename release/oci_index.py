#!/usr/bin/env python3
"""Joins images, as buildah writes them into folders (`dir:`), to an OCI image layout with one index over all of them.

    oci_index.py NAME LAYOUT FOLDER...

OCI's configuration of an image is Docker's with less in it, and programs for either read what both have: so the health check
stays, for which OCI has no place of its own. What depends on who built it, and when, goes. It prints the index's digest.
"""

import hashlib
import json
import pathlib
import sys

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIGURATION = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
# What OCI has, and Docker's Healthcheck.
MEMBERS = ("Entrypoint", "Cmd", "Env", "ExposedPorts", "Healthcheck", "Labels", "StopSignal", "User", "Volumes", "WorkingDir")


class Layout:
    """A folder of blobs, which are named for what is in them."""

    def __init__(self, folder):
        self.folder = folder
        self.blobs = folder / "blobs/sha256"
        self.blobs.mkdir(parents=True)

    def add(self, media_type, content):
        """Writes a blob, and returns what points to it."""
        digest = hashlib.sha256(content).hexdigest()
        (self.blobs / digest).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    def add_json(self, media_type, value):
        """The same, of JSON."""
        return self.add(media_type, json.dumps(value, sort_keys=True, separators=(",", ":")).encode())


def configuration(docker):
    """What is to be run, and of which layers it is made."""
    kept = {name: docker["config"][name] for name in MEMBERS if docker["config"].get(name)}
    history = [{name: step[name] for name in ("created", "created_by", "empty_layer") if name in step} for step in docker["history"]]
    return {
        "architecture": docker["architecture"],
        "os": docker["os"],
        "created": docker["created"],
        "config": kept,
        "rootfs": docker["rootfs"],
        "history": history,
    }


def add_image(layout, folder):
    """Adds the image of a folder that buildah has written."""
    written = json.loads((folder / "manifest.json").read_text())
    blob = lambda pointer: (folder / pointer["digest"].removeprefix("sha256:")).read_bytes()
    docker = json.loads(blob(written["config"]))
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": layout.add_json(CONFIGURATION, configuration(docker)),
        "layers": [layout.add(LAYER, blob(layer)) for layer in written["layers"]],
        "annotations": docker["config"]["Labels"],
    }
    platform = {"architecture": docker["architecture"], "os": docker["os"]}
    return {**layout.add_json(MANIFEST, manifest), "platform": platform}


def main():
    """Writes the layout."""
    name, layout, folders = sys.argv[1], Layout(pathlib.Path(sys.argv[2])), map(pathlib.Path, sys.argv[3:])
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [add_image(layout, folder) for folder in folders]}
    top = {**layout.add_json(INDEX, index), "annotations": {"org.opencontainers.image.ref.name": name}}
    (layout.folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [top]}))
    (layout.folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    print(top["digest"])


main()

#!/usr/bin/env python3
"""What a release is made of: an SBOM in CycloneDX 1.6, and the licences of all that is linked into the program (and the
page's comparison in it) and the filter.

    bill_of_materials.py [--authorities CA-VERSION] TARGET RUST-VERSION FOLDER

With --authorities it is about the image, which has the certificates of public authorities too; without, about the program and
the filter alone.

Crates that only ran while the program was built (build scripts, macros, tests) are not in it and not listed. Nothing
here depends on the time or the machine, so the same sources give the same files.
"""

import argparse
import gzip
import hashlib
import json
import pathlib
import re
import subprocess
import tomllib
import uuid

ROOTS = ("lifeboat", "lifeboat-filter", "lifeboat-web")
LICENCE_FILE = re.compile(r"^(licen[cs]e|copying|notice|copyright|unlicense)", re.IGNORECASE)


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def linked_names(target):
    """The names and versions of what is linked. `cargo metadata` alone would list optional crates that nobody switched on."""
    names = set()
    for root in ROOTS:
        printed = cargo(
            *("tree", "--locked", "--package", root, "--target", target),
            *("--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"),
        )
        names |= {tuple(line.split()[:2]) for line in printed.splitlines()}
    return names


def linked_packages(metadata, target):
    """What is linked, and which of them each one depends on, both by id."""
    names = linked_names(target)
    packages = {
        package["id"]: package
        for package in metadata["packages"]
        if (package["name"], f"v{package['version']}") in names
    }
    edges = {
        node["id"]: sorted(
            dep["pkg"]
            for dep in node["deps"]
            if dep["pkg"] in packages and any(kind["kind"] is None for kind in dep["dep_kinds"])
        )
        for node in metadata["resolve"]["nodes"]
        if node["id"] in packages
    }
    return packages, edges


def checksums(lock_file):
    locked = tomllib.loads(lock_file.read_text())["package"]
    return {(package["name"], package["version"]): package.get("checksum") for package in locked}


def reference(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package, checksum):
    described = {
        "type": "library",
        "bom-ref": reference(package),
        "name": package["name"],
        "version": package["version"],
        # Before SPDX had expressions, crates wrote "MIT/Apache-2.0".
        "licenses": [{"expression": re.sub(r"\s*/\s*", " OR ", package["license"])}],
        "purl": reference(package),
    }
    if checksum:
        described["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return described


def authorities(version):
    purl = f"pkg:deb/debian/ca-certificates@{version}"
    return {
        "type": "data",
        "bom-ref": purl,
        "name": "ca-certificates",
        "version": version,
        "description": "certificates of public authorities, as Debian has them from Mozilla",
        "licenses": [{"license": {"id": "MPL-2.0"}}],
        "purl": purl,
    }


def bill(packages, edges, lock_file, authorities_version, rust_version):
    known = checksums(lock_file)
    version = next(package["version"] for package in packages.values() if package["name"] == "lifeboat")
    kind = "container" if authorities_version else "application"
    whole = f"lifeboat-image@{version}" if authorities_version else f"lifeboat-release@{version}"
    standard_library = f"pkg:generic/rust-std@{rust_version}"
    components = [component(package, known[package["name"], package["version"]]) for package in packages.values()]
    foreign = [
        {
            "type": "library",
            "bom-ref": standard_library,
            "name": "rust-std",
            "version": rust_version,
            "description": "Rust's standard library and, in it, the C library musl (MIT)",
            "licenses": [{"expression": "MIT OR Apache-2.0"}],
            "purl": standard_library,
        }
    ]
    if authorities_version:
        foreign.append(authorities(authorities_version))
    components += foreign
    dependencies = [
        {"ref": reference(packages[package_id]), "dependsOn": sorted({reference(packages[other]) for other in others})}
        for package_id, others in edges.items()
    ]
    roots = [reference(package) for package in packages.values() if package["name"] in ROOTS]
    dependencies.append({"ref": whole, "dependsOn": sorted([*roots, *(other["bom-ref"] for other in foreign)])})
    content = {
        "components": sorted(components, key=lambda one: one["bom-ref"]),
        "dependencies": sorted(dependencies, key=lambda one: one["ref"]),
    }
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, digest)}",
        "version": 1,
        "metadata": {"component": {"type": kind, "bom-ref": whole, "name": "lifeboat", "version": version}},
        **content,
    }


def licence_files(package):
    folder = pathlib.Path(package["manifest_path"]).parent
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and LICENCE_FILE.match(path.name)]
    return [path for path in files if path.suffix not in (".rs", ".toml", ".json")]


def licences(packages):
    """Each text once, below the names of those whose it is."""
    owners, texts, without = {}, {}, []
    for package in sorted(packages.values(), key=lambda one: (one["name"], one["version"])):
        name = f"{package['name']} {package['version']}"
        files = licence_files(package)
        if not files and package["source"] is not None:
            without.append(f"{name}: {package['license']}")
        for path in files:
            text = path.read_text(encoding="utf-8", errors="replace").strip()
            key = " ".join(text.split())
            texts.setdefault(key, text)
            if name not in owners.setdefault(key, []):
                owners[key].append(name)
    parts = ["What Lifeboat is made of, and under which licences.", ""]
    if without:
        parts += ["These bring no text of their own:", *without, ""]
    for key, text in texts.items():
        parts += ["=" * 80, ", ".join(owners[key]), "=" * 80, text, ""]
    return "\n".join(parts)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--authorities", metavar="CA-VERSION")
    parser.add_argument("target")
    parser.add_argument("rust_version")
    parser.add_argument("folder", type=pathlib.Path)
    asked = parser.parse_args()
    metadata = json.loads(cargo("metadata", "--locked", "--format-version", "1", "--filter-platform", asked.target))
    packages, edges = linked_packages(metadata, asked.target)
    lock_file = pathlib.Path(metadata["workspace_root"]) / "Cargo.lock"
    content = bill(packages, edges, lock_file, asked.authorities, asked.rust_version)
    written = json.dumps(content, indent=1, ensure_ascii=False)
    (asked.folder / "sbom.cdx.json").write_text(written + "\n")
    # Without a time in it: the same sources give the same file.
    (asked.folder / "licences.txt.gz").write_bytes(gzip.compress(licences(packages).encode(), mtime=0))


main()

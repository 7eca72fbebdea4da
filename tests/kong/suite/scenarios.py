"""The scenarios: each is a claim about Lifeboat beside a real Kong, which holds or fails."""

import json
import os
import time

from .cluster import KEY, Cluster, Started, differences, has_counts, program_folder, serves
from .gateway import EMPTY, NodeWithoutDatabase, http
from .lifeboat import Lifeboat
from .processes import Failure, wait_for

NODES, AT_ONCE = 20, 5


class NotApplicable(Exception):
    """This version has not what the scenario is about: a result that is stated, with the reason."""


def claim(holds, otherwise):
    if not holds:
        raise Failure(otherwise)


def exported_is_what_nodes_run(bench):
    """What is exported is what a node runs: by its hash and entity by entity."""
    with Cluster(bench, "export") as cluster:
        # Control planes go on listing data planes of earlier runs for two weeks.
        began = int(time.time())
        node = cluster.fresh_node("node", cluster.control_plane.address)
        cluster.settles(node)
        cluster.run_lifeboat("--export", "on", LIFEBOAT_ADMIN_URL=cluster.control_plane.url("admin", ""))
        manifest = cluster.publish()["manifest"]
        exported, own = manifest["config_hash"], manifest["exporter"]["node_id"]

        def listed():
            planes = cluster.control_plane.all("clustering/data-planes")
            return [plane["config_hash"] for plane in planes if plane["id"] != own and plane["last_seen"] >= began]

        wait_for(f"the control plane to list {exported} as what its data plane runs", lambda: listed() == [exported], 60, cluster.lifeboat.log)
        said = node.hash()
        claim(said in (exported, None) and (said or bench.kong.minor < (3, 0)), f"the node's Status API says it runs {said}, exported is {exported}")

        found = differences(cluster.control_plane, cluster.lifeboat.configuration())
        claim(not found, "; ".join(found[:5]))
        count = sum(manifest["counts"].values())
        return f"{exported}, {count} entities" + ("" if said else "; this version's Status API tells no hash, the control plane does")


def fresh_nodes_come_up_through_the_relay(bench):
    """20 nodes that have nothing get ready and serve while the control plane is dead."""
    with Cluster(bench, "relay") as cluster:
        cluster.run_lifeboat("--export", "on", "--import", "on")
        published = cluster.publish()
        cluster.dies()
        wanted, seen = published["config_hash"], set()
        for first in range(0, NODES, AT_ONCE):
            nodes = [cluster.fresh_node(f"node-{first + number}") for number in range(AT_ONCE)]
            for node in nodes:
                runs(node, wanted)
                serves(node)

            # What nodes say in their pings: the only word of a 2.x about what it runs.
            told = lambda: {name for name, running in cluster.lifeboat.relayed().items() if running == wanted} - seen
            wait_for(f"the relay to hear from {AT_ONCE} nodes that they run {wanted}", lambda: len(told()) == AT_ONCE, 40, cluster.lifeboat.log)
            seen |= told()
            for node in nodes:
                node.stop()
        return f"{NODES} of {NODES} nodes ran {wanted}"


def runs(node, wanted):
    """The node runs it and is ready, as far as this version tells: 2.x has neither a hash for certain nor /status/ready."""
    if node.program.minor >= (3, 0):
        node.wait_for_hash(wanted)
    if node.program.minor >= (3, 3):
        wait_for(f"/status/ready of {node.name}", lambda: http(node.url("status", "/status/ready"))[0] == 200, 20, node.log)


def the_control_plane_returns(bench):
    """A change that is made after the control plane's return reaches a restored node without a restart, and the backup."""
    with Cluster(bench, "return") as cluster:
        cluster.run_lifeboat("--export", "on", "--import", "on")
        cluster.publish()
        cluster.dies()
        node = cluster.fresh_node("node")
        serves(node)
        node.answers("/returned", 404)

        pid = node.pid()
        cluster.control_plane.start()
        cluster.add_route("returned")
        node.answers("/returned", 200, 60)
        serves(node)
        claim(node.pid() == pid, f"the node was restarted: process {pid} became {node.pid()}")
        cluster.publish()
        return "the change arrived in the same process, and in the backup"


def import_fills_the_cache(bench):
    """A node whose cache `lifeboat import` has filled starts and serves without a control plane."""
    minor = bench.kong.minor
    if (3, 0) <= minor < (3, 4):
        raise NotApplicable("3.0 to 3.3 have a form of cache that Lifeboat does not write")
    with Cluster(bench, "import") as cluster:
        if minor < (3, 0):
            cluster.run_lifeboat("--export", "on")
            cluster.publish()
        else:
            beside = cluster.fresh_node("beside", cluster.control_plane.address)
            cluster.settles(beside)
            cluster.run_lifeboat("--export", "on", LIFEBOAT_CACHE_IMAGE="on", KONG_PREFIX=beside.prefix)
            cluster.publish()
            has_image = lambda one: one["manifest"].get("cache_image")
            cluster.lifeboat.wait_for_publication(has_image, 120)
            beside.stop()
        cluster.dies()
        cluster.lifeboat.stop()

        prefix = bench.kong.prefix / "import" / "filled"
        cluster.lifeboat.command("import", KONG_PREFIX=prefix)
        node = cluster.fresh_node("filled", cluster.control_plane.address)
        serves(node)
        return "config.cache.json.gz" if minor < (3, 0) else "an image of the LMDB cache"


def exec_starts_a_node(bench):
    """`lifeboat exec -- kong start` starts an empty node with the backup while the control plane is dead."""
    with Cluster(bench, "exec") as cluster:
        cluster.run_lifeboat("--export", "on")
        cluster.publish()
        cluster.dies()
        cluster.lifeboat.stop()
        # The store as a flag: Kong Enterprise has a setting of the same name, which it reads itself and which accepts buckets only.
        through = [bench.lifeboat, "exec", "--storage", cluster.lifeboat.store, "--kong-version", bench.kong.version, "--"]
        node = cluster.fresh_node("node", cluster.control_plane.address, through, LIFEBOAT_CP_CONFIG_TIMEOUT="5s")
        serves(node)
        written = node.prefix / "lifeboat-declarative.json"
        claim(written.exists(), f"the node serves, but not from {written}")
        return "served from lifeboat-declarative.json"


def drill_starts_a_real_node(bench):
    """`lifeboat drill` passes with a real node, from the store alone, and leaves nothing behind."""
    with Cluster(bench, "drill") as cluster:
        cluster.run_lifeboat("--export", "on")
        published = cluster.publish()
        cluster.dies()
        path = f"{program_folder(bench)}:{os.environ.get('PATH', '')}"
        said = cluster.lifeboat.command("drill", "--output", "json", codes=(0, 1, 3), PATH=path).stdout
        [version] = json.loads(said)["versions"]
        claim(version["verdict"] in ("pass", "warn"), f"the verdict is {version['verdict']}: {version['failure']} {version['remarks']}")
        kong = version["kong"]
        claim(kong["result"] == "passed", f"the real node: {kong['result']}, {kong['reason']}")
        claim(version["snapshot"]["config_hash"] == published["config_hash"], f"drilled with {version['snapshot']}")
        return f"a node of Kong {version['kong_version']} was ready with the snapshot after {kong['ready_s']} s"


def an_emptied_configuration_is_held(bench):
    """A control plane that has lost its database does not spoil the backup; `release` publishes what it has after all."""
    with Cluster(bench, "held") as cluster:
        cluster.run_lifeboat("--export", "on", "--import", "on")
        kept = cluster.publish()["config_hash"]
        cluster.dies()
        cluster.control_plane.migrate(anew=True)
        cluster.control_plane.start()

        newest = lambda: max(cluster.lifeboat.snapshots(), key=lambda one: one["sequence"])
        wait_for("the emptied configuration to be held", lambda: newest()["state"] == "held", 60, cluster.lifeboat.log)
        published = cluster.lifeboat.published()["config_hash"]
        claim(published == kept, f"{published} is published, and {kept} was before the control plane lost everything")
        cluster.dies()
        node = cluster.fresh_node("node")
        runs(node, kept)
        serves(node)
        node.stop()

        cluster.lifeboat.command("release")
        cluster.lifeboat.wait_for_publication(lambda one: has_counts(one, {"services": 0, "routes": 0}))
        return f"{kept} stayed published until the release"


def without_a_database(bench):
    """A backup of a node without a database restores another one, by its Admin API."""
    with Started() as started:
        source = started.add(NodeWithoutDatabase(bench.kong, "dbless/source")).start()
        target = started.add(NodeWithoutDatabase(bench.kong, "dbless/target")).start()
        for node in (source, target):
            wait_for(f"the Admin API of {node.name}", lambda node=node: http(node.url("admin", "/status"))[0] == 200, 30, node.log)
        status, said = http(source.url("admin", "/config?check_hash=1"), {"config": json.dumps(declarative(bench))}, "POST", patience=60)
        claim(status == 201, f"POST /config is answered with {status}: {said.decode(errors='replace')[:500]}")
        serves(source)
        claim(target.hash() in (EMPTY, None), f"the other node is not empty: {target.hash()}")

        lifeboat = Lifeboat(bench.lifeboat, bench.prefix / "dbless" / "lifeboat", bench.kong.version, {})
        lifeboat.command("export", "--from", f"dbless:{source.url('admin', '')}")
        source.stop()
        lifeboat.command("import", "--dbless", target.url("admin", ""), "--always")
        serves(target)
        return "POST /config"


def declarative(bench):
    """The entities of the suite as a declarative configuration."""
    routes = [
        {"name": "open", "paths": ["/open"]},
        {"name": "locked", "paths": ["/locked"], "plugins": [{"name": "key-auth"}]},
    ]
    service = {"name": "upstream", "url": bench.service, "routes": routes}
    consumer = {"username": "someone", "keyauth_credentials": [{"key": KEY}]}
    version = "2.1" if bench.kong.minor < (3, 0) else "3.0"
    return {"_format_version": version, "services": [service], "consumers": [consumer]}

"""Nodes with incremental sync, which take their configuration over /v2/outlet alone (docs/KONG.md section 7)."""

from .cluster import Cluster, serves
from .processes import wait_for
from .scenarios import NotApplicable, claim, runs

NODES = 3


def nodes_with_incremental_sync(bench):
    """Nodes with incremental_sync=on are restored by the relay, survive restarts, and follow the control plane when it returns."""
    if bench.kong.minor < (3, 9):
        raise NotApplicable("Kong has incremental sync since 3.9")
    if bench.kong.is_enterprise:
        raise NotApplicable("Enterprise means another protocol by the same name, which the relay does not speak")
    on = {"KONG_CLUSTER_RPC": "on", "KONG_CLUSTER_INCREMENTAL_SYNC": "on"}
    with Cluster(bench, "sync", on, on) as cluster:
        # What other scenarios have put into the database has version 0 until something is changed, and nodes that run it are not ready.
        cluster.add_route("before")
        cluster.run_lifeboat("--export", "on", "--import", "on")
        published = cluster.publish()
        linked = cluster.fresh_node("linked")
        serves(linked)
        claim(not linked.hash().startswith("-"), f"the control plane is there, and the node runs {linked.hash()}, which is the relay's")
        cluster.dies()

        # The version under which the relay gives a snapshot.
        version = f"{published['sequence'] - 10**9:032d}"
        restored = [cluster.fresh_node(f"restored-{number}") for number in range(NODES)]
        for node in restored:
            runs(node, version)
            serves(node)
        check_listed(cluster)
        first = restored[0].restart()
        runs(first, version)
        serves(first)

        pids = [node.pid() for node in restored]
        cluster.control_plane.start()
        cluster.add_route("synced")
        for node in (linked, *restored):
            node.answers("/synced", 200, 90)
            serves(node)
        claim(pids == [node.pid() for node in restored], "a node was restarted")

        # Kong itself can forget the workspace of credentials here: see docs/KONG.md.
        cluster.dies()
        first.restart()
        first.answers("/synced", 200)
        serves(first)
        return f"{NODES} of {NODES} nodes ran {version}; all took the control plane's change, and one served after two restarts"


def check_listed(cluster):
    """Also the node that had its configuration before the outage comes back, and every node is known for what it is."""

    def kinds():
        return [node["incremental_sync"] for node in cluster.lifeboat.status()["relay"]["nodes"]]

    what = f"the relay to list {NODES + 1} nodes with incremental sync"
    wait_for(what, lambda: kinds() == [True] * (NODES + 1), 40, cluster.lifeboat.log)

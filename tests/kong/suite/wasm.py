"""The filter in a real gateway: what it reports, and that it does no harm."""

import json

from .cluster import Cluster
from .lifeboat import filter_folder
from .load import Load
from .processes import Failure, wait_for
from .scenarios import NotApplicable, claim

CHANGES = 100
# Each so many changes, the chain's own settings are changed, too.
OF_THE_CHAIN = 10
REPORT_KEY = "key-of-the-suite-for-reports"


def filter_under_load(bench):
    """Under load and 100 changes the filter does no harm: on 3.9 it reports what the node runs, on 3.4 to 3.8 it stays passive."""
    minor = bench.kong.minor
    if minor < (3, 4):
        raise NotApplicable("Kong has Wasm filters since 3.4")
    folder = filter_folder(bench.given_filter, bench.prefix / "wasm")
    # The filter alone: an exporter that does not claim all filters of its control plane is sent nothing, and some editions bring their own.
    wasm = {"KONG_WASM": "on", "KONG_WASM_FILTERS_PATH": folder, "KONG_WASM_FILTERS": "user"}
    # By default a control plane puts all changes of 5 s into one message.
    control_plane = {**wasm, "KONG_DB_UPDATE_FREQUENCY": 1}
    lifeboat = {"LIFEBOAT_FILTERS": "lifeboat", "LIFEBOAT_REPORT_KEYS": REPORT_KEY}
    with Cluster(bench, "filter", control_plane, wasm, lifeboat) as cluster:
        node = cluster.fresh_node("node", cluster.control_plane.address, KONG_NGINX_WORKER_PROCESSES=2)
        cluster.settles(node)
        cluster.run_lifeboat("--export", "on")
        cluster.publish()
        chain = Chain(cluster, node)
        workers = node.workers()

        load = Load(node.url("proxy", "/open"))
        try:
            said = reports(cluster, node, chain) if minor == (3, 9) else is_passive(cluster, node, chain)
        finally:
            counts = load.stop()
        check_harm(node, workers, counts)
        chain.delete()
        return f"{CHANGES} changes beside {counts['200']} requests, all of them answered with 200, no worker lost; {said}"


class Chain:
    """The filter's chain at the suite's service, and the route that the changes are made of."""

    def __init__(self, cluster, node):
        self.admin, self.minor, self.node = cluster.control_plane.admin, cluster.bench.kong.minor, node
        self.settings = {
            "companion": f"127.0.0.1:{cluster.lifeboat.port}",
            "status_api": f"127.0.0.1:{node.ports['status']}",
            "control_plane": cluster.control_plane.address,
            "interval_s": 1,
            "report_key": REPORT_KEY,
        }
        self.admin("POST", "/services/upstream/routes", {"name": "changing", "paths": ["/change-0"]})
        self.id = self.admin("POST", "/services/upstream/filter-chains", {"name": "reports", **self.filters("change-0")})["id"]
        node.answers("/change-0", 200)

    def filters(self, name):
        settings = {**self.settings, "node": name}
        # Kong 3.4 takes a filter's settings only as text.
        return {"filters": [{"name": "lifeboat", "config": json.dumps(settings) if self.minor == (3, 4) else settings}]}

    def change(self):
        """100 changes, each of which the node has taken before the next one is made; returns the name that the filter got last."""
        name = None
        for number in range(1, CHANGES + 1):
            if number % OF_THE_CHAIN == 0:
                name = f"change-{number}"
                self.admin("PATCH", f"/filter-chains/{self.id}", self.filters(name))
            self.admin("PATCH", "/routes/changing", {"paths": [f"/change-{number}"]})
            self.node.answers(f"/change-{number}", 200)
        return name

    def delete(self):
        """Later scenarios have control planes without Wasm."""
        self.admin("DELETE", f"/filter-chains/{self.id}")
        self.admin("DELETE", "/routes/changing")


def reports(cluster, node, chain):
    """Reports name what the node runs, before the changes and after them, and confirm the backup."""

    def wait_for_report(name):
        wanted = node.hash()
        what = f"a report of {name} that names {wanted}, which the node runs"
        matches = lambda report: (report["node"], report["config_hash"]) == (name, wanted)
        wait_for(what, lambda: any(matches(report) for report in cluster.lifeboat.status()["reports"]["workers"]), 60, node.log)
        return wanted

    # The exporter hears of a change by itself, from the control plane: so the node is compared with an independent source.
    cluster.lifeboat.wait_for_publication(lambda one: one["config_hash"] == node.hash())
    wait_for_report("change-0")
    last = chain.change()
    # From now on there are reports while it is published.
    published = cluster.lifeboat.wait_for_publication(lambda one: (one["config_hash"], one["state"]) == (node.hash(), "confirmed"))
    ran = wait_for_report(last)
    claim(ran == published["config_hash"], f"the reports name {ran}, and {published['config_hash']} is published")
    heard = cluster.lifeboat.status()["reports"]
    claim(heard["nodes"]["reporting"] == 1, f"one node reports, and the companion counts {heard['nodes']}")
    claim(heard["nodes"]["control_plane"] == {"reachable": 1}, f"the control plane answers, and reports say {heard['nodes']['control_plane']}")
    return f"{heard['accepted']} reports, the last ones of {ran}, which they confirmed"


def is_passive(cluster, node, chain):
    """The filter has said that it does nothing, and has sent nothing."""
    words = "it stays passive"
    wait_for(f"the filter to say in {node.log} that {words}", lambda: words in node.log.read_text(errors="replace"), 60, node.log)
    chain.change()
    heard = cluster.lifeboat.status()["reports"]
    sent = heard["accepted"] + heard["counted_only"] + sum(heard["refused"].values())
    claim(sent == 0, f"this version should get no report of the filter, and the companion got {sent}")
    return "the filter stayed passive, as it must on this version"


def check_harm(node, workers, counts):
    now = node.workers()
    died = [line for line in node.log.read_text(errors="replace").splitlines() if "exited on signal" in line]
    claim(now == workers and not died, f"a worker has died: they were {sorted(workers)} and are {sorted(now)}; {died[-1:]}")
    failed = {answer: count for answer, count in counts.items() if answer != "200"}
    if failed or not counts.get("200"):
        raise Failure(f"requests through the filter were not all answered with 200: {counts}")

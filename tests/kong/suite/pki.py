"""pki mode: an authority, and a certificate each for the control plane, the relay, the exporter and the nodes."""

from .cluster import Cluster, serves
from .processes import Failure, command, environment
from .scenarios import claim, runs

NAME = "control-plane.suite.test"


def authority(folder):
    """Makes an authority and two certificates of it with openssl; returns their paths by name."""
    folder.mkdir(parents=True, exist_ok=True)

    def openssl(*arguments):
        try:
            command(["openssl", *arguments], environment(), cwd=folder)
        except Failure as failure:
            raise Failure(f"{failure}\npki mode needs certificates: install openssl (Debian: apt-get install openssl)") from failure

    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.crt", "-days", "30", "-subj", "/CN=authority of the suite")
    for name, host, usage in (("server", NAME, "serverAuth"), ("client", "node.suite.test", "clientAuth")):
        (folder / f"{name}.ext").write_text(f"subjectAltName=DNS:{host}\nextendedKeyUsage={usage}\n")
        openssl("req", *new, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={host}")
        signing = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30", "-extfile", f"{name}.ext")
        openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.crt", *signing)
    return {name: folder / name for name in ("ca.crt", "server.crt", "server.key", "client.crt", "client.key")}


def pki_mode(bench):
    """In pki mode, with a certificate for each side, export and relay work as in shared mode."""
    made = authority(bench.prefix / "pki-authority")
    mode = {"KONG_CLUSTER_MTLS": "pki"}
    server = {"KONG_CLUSTER_CERT": made["server.crt"], "KONG_CLUSTER_CERT_KEY": made["server.key"]}
    client = {"KONG_CLUSTER_CERT": made["client.crt"], "KONG_CLUSTER_CERT_KEY": made["client.key"]}
    named = {"KONG_CLUSTER_SERVER_NAME": NAME}
    trusting = {"KONG_LUA_SSL_TRUSTED_CERTIFICATE": made["ca.crt"]}
    relay = {"LIFEBOAT_RELAY_CERT": made["server.crt"], "LIFEBOAT_RELAY_CERT_KEY": made["server.key"]}

    control_plane = {**mode, **server, "KONG_CLUSTER_CA_CERT": made["ca.crt"]}
    node = {**mode, **client, **named, **trusting}
    lifeboat = {**mode, **client, **named, **relay, "KONG_CLUSTER_CA_CERT": made["ca.crt"]}
    with Cluster(bench, "pki", control_plane, node, lifeboat) as cluster:
        cluster.run_lifeboat("--export", "on", "--import", "on")
        first = cluster.fresh_node("first")
        cluster.settles(first)
        published = cluster.lifeboat.wait_for_publication(lambda one: set(cluster.lifeboat.relayed().values()) == {one["config_hash"]})
        cluster.dies()
        second = cluster.fresh_node("second")
        runs(second, published["config_hash"])
        serves(second)
        claim(first.pid() is not None, "the first node has ended")
        return f"two nodes ran {published['config_hash']}, one of them in the outage"

"""The stand-in's control-plane link, from both ends: what comes over /v1/outlet, and who asks for what."""

import gzip
import json
import socket
import threading
import time
import urllib.parse

import rpc
import wire
from played import EMPTY, MINOR, VERSION

PLUGINS = [{"name": name, "version": VERSION.split("-")[0]} for name in ("key-auth", "rate-limiting", "cors", "prometheus")]
# A node tries again after so many seconds; Kong's own pauses are 5 to 10.
PAUSE = 2
# The first byte of TLS. nginx answers plain HTTP on such a port with 400, which is how the filter finds a control plane.
TLS_HANDSHAKE = b"\x16"


def serve(plane, listener, context):
    """Accepts data planes in threads."""

    def accept():
        while True:
            stream, _ = listener.accept()
            threading.Thread(target=guarded, args=(plane, context, stream), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def guarded(plane, context, stream):
    with stream:
        try:
            stream.settimeout(10)
            if stream.recv(1, socket.MSG_PEEK) != TLS_HANDSHAKE:
                stream.recv(65536)
                stream.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                return
            with context.wrap_socket(stream, server_side=True) as secured:
                answer(plane, wire.Stream(secured))
        except (OSError, ValueError) as error:
            print(f"[stand-in] a data plane: {error}", flush=True)


def answer(plane, stream):
    head = wire.read_head(stream)
    path = head.split()[1]
    if path.startswith("/v1/outlet"):
        talk(plane, stream, head, dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(path).query)))
    elif path.startswith("/v2/outlet") and plane.settings.get("KONG_CLUSTER_RPC") == "on":
        rpc.talk(plane, stream, head)
    else:
        stream.sendall(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")


def talk(plane, stream, head, query):
    wire.switch(stream, head)
    _, body = wire.read_frame(stream)
    listed = {"id": query["node_id"], "hostname": query["node_hostname"], "version": query["node_version"]}
    own = plane.planes[query["node_id"]] = {**listed, "config_hash": EMPTY, "sync_status": "normal", "last_seen": int(time.time())}
    if plane.filters() <= set(json.loads(body).get("filters") or {}):
        threading.Thread(target=feed, args=(plane, stream), daemon=True).start()
    else:
        own["sync_status"] = "filter_set_incompatible"
    while True:
        kind, body = wire.read_frame(stream)
        if kind == wire.CLOSE:
            return
        if kind == wire.PING:
            own.update({"config_hash": body.decode(), "last_seen": int(time.time())})
            wire.send_frame(stream, wire.PONG, b"", masked=False)


def feed(plane, stream):
    """Sends what the control plane has, and again whenever it has changed."""
    sent = None
    try:
        while True:
            with plane.changed:
                table, config_hash = plane.configuration()
                if config_hash == sent:
                    plane.changed.wait()
                    continue
            message = {"type": "reconfigure", "timestamp": time.time(), "config_hash": config_hash, "config_table": table}
            message["hashes"] = {name: config_hash for name in ("config", "routes", "services", "plugins", "upstreams", "targets")}
            wire.send_frame(stream, wire.BINARY, gzip.compress(json.dumps(message).encode()), masked=False)
            sent = config_hash
    except OSError:
        return


def connect(state, context):
    """A data plane's end: connects, and again a while after each failure."""
    settings = state.settings
    has_rpc = settings.get("KONG_CLUSTER_RPC") == "on" and MINOR >= (3, 9)
    is_incremental = has_rpc and settings.get("KONG_CLUSTER_INCREMENTAL_SYNC") == "on"
    sessions = [rpc.Peer(state, is_incremental).session] if has_rpc else []
    # With incremental sync 3.9 never asks for /v1/outlet.
    sessions += [] if is_incremental else [session]
    for one in sessions:
        threading.Thread(target=keep_connected, args=(state, context, one), daemon=True).start()


def keep_connected(state, context, session):
    while True:
        try:
            with wire.dial(state.settings, context) as secured:
                session(state, wire.Stream(secured))
        except (OSError, ValueError) as error:
            print(f"[stand-in] the control plane: {error}", flush=True)
        time.sleep(PAUSE)


def session(state, stream):
    path = f"/v1/outlet?node_id={state.id}&node_hostname=stand-in&node_version={VERSION}"
    wire.upgrade(stream, path, state.settings["KONG_CLUSTER_CONTROL_PLANE"])
    filters = {"lifeboat": {"name": "lifeboat"}} if state.filters else {}
    information = {"type": "basic_info", "plugins": PLUGINS, "process_conf": {"cluster_max_payload": 16777216}, "filters": filters, "labels": {}}
    wire.send_frame(stream, wire.BINARY, json.dumps(information).encode(), masked=True)
    wire.send_frame(stream, wire.PING, state.hash.encode(), masked=True)
    while True:
        if not stream.wait(wire.PING_EVERY):
            wire.send_frame(stream, wire.PING, state.hash.encode(), masked=True)
            continue
        kind, body = wire.read_frame(stream)
        if kind == wire.CLOSE:
            raise ConnectionError("closed")
        if kind == wire.BINARY:
            message = json.loads(gzip.decompress(body))
            state.apply(message["config_table"], message["config_hash"], from_link=True)
            wire.send_frame(stream, wire.PING, state.hash.encode(), masked=True)

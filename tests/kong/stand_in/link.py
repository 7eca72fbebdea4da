"""The stand-in's control-plane link, from both ends."""

import gzip
import json
import os
import socket
import threading
import time
import urllib.parse
import uuid

import wire

FAULT = os.environ.get("STAND_IN_FAULT", "")
VERSION = os.environ.get("STAND_IN_VERSION", "3.9.1")
PLUGINS = [{"name": name, "version": VERSION} for name in ("key-auth", "rate-limiting", "cors", "prometheus")]
EMPTY = "0" * 32


def serve(plane):
    """Accepts data planes in threads."""
    host, port = plane.settings["KONG_CLUSTER_LISTEN"].split()[0].rsplit(":", 1)
    listener = socket.create_server((host, int(port)))
    context = wire.tls(plane.settings, server=True)

    def accept():
        while True:
            stream, _ = listener.accept()
            threading.Thread(target=guarded, args=(plane, context, stream), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def guarded(plane, context, stream):
    with stream:
        try:
            stream.settimeout(45)
            with context.wrap_socket(stream, server_side=True) as secured:
                talk(plane, secured)
        except OSError as error:
            print(f"[stand-in] a data plane: {error}", flush=True)


def talk(plane, stream):
    head = wire.read_head(stream)
    path = head.split()[1]
    if not path.startswith("/v1/outlet"):
        stream.sendall(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
        return
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(path).query))
    answer = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: upgrade", f"Sec-WebSocket-Accept: {wire.accept_key(head)}"]
    stream.sendall(("\r\n".join(answer) + "\r\n\r\n").encode())
    wire.read_frame(stream)
    listed = {"id": query["node_id"], "hostname": query["node_hostname"], "version": query["node_version"]}
    plane.planes[query["node_id"]] = {**listed, "config_hash": EMPTY, "sync_status": "normal", "last_seen": int(time.time())}
    sending = threading.Lock()
    threading.Thread(target=feed, args=(plane, stream, sending), daemon=True).start()
    while True:
        kind, body = wire.read_frame(stream)
        if kind == wire.CLOSE:
            return
        if kind == wire.PING:
            plane.planes[query["node_id"]]["config_hash"] = body.decode()
            with sending:
                wire.send_frame(stream, wire.PONG, b"", masked=False)


def feed(plane, stream, sending):
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
            with sending:
                wire.send_frame(stream, wire.BINARY, gzip.compress(json.dumps(message).encode()), masked=False)
            sent = config_hash
    except OSError:
        return


def connect(state):
    """A data plane's end: connects, and again a while after each failure."""
    node = str(uuid.uuid4())
    while True:
        try:
            session(state, node)
        except (OSError, ValueError) as error:
            print(f"[stand-in] the control plane: {error}", flush=True)
        time.sleep(2)


def session(state, node):
    settings = state.settings
    address = settings["KONG_CLUSTER_CONTROL_PLANE"]
    host, port = address.rsplit(":", 1)
    name = settings.get("KONG_CLUSTER_SERVER_NAME") or "kong_clustering"
    context = wire.tls(settings, server=False, with_certificate=FAULT != "shows-no-certificate")
    with socket.create_connection((host, int(port)), 5) as plain, context.wrap_socket(plain, server_hostname=name) as stream:
        wire.upgrade(stream, f"/v1/outlet?node_id={node}&node_hostname=stand-in&node_version={VERSION}", address)
        information = {"type": "basic_info", "plugins": PLUGINS, "process_conf": {"cluster_max_payload": 16777216}, "filters": {}, "labels": {}}
        wire.send_frame(stream, wire.BINARY, json.dumps(information).encode(), masked=True)
        wire.send_frame(stream, wire.PING, state.hash.encode(), masked=True)
        stream.settimeout(45)
        while True:
            kind, body = wire.read_frame(stream)
            if kind == wire.CLOSE:
                raise ConnectionError("closed")
            if kind == wire.BINARY:
                message = json.loads(gzip.decompress(body))
                state.apply(message["config_table"], message["config_hash"], from_link=True)
                wire.send_frame(stream, wire.PING, state.hash.encode(), masked=True)

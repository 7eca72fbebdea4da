"""Incremental sync, from both ends: JSON-RPC over /v2/outlet, in raw Snappy (docs/KONG.md section 7)."""

import json
import queue
import threading
import time

import snappy
import wire
from played import VERSION

SUBPROTOCOL, ENCODING, SYNC = "kong.meta.v1", "x-snappy-framed", "kong.sync.v2"
ANSWER_LIMIT, TICK, CALLS_IN_A_ROUND = 5, 30, 2


def send(stream, message, masked):
    block = snappy.compress(json.dumps({"jsonrpc": "2.0", **message}).encode())
    wire.send_frame(stream, wire.BINARY, block, masked)


def receive(stream, masked):
    """The next message; pings are answered, and sent where nothing comes."""
    while True:
        if not stream.wait(wire.PING_EVERY):
            wire.send_frame(stream, wire.PING, b"", masked)
            continue
        kind, body = wire.read_frame(stream)
        if kind == wire.CLOSE:
            raise ConnectionError("closed")
        if kind == wire.PING:
            wire.send_frame(stream, wire.PONG, b"", masked)
        if kind == wire.BINARY:
            return json.loads(snappy.decompress(body))


def talk(plane, stream, head):
    """The control plane's end."""
    wire.switch(stream, head, SUBPROTOCOL)
    [hello] = json.loads(wire.read_frame(stream)[1])["params"]
    # Plain JSON, as nothing after it.
    result = {"rpc_capabilities": [SYNC] if plane.is_incremental else [], "rpc_frame_encoding": ENCODING}
    wire.send_frame(stream, wire.BINARY, json.dumps({"result": result, "jsonrpc": "2.0", "id": 1}).encode(), masked=False)
    if plane.is_incremental and SYNC in hello["rpc_capabilities"]:
        threading.Thread(target=notify, args=(plane, stream), daemon=True).start()

    while True:
        message = receive(stream, masked=False)
        if message.get("method") != f"{SYNC}.get_delta":
            continue
        having = int(message["params"][0]["default"]["version"])
        listed = {"id": hello["kong_node_id"], "hostname": hello["kong_hostname"], "version": hello["kong_version"]}
        plane.planes[listed["id"]] = {**listed, "config_hash": f"{having:032d}", "sync_status": "normal", "last_seen": int(time.time())}
        wipe, deltas = plane.deltas(having)
        # An empty list is an object in Lua's JSON.
        send(stream, {"id": message["id"], "result": {"default": {"wipe": wipe, "deltas": deltas or {}}}}, masked=False)


def notify(plane, stream):
    """Tells a data plane of each change."""
    calls = 0
    try:
        while True:
            with plane.changed:
                plane.changed.wait()
                version = plane.database.version()
            params = [{"default": {"new_version": version}}]
            send(stream, {"id": calls, "method": f"{SYNC}.notify_new_version", "params": params}, masked=False)
            calls += 1
    except OSError:
        return


class Peer:
    """A node's end. It asks at its start, at each tick, and when it is told of a later version; after a reconnect it waits for that."""

    def __init__(self, state, is_incremental):
        self.state, self.is_incremental = state, is_incremental
        self.stream, self.calls, self.answers = None, 0, {}
        self.in_a_round = threading.Lock()
        self.linked = threading.Event()
        if is_incremental:
            threading.Thread(target=self.tick, daemon=True).start()

    def session(self, state, stream):
        wire.upgrade(stream, "/v2/outlet", state.settings["KONG_CLUSTER_CONTROL_PLANE"], SUBPROTOCOL)
        hello = {
            "rpc_capabilities": [SYNC] if self.is_incremental else [],
            "rpc_frame_encodings": [ENCODING],
            "kong_version": VERSION,
            "kong_hostname": "stand-in",
            "kong_node_id": state.id,
            "kong_conf": {"cluster_max_payload": 16777216, "cluster_rpc": True, "cluster_incremental_sync": self.is_incremental},
        }
        message = {"jsonrpc": "2.0", "id": 1, "method": "kong.meta.v1.hello", "params": [hello]}
        wire.send_frame(stream, wire.BINARY, json.dumps(message).encode(), masked=True)
        kind, body = wire.read_frame(stream)
        if kind != wire.BINARY or SYNC not in json.loads(body)["result"]["rpc_capabilities"] or not self.is_incremental:
            while True:
                receive(stream, masked=True)

        self.stream = stream
        self.linked.set()
        try:
            while True:
                self.handle(receive(stream, masked=True))
        finally:
            self.stream = None
            self.linked.clear()

    def handle(self, message):
        if message.get("method") == f"{SYNC}.notify_new_version":
            send(self.stream, {"id": message["id"], "result": True}, masked=True)
            if message["params"][0]["default"]["new_version"] > self.state.version():
                threading.Thread(target=self.round, daemon=True).start()
        elif message.get("id") in self.answers:
            self.answers.pop(message["id"]).put(message)

    def tick(self):
        self.linked.wait()
        while True:
            self.round()
            time.sleep(TICK)

    def round(self):
        # Who comes while a round runs is not waited for: that notification is lost.
        if not self.in_a_round.acquire(blocking=False):
            return
        try:
            for _ in range(CALLS_IN_A_ROUND):
                self.ask()
        except (OSError, ValueError, KeyError, AttributeError, queue.Empty) as error:
            print(f"[stand-in] sync get_delta error: {type(error).__name__} {error}", flush=True)
        finally:
            self.in_a_round.release()

    def ask(self):
        number, self.calls = self.calls, self.calls + 1
        answer = self.answers[number] = queue.Queue()
        params = [{"default": {"version": self.state.version()}}]
        send(self.stream, {"id": number, "method": f"{SYNC}.get_delta", "params": params}, masked=True)
        told = answer.get(timeout=ANSWER_LIMIT)["result"]["default"]
        if told["deltas"]:
            self.state.apply_deltas(told["wipe"], told["deltas"])

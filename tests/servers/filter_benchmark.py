"""What the filter costs traffic: wrk through one Envoy with a listener each for no filter, an empty filter built on the
same crate (twice, so that one sees what noise is), and lifeboat.wasm. Rounds are interleaved in a random order. Started by
tests/servers/benchmark. Fails if ours costs more than 3 % of the empty one's median requests per second, or if its p99
leaves what the two equal ones have."""

import http.server
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

# Many short rounds: a machine that slows down for a while then slows all of them.
ROUNDS = int(os.environ.get("ROUNDS", "60"))
SECONDS = int(os.environ.get("SECONDS_EACH", "1"))
STATUS = json.dumps({"configuration_hash": "3ff47162e7a7ce1344f336316b66484e"}).encode()
TYPE = "type.googleapis.com/envoy.extensions."


class Gateway(http.server.BaseHTTPRequestHandler):
    """The Status API and the companion."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, code, body):
        self.send_response(code)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200, STATUS)

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.answer(202, b"")


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def wasm(name, file):
    settings = {"host": "envoy", "companion": "service", "status_api": "service", "control_plane": "service",
                "report_key": "0123456789abcdef", "response_header": None}
    return [{"name": name, "typed_config": {"@type": TYPE + "filters.http.wasm.v3.Wasm", "config": {
        "name": name, "vm_config": {"vm_id": name, "runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": file}}},
        "configuration": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": json.dumps(settings)}}}}]


def listener(name, filters):
    router = {"name": "router", "typed_config": {"@type": TYPE + "filters.http.router.v3.Router"}}
    answer = {"status": 200, "body": {"inline_string": "hello"}}
    manager = {"@type": TYPE + "filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": name,
               "http_filters": filters + [router], "route_config": {"virtual_hosts": [{
                   "name": name, "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "direct_response": answer}]}]}}
    return {"name": name, "address": address(0), "filter_chains": [{"filters": [
        {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}]}


def configuration(service, variants):
    endpoint = {"endpoint": {"address": address(service)}}
    cluster = {"name": "service", "type": "STATIC", "connect_timeout": "1s", "load_assignment": {
        "cluster_name": "service", "endpoints": [{"lb_endpoints": [endpoint]}]}}
    return {"admin": {"address": address(0)}, "static_resources": {
        "listeners": [listener(name, filters) for name, filters in variants.items()], "clusters": [cluster]}}


def ports(admin):
    with urllib.request.urlopen(f"http://{admin}/listeners?format=json") as answer:
        listeners = json.load(answer)["listener_statuses"]
    return {each["name"]: each["local_address"]["socket_address"]["port_value"] for each in listeners}


def wrk(port, seconds):
    command = ["wrk", "-t1", "-c32", f"-d{seconds}s", "--latency", f"http://127.0.0.1:{port}/"]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        sys.exit(f"requests failed:\n{out}")
    rate = float(re.search(r"Requests/sec:\s+([0-9.]+)", out).group(1))
    number, unit = re.search(r"99%\s+([0-9.]+)(us|ms|s)", out).groups()
    return rate, float(number) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]


def main(envoy, empty, ours):
    service = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    variants = {"none": [], "empty": wasm("empty", empty), "empty again": wasm("empty_again", empty),
                "lifeboat": wasm("lifeboat", ours)}
    with tempfile.TemporaryDirectory() as folder:
        at = lambda name: os.path.join(folder, name)
        with open(at("envoy.json"), "w") as file:
            json.dump(configuration(service.server_port, variants), file)
        with open(at("log"), "w") as log:
            process = subprocess.Popen([envoy, "-c", at("envoy.json"), "--admin-address-path", at("admin"),
                                        "--concurrency", "1", "--use-dynamic-base-id"], stdout=log, stderr=log)
        try:
            while not os.path.exists(at("admin")) or "LIVE" not in ready(open(at("admin")).read()):
                if process.poll() is not None:
                    sys.exit(open(at("log")).read())
                time.sleep(0.1)
            measure(ports(open(at("admin")).read()))
        finally:
            process.kill()


def ready(admin):
    try:
        with urllib.request.urlopen(f"http://{admin}/ready") as answer:
            return answer.read().decode()
    except OSError:
        return ""


def measure(listeners):
    results = {name: [] for name in listeners}
    for name in listeners:
        wrk(listeners[name], 1)
    for _ in range(ROUNDS):
        for name in random.sample(list(listeners), len(listeners)):
            results[name].append(wrk(listeners[name], SECONDS))
    rate = {name: statistics.median(rate for rate, _ in rounds) for name, rounds in results.items()}
    p99 = {name: statistics.median(p99 for _, p99 in rounds) for name, rounds in results.items()}
    print(f"{'':12} {'requests/s':>12} {'of empty':>9} {'p99 ms':>8}   ({ROUNDS} rounds of {SECONDS} s each, medians)")
    for name in results:
        print(f"{name:12} {rate[name]:12.0f} {rate[name] / rate['empty']:9.3f} {p99[name]:8.2f}")
    equal = [p99 for name in ("empty", "empty again") for _, p99 in results[name]]
    print(f"p99 of the two equal ones: {min(equal):.2f} to {max(equal):.2f} ms")
    if rate["lifeboat"] < 0.97 * rate["empty"]:
        sys.exit("lifeboat.wasm costs more than 3 % of the requests per second of an empty filter")
    if p99["lifeboat"] > max(equal):
        sys.exit("p99 with lifeboat.wasm is outside what two equal filters have")


main(*sys.argv[1:])

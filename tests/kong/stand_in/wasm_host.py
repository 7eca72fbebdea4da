"""A Proxy-Wasm host for the filter, which runs in here as it runs in Kong: lifeboat.wasm itself, with wasmtime. What versions of Kong do with
it differs, and some do harm (docs/KONG.md section 4); what is not known of a version is taken from the strictest."""

import http.client
import os
import signal
import struct
import sys
import threading
import time
import traceback

import wasmtime

from played import FAULT, MINOR, VERSION

OK, NOT_FOUND, INTERNAL_FAILURE = 0, 1, 10
BODY_OF_ANSWER, PLUGIN_CONFIGURATION, HEADERS_OF_ANSWER = 4, 7, 6
LEVELS = ("trace", "debug", "info", "warn", "error", "critical")


class WasmHost:
    """One worker's instance of the filter, with a root for each settings that it was given: old ones go on ticking."""

    def __init__(self, path, node):
        self.node, self.lock = node, threading.RLock()
        self.engine = wasmtime.Engine()
        self.module = wasmtime.Module(self.engine, path.read_bytes())
        self.instance, self.roots, self.ticking = None, {}, set()
        self.contexts, self.tokens, self.context, self.may_call, self.reply = 0, 0, 0, False, None

    def configure(self, settings):
        """The chain has these settings: if they are new, a new root has them."""
        with self.lock:
            if self.roots and settings == list(self.roots.values())[-1]:
                return
            self.contexts += 1
            self.roots[self.contexts] = settings
            if self.revive() and self.contexts not in self.ticking:
                self.configure_root(self.contexts, len(self.roots) == 1)

    def configure_root(self, root, is_first):
        self.call("proxy_on_context_create", root, 0)
        if is_first:
            self.call("proxy_on_vm_start", root, 0)
        self.call("proxy_on_configure", root, len(self.roots[root]))

    def request(self):
        """A request passes through the chain; whether it may go on."""
        with self.lock:
            self.contexts += 1
            context, root = self.contexts, list(self.roots)[-1]
            if not self.revive():
                return False
            answers = [self.call("proxy_on_context_create", context, root)]
            answers.append(self.call("proxy_on_request_headers", context, 2, 1))
            answers.append(self.call("proxy_on_response_headers", context, 2, 1))
            for export in ("proxy_on_log", "proxy_on_done", "proxy_on_delete"):
                self.call(export, context)
            return "trap" not in answers

    def revive(self):
        """Makes an instance where there is none, or none any more after a trap: all roots are configured in it."""
        if self.instance:
            return True
        self.store = wasmtime.Store(self.engine)
        self.store.set_wasi(wasmtime.WasiConfig())
        linker = wasmtime.Linker(self.engine)
        linker.define_wasi()
        for one in self.module.imports:
            if one.module == "env":
                linker.define_func("env", one.name, one.type, self.guarded(one.name), access_caller=True)
        self.instance, self.ticking = linker.instantiate(self.store, self.module), set()
        self.call("_initialize")
        for number, root in enumerate(list(self.roots)):
            self.configure_root(root, number == 0)
        return self.instance is not None

    def guarded(self, name):
        """A host call; one that Kong has and the filter has no business with traps, as does what fails in here."""
        function = getattr(self, name, None)

        def called(caller, *arguments):
            if function is None:
                raise wasmtime.WasmtimeError(f"{name} is not a call that the filter may make")
            return function(Memory(caller), *arguments)

        return called

    def call(self, export, context=0, *arguments):
        """What the export answers; "trap" if it traps or the instance is gone."""
        exports = self.instance and self.instance.exports(self.store)
        if not exports:
            return "trap"
        if export not in exports:
            return None
        self.context, self.may_call = context, export in ("proxy_on_tick", "proxy_on_request_headers")
        try:
            return exports[export](self.store, *([context] if export != "_initialize" else []), *arguments)
        except (wasmtime.Trap, wasmtime.WasmtimeError):
            traceback.print_exc()
            self.instance = None
            return "trap"

    def proxy_log(self, memory, level, text, size):
        print(f"[stand-in] [{LEVELS[level]}] {memory.read(text, size).decode(errors='replace')}", file=sys.stderr, flush=True)
        return OK

    def proxy_get_current_time_nanoseconds(self, memory, time_at):
        memory.write(time_at, struct.pack("<Q", time.time_ns() // 1_000_000 * 1_000_000))
        return OK

    def proxy_set_tick_period_milliseconds(self, _, milliseconds):
        if self.context not in self.roots or self.context in self.ticking:
            raise wasmtime.WasmtimeError("a tick period can be set once, and in a root context")
        self.ticking.add(self.context)
        threading.Thread(target=self.tick, args=(self.instance, self.context, milliseconds / 1000), daemon=True).start()
        return OK

    def tick(self, instance, root, period):
        while self.instance is instance or self.instance is None:
            time.sleep(period)
            with self.lock:
                if self.instance is instance:
                    self.call("proxy_on_tick", root)

    def proxy_get_buffer_bytes(self, memory, buffer, _start, limit, data, size):
        held = {PLUGIN_CONFIGURATION: self.roots.get(self.context), BODY_OF_ANSWER: self.reply and self.reply[1]}.get(buffer)
        return memory.give(held[:limit], data, size) if held else NOT_FOUND

    def proxy_get_header_map_value(self, memory, kind, name, name_size, data, size):
        if kind != HEADERS_OF_ANSWER or self.reply is None:
            raise wasmtime.WasmtimeError(f"header map {kind} is not there")
        value = self.reply[0].get(memory.read(name, name_size).decode())
        return memory.give(value.encode(), data, size) if value is not None else NOT_FOUND

    def proxy_get_property(self, memory, path, path_size, data, size):
        name = memory.read(path, path_size).replace(b"\0", b".").decode()
        if self.context in self.roots:
            if name.startswith(("kong.", "ngx.")):
                return INTERNAL_FAILURE
            die(f"{name} is read in a root context")
        version = "3.9.1" if FAULT == "tells-another-version" else VERSION
        known = {"kong.version": version, "kong.node.id": self.node}
        if name not in known:
            return NOT_FOUND
        # 3.4 knows neither, and answers with nothing.
        return memory.give(b"" if MINOR == (3, 4) and FAULT != "tells-another-version" else known[name].encode(), data, size)

    def proxy_define_metric(self, memory, _kind, name, size, metric):
        if MINOR < (3, 8):
            raise wasmtime.WasmtimeError("proxy_define_metric is not yet implemented")
        memory.write(metric, struct.pack("<I", 1 + hash(memory.read(name, size)) % 1000))
        return OK

    def proxy_record_metric(self, *_):
        return OK

    def proxy_increment_metric(self, *_):
        return OK

    def proxy_http_call(self, memory, upstream, upstream_size, headers, headers_size, body, body_size, _trailers, _size, timeout, token):
        if not self.may_call:
            raise wasmtime.WasmtimeError("can only send HTTP dispatch in requests and ticks")
        if MINOR < (3, 8):
            die("a call is dispatched")
        address = memory.read(upstream, upstream_size).decode()
        sent = pairs(memory.read(headers, headers_size)), memory.read(body, body_size)
        self.tokens += 1
        memory.write(token, struct.pack("<I", self.tokens))
        about = (self.instance, self.context, self.tokens)
        threading.Thread(target=self.dispatch, args=(about, address, *sent, timeout / 1000), daemon=True).start()
        return OK

    def dispatch(self, about, address, headers, body, patience):
        instance, root, token = about
        reply = ask(address, headers, body, patience)
        if reply is None and MINOR < (3, 9):
            # A call that fails is never called back.
            return
        headers, body = reply or ({":dispatch_status": "broken connection"}, b"")
        with self.lock:
            if self.instance is instance:
                self.reply = headers, body
                self.call("proxy_on_http_call_response", root, token, len(headers) if reply else 0, len(body), 0)
                self.reply = None


class Memory:
    """The filter's memory, during a call of its own."""

    def __init__(self, caller):
        self.caller, self.memory = caller, caller["memory"]

    def read(self, at, size):
        return bytes(self.memory.read(self.caller, at & 0xFFFFFFFF, (at & 0xFFFFFFFF) + size))

    def write(self, at, data):
        self.memory.write(self.caller, data, at & 0xFFFFFFFF)

    def give(self, value, data, size):
        """Hands a value over in memory that the filter makes for it."""
        at = self.caller["proxy_on_memory_allocate"](self.caller, len(value))
        self.write(at, value)
        self.write(data, struct.pack("<I", at & 0xFFFFFFFF))
        self.write(size, struct.pack("<I", len(value)))
        return OK


def pairs(serialised):
    """A header map: the count, each pair's sizes, and each name and value with a zero after it."""
    [count] = struct.unpack_from("<I", serialised)
    at, found = 4 + 8 * count, {}
    for number in range(count):
        name_size, value_size = struct.unpack_from("<II", serialised, 4 + 8 * number)
        name, value = serialised[at : at + name_size], serialised[at + name_size + 1 : at + name_size + 1 + value_size]
        found[name.decode()] = value.decode()
        at += name_size + value_size + 2
    return found


def ask(address, headers, body, patience):
    """The answer to a dispatched call, or None."""
    own = {name: value for name, value in headers.items() if not name.startswith(":")}
    if FAULT == "reports-nothing" and headers[":method"] == "POST":
        return {":status": "202"}, b""
    connection = http.client.HTTPConnection(address, timeout=patience)
    try:
        connection.request(headers[":method"], headers[":path"], body, {"host": headers.get(":authority", address), **own})
        answer = connection.getresponse()
        return {":status": str(answer.status), **{name.lower(): value for name, value in answer.getheaders()}}, answer.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def die(why):
    print(f"[stand-in] {why}: this version's worker dies", file=sys.stderr, flush=True)
    # Not SIGSEGV, by which a real one dies: wasmtime has a handler for that.
    os.kill(os.getpid(), signal.SIGKILL)

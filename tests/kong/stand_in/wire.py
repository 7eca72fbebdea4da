"""WebSocket frames over TLS, as the control-plane link has them: one frame per message."""

import base64
import hashlib
import os
import select
import socket
import ssl
import struct
import threading
import time

BINARY, CLOSE, PING, PONG = 2, 8, 9, 10
# After so many seconds without a frame either side gives up, and after so many a node sends a ping.
SILENCE, PING_EVERY = 45, 30


class Stream:
    """TLS that one thread reads while others write: OpenSSL serves one at a time."""

    def __init__(self, secured):
        self.secured, self.lock = secured, threading.RLock()

    def wait(self, seconds):
        """Whether something can be read within this time."""
        return bool(self.secured.pending() or select.select([self.secured], [], [], seconds)[0])

    def recv(self, count):
        end = time.monotonic() + SILENCE
        self.secured.settimeout(5)
        while time.monotonic() < end:
            if self.wait(end - time.monotonic()):
                with self.lock:
                    return self.secured.recv(count)
        raise TimeoutError(f"nothing came for {SILENCE} s")

    def sendall(self, data):
        with self.lock:
            self.secured.sendall(data)


def read_exactly(stream, count):
    found = b""
    while len(found) < count:
        more = stream.recv(count - len(found))
        if not more:
            raise ConnectionError("closed")
        found += more
    return found


def read_head(stream):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += read_exactly(stream, 1)
    return head.decode()


def header(head, name):
    """A header's value, or None."""
    lines = (line.partition(":") for line in head.split("\r\n"))
    return next((value.strip() for key, _, value in lines if key.lower() == name), None)


def read_frame(stream):
    first, second = read_exactly(stream, 2)
    length = second & 127
    if length > 125:
        length = int.from_bytes(read_exactly(stream, 2 if length == 126 else 8), "big")
    mask = read_exactly(stream, 4) if second & 128 else bytes(4)
    body = read_exactly(stream, length)
    return first & 15, bytes(byte ^ mask[at % 4] for at, byte in enumerate(body))


def send_frame(stream, kind, body, masked):
    length = len(body)
    size = bytes([length]) if length < 126 else b"\x7e" + struct.pack(">H", length) if length < 65536 else b"\x7f" + struct.pack(">Q", length)
    size = bytes([size[0] | (128 if masked else 0)]) + size[1:]
    # A mask of zeros leaves the body as it is.
    stream.sendall(bytes([128 | kind]) + size + (bytes(4) if masked else b"") + body)


def accept_key(head):
    key = header(head, "sec-websocket-key")
    return base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()


def switch(stream, head, subprotocol=None):
    """A control plane's consent to speak WebSocket."""
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: upgrade", f"Sec-WebSocket-Accept: {accept_key(head)}"]
    lines += [f"Sec-WebSocket-Protocol: {subprotocol}"] if subprotocol else []
    stream.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())


def upgrade(stream, path, host, subprotocol=None):
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"]
    lines += [f"Sec-WebSocket-Protocol: {subprotocol}"] if subprotocol else []
    stream.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    head = read_head(stream)
    if " 101 " not in head.split("\r\n")[0]:
        raise ConnectionError(head.split("\r\n")[0])
    if header(head, "sec-websocket-protocol") != subprotocol:
        raise ConnectionError("another subprotocol was answered")


def tls(settings, server, with_certificate=True):
    """Both sides show a certificate, and check the other's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    is_pki = settings.get("KONG_CLUSTER_MTLS", "shared") != "shared"
    context.check_hostname = is_pki and not server
    context.verify_mode = ssl.CERT_REQUIRED
    trusted = settings["KONG_CLUSTER_CERT"]
    if is_pki:
        trusted = settings["KONG_CLUSTER_CA_CERT" if server else "KONG_LUA_SSL_TRUSTED_CERTIFICATE"]
    context.load_verify_locations(trusted)
    if with_certificate:
        context.load_cert_chain(settings["KONG_CLUSTER_CERT"], settings["KONG_CLUSTER_CERT_KEY"])
    return context


def dial(settings, context):
    """A TLS connection to the control plane that the settings name."""
    host, port = settings["KONG_CLUSTER_CONTROL_PLANE"].rsplit(":", 1)
    name = settings.get("KONG_CLUSTER_SERVER_NAME") or "kong_clustering"
    plain = socket.create_connection((host, int(port)), 5)
    try:
        return context.wrap_socket(plain, server_hostname=name)
    except BaseException:
        plain.close()
        raise

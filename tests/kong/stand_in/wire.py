"""WebSocket frames over TLS, as the control-plane link has them: one frame per message."""

import base64
import hashlib
import os
import ssl
import struct

BINARY, CLOSE, PING, PONG = 2, 8, 9, 10


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
    [key] = [line.split(":", 1)[1].strip() for line in head.split("\r\n") if line.lower().startswith("sec-websocket-key:")]
    return base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()


def upgrade(stream, path, host):
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [f"GET {path} HTTP/1.1", "Upgrade: websocket", f"Host: {host}", f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "Connection: Upgrade"]
    stream.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    head = read_head(stream)
    if " 101 " not in head.split("\r\n")[0]:
        raise ConnectionError(head.split("\r\n")[0])


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

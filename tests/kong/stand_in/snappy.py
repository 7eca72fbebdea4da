"""Blocks of raw Snappy, each of which is a message of incremental sync."""


def compress(data):
    """Literals alone, which is a valid block."""
    block, left = bytearray(), len(data)
    while left > 127:
        block.append(left & 127 | 128)
        left >>= 7
    block.append(left)
    for at in range(0, len(data), 65536):
        piece = data[at : at + 65536]
        block += b"\xf4" + (len(piece) - 1).to_bytes(2, "little") + piece
    return bytes(block)


def decompress(block):
    wanted, at, shift = 0, 0, 0
    while True:
        byte = block[at]
        at, wanted, shift = at + 1, wanted | (byte & 127) << shift, shift + 7
        if byte < 128:
            break

    data = bytearray()
    while at < len(block):
        tag, at = block[at], at + 1
        kind, high = tag & 3, tag >> 2
        if kind == 0:
            # A literal: up to 60 bytes by the tag, longer ones by one to four bytes after it.
            more = max(high - 59, 0)
            length = (int.from_bytes(block[at : at + more], "little") if more else high) + 1
            data += block[at + more : at + more + length]
            at += more + length
            continue
        # A copy of what came before: its distance is in one, two or four bytes.
        size = (1, 2, 4)[kind - 1]
        distance, length = int.from_bytes(block[at : at + size], "little"), high + 1
        if kind == 1:
            distance, length = distance | high >> 3 << 8, (high & 7) + 4
        at += size
        if not 0 < distance <= len(data):
            raise ValueError("a copy from before the beginning")
        for _ in range(length):
            data.append(data[-distance])
    if len(data) != wanted:
        raise ValueError(f"{len(data)} bytes, and {wanted} were promised")
    return bytes(data)

"""AWS's binary event stream, as an answer of InvokeEndpointWithResponseStream.

A message is: its length, the length of its headers, a checksum of both, the headers, the payload, a checksum of all.
Lengths and checksums are 32 bits, big-endian; a header is its name and its value with their lengths.
"""

import struct
import zlib

PART_BYTES = 1 << 16
_HEADERS = {":message-type": "event", ":event-type": "PayloadPart", ":content-type": "application/octet-stream"}
_STRING = 7
_FRAME_BYTES = 16  # two lengths and two checksums


def event_stream(body: bytes) -> bytes:
    """Return `body` as a stream of PayloadPart events."""
    return b"".join(_message(body[start : start + PART_BYTES]) for start in range(0, len(body), PART_BYTES))


def _message(payload: bytes) -> bytes:
    headers = b"".join(_header(name, value) for name, value in _HEADERS.items())
    prelude = struct.pack("!II", _FRAME_BYTES + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack("!I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack("!I", zlib.crc32(message))


def _header(name: str, value: str) -> bytes:
    return struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", _STRING, len(value)) + value.encode()

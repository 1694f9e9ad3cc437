"""Tries to leave the machine, so that it is known that the wall notices: by address over TCP, and by UDP."""

import contextlib
import json
import socket
import sys

with socket.socket() as stream:
    stream.settimeout(0.2)
    with contextlib.suppress(OSError):
        stream.connect(("192.0.2.1", 443))
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
    datagram.sendto(b"who is example.com?", ("192.0.2.53", 53))
sys.stdout.write(json.dumps({}) + "\n")

"""Runs a cloud with its Google half and a client of it behind a wall, and says what tried to climb over.

It has to be started in a network namespace of its own (`unshare -Urn`), which nothing can leave. Everything that this
namespace's processes send is routed to its only interface, `lo`; a socket reads every packet there and notes each that
is addressed to anything but 127.0.0.0/8. Arguments: the cloud's root, then the client's program with its arguments.
Prints the client's answer and the addresses as one line of JSON.
"""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

# of linux/if_ether.h and of the headers of Ethernet and IPv4
ETH_P_ALL, ETHERNET, IPV4, DESTINATION = 3, 14, b"\x08\x00", slice(16, 20)


class Wall:
    """Notes every address outside of this machine that a packet was sent to."""

    def __init__(self) -> None:
        """Route everything to `lo` and listen there."""
        for command in ("link set lo up", "route add default dev lo"):
            subprocess.run(["ip", *command.split()], check=True)
        self.climbed: set[str] = set()
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._socket.bind(("lo", 0))
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while frame := self._socket.recv(1 << 16):
            if frame[ETHERNET - 2 : ETHERNET] == IPV4:
                address = socket.inet_ntoa(frame[ETHERNET:][DESTINATION])
                if not address.startswith("127."):
                    self.climbed.add(address)


def main(root: str, *program: str) -> None:
    """Run both."""
    wall = Wall()
    localcloud = [sys.executable, "-m", "localcloud.cli"]
    with Path(f"{root}.stderr").open("wb") as errors:
        cloud = subprocess.Popen(
            [*localcloud, "up", "--root", root, "--port", "0", "--google", "on"], stdout=subprocess.PIPE, stderr=errors
        )
        try:
            assert cloud.stdout is not None
            assert cloud.stdout.readline().startswith(b"ready"), Path(f"{root}.stderr").read_text(encoding="utf-8")
            exports = subprocess.run([*localcloud, "env", "--root", root], capture_output=True, text=True, check=True)
            pairs = (shlex.split(line)[1].partition("=") for line in exports.stdout.splitlines())
            variables = {name: value for name, _, value in pairs}
            done = subprocess.run(
                [sys.executable, *program], env={**os.environ, **variables}, capture_output=True, text=True, check=False
            )
        finally:
            cloud.send_signal(signal.SIGTERM)
            code = cloud.wait()
            cloud.stdout.close() if cloud.stdout else None
    if done.returncode != 0:
        sys.stderr.write(done.stderr)
        raise SystemExit(done.returncode)
    answer = json.loads(done.stdout.splitlines()[-1])
    sys.stdout.write(json.dumps({"answer": answer, "climbed": sorted(wall.climbed), "cloud": code}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

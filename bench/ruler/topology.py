"""Where client, balancer and server live.

loopback: one network namespace of our own (as root; the machine's else), so that the congestion control is `reno`: pacing of
`bbr` would measure itself. netns: three namespaces and two pairs of veth between them, routed by the balancer's; root only."""
import atexit
import ctypes
import os
import socket
import subprocess

CLONE_NEWNET = 0x40000000
CONGESTION = "/proc/sys/net/ipv4/tcp_congestion_control"


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Loopback:
    client_args = []
    balancer = server = "127.0.0.1"

    def __init__(self):
        self.is_own = os.geteuid() == 0 and ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) == 0
        if self.is_own:
            ip("link", "set", "lo", "up")
            with open(CONGESTION, "w") as f:
                f.write("reno")
        self.next_port = 7100
        with open(CONGESTION) as f:
            self.words = f"loopback{' in a network namespace of its own' if self.is_own else ''}, {f.read().strip()}"

    def ports(self, count):
        if self.is_own:
            self.next_port += count
            return list(range(self.next_port - count, self.next_port))
        socks = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
        ports = [s.getsockname()[1] for s in socks]
        for s in socks:
            s.close()
        return ports

    def command(self, role, words):
        return words

    def close(self):
        pass


class Namespaces:
    """client 10.77.1.2 (and 10.77.64.0/24) - balancer 10.77.1.1, 10.77.2.1 - server 10.77.2.2"""

    words = "three network namespaces over veth, reno"
    client_args = ["--source", "10.77.64.1", "--sources", "64"]
    balancer, server = "10.77.1.1", "10.77.2.2"

    def __init__(self):
        if os.geteuid() != 0:
            raise SystemExit("bench: --topology netns wants root")
        self.names = {role: f"bench{os.getpid()}{role[0]}" for role in ("client", "balancer", "server")}
        self.next_port = 7100
        atexit.register(self.close)
        for name in self.names.values():
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
            subprocess.run(["ip", "netns", "exec", name, "sh", "-c", f"echo reno > {CONGESTION}"], check=True)
        self.pair("client", "10.77.1.2", "10.77.1.1")
        self.pair("server", "10.77.2.2", "10.77.2.1")
        client, balancer, server = (self.names[r] for r in ("client", "balancer", "server"))
        ip("-n", client, "route", "add", "local", "10.77.64.0/24", "dev", "lo")
        ip("-n", balancer, "route", "add", "10.77.64.0/24", "via", "10.77.1.2")
        ip("-n", client, "route", "add", "default", "via", "10.77.1.1")
        ip("-n", server, "route", "add", "default", "via", "10.77.2.1")
        subprocess.run(["ip", "netns", "exec", balancer, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"], check=True)

    def pair(self, role, there, here):
        name, link = self.names[role], f"v{role[0]}{os.getpid()}"
        ip("link", "add", link, "netns", self.names["balancer"], "type", "veth", "peer", "name", "out", "netns", name)
        ip("-n", name, "addr", "add", f"{there}/24", "dev", "out")
        ip("-n", name, "link", "set", "out", "up")
        ip("-n", self.names["balancer"], "addr", "add", f"{here}/24", "dev", link)
        ip("-n", self.names["balancer"], "link", "set", link, "up")

    def ports(self, count):
        self.next_port += count
        return list(range(self.next_port - count, self.next_port))

    def command(self, role, words):
        return ["ip", "netns", "exec", self.names[role], *words]

    def close(self):
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


TOPOLOGIES = {"loopback": Loopback, "netns": Namespaces}

"""The balancers, each with the configuration its own documentation recommends for this work: two workers or threads, no logs,
kept connections to the servers, least connections. What is compared is written here and nowhere else.

A peer is `program` or `program-variant`: nginx-64k and haproxy-64k have 64 KiB buffers, turnout-copy relays by copying alone,
turnout-guard reads every frame; the tcp of haproxy splices."""
import os
import re
import signal
import subprocess
import sys
import time

from . import kernel

WAIT_SECONDS = 20


def first_line(command):
    out = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    return ((out.stdout + out.stderr).splitlines() or ["?"])[0]


def turnout_config(p):
    servers = ", ".join(f"{p.server}:{port}" for port in p.http)
    raw = ", ".join(f"{p.server}:{port}" for port in p.tcp)
    tcp = f"  - {{ listen: {p.address}:{p.tcp_port}, tcp: raw }}\n" if p.has_tcp else ""
    tiers = "relay: { tiers: [ copy ] }\n" if p.variant == "copy" else ""
    guard = ", guard: { max_message: 16m, messages: 1000000/s, ping: 30s, pong: 10s }" if p.variant == "guard" else ""
    tcp_pool = f"  raw: {{ balance: least_connections, servers: [ {raw} ] }}\n" if p.has_tcp else ""
    return f"""workers: 2
admin: {{ listen: "unix:{p.dir}/admin.sock" }}
listeners:
  - listen: {p.address}:{p.port}
{tcp}timeouts: {{ shutdown_grace: 1s }}
log: {{ level: error }}
{tiers}pools:
  web: {{ balance: least_connections, servers: [ {servers} ] }}
{tcp_pool}routes: [ {{ pool: web{guard} }} ]
"""


def nginx_config(p):
    servers = " ".join(f"server {p.server}:{port};" for port in p.http)
    raw = " ".join(f"server {p.server}:{port};" for port in p.tcp)
    size = "proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_busy_buffers_size 128k;" if p.variant == "64k" else ""
    raw_size = "proxy_buffer_size 64k;" if p.variant == "64k" else ""
    module = "/usr/lib/nginx/modules/ngx_stream_module.so"
    load = f"load_module {module};" if p.has_tcp and os.path.exists(module) else ""
    stream = f"""stream {{
  upstream raw {{ least_conn; {raw} }}
  server {{ listen {p.address}:{p.tcp_port} reuseport; proxy_pass raw; proxy_half_close on; {raw_size} }}
}}
""" if p.has_tcp else ""
    return f"""{load}
worker_processes 2; worker_rlimit_nofile 20000; daemon off; pid {p.dir}/nginx.pid; error_log {p.dir}/nginx.err;
events {{ worker_connections 20000; }}
{stream}http {{
  access_log off; keepalive_requests 100000000;
  client_body_temp_path {p.dir}/b; proxy_temp_path {p.dir}/p; fastcgi_temp_path {p.dir}/f; uwsgi_temp_path {p.dir}/u; scgi_temp_path {p.dir}/s;
  client_max_body_size 0; client_body_buffer_size 1m;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  upstream be {{ least_conn; {servers} keepalive 64; keepalive_requests 100000000; }}
  server {{ listen {p.address}:{p.port} reuseport backlog=4096;
    location / {{ proxy_pass http://be; proxy_http_version 1.1; {size}
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
      proxy_read_timeout 3600s; proxy_send_timeout 3600s; }} }}
}}
"""


def haproxy_config(p):
    servers = "\n".join(f"  server s{i} {p.server}:{port}" for i, port in enumerate(p.http))
    raw = "\n".join(f"  server s{i} {p.server}:{port}" for i, port in enumerate(p.tcp))
    size = "  tune.bufsize 65536\n" if p.variant == "64k" else ""
    tcp = f"""listen l4
  mode tcp
  option splice-auto
  bind {p.address}:{p.tcp_port} backlog 4096
  balance leastconn
{raw}
""" if p.has_tcp else ""
    return f"""global
  nbthread 2
  maxconn 9700
  maxpipes 100
{size}defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout tunnel 1h
frontend fe
  bind {p.address}:{p.port} backlog 4096
  default_backend be
backend be
  balance leastconn
{servers}
{tcp}"""


PROGRAMS = {
    "turnout": (turnout_config, "turnout.yaml", lambda binary, path: [binary, "run", "-c", path], "--version"),
    "nginx": (nginx_config, "nginx.conf", lambda binary, path: [binary, "-p", path.parent, "-c", path], "-v"),
    "haproxy": (haproxy_config, "haproxy.cfg", lambda binary, path: [binary, "-db", "-q", "-f", path], "-v"),
}


class Peer:
    """A running balancer; `direct` is the servers themselves. http and tcp are the servers' ports."""

    def __init__(self, name, bench):
        self.name, self.topology = name, bench.topology
        self.program, _, self.variant = name.partition("-")
        self.address, self.server = bench.topology.balancer, bench.topology.server
        self.http, self.tcp, self.child = bench.http, bench.tcp, None
        self.version = "no balancer"
        if name == "direct":
            self.address, self.port, self.tcp_port, self.has_tcp = self.server, self.http[0], self.tcp[0], True
            return
        self.dir = bench.dir / name
        self.dir.mkdir(exist_ok=True)
        self.dir.chmod(0o755)  # nginx's workers drop privileges
        self.port, self.tcp_port = bench.topology.ports(2)
        make, file, command, version = PROGRAMS[self.program]
        binary = getattr(bench.args, self.program)
        self.version = first_line([binary, version])
        self.has_tcp = True
        path = self.dir / file
        path.write_text(make(self))
        if not self.understands(binary, path):
            self.has_tcp = False
            path.write_text(make(self))
        log = open(self.dir / "log", "w")
        words = bench.topology.command("balancer", [str(c) for c in command(binary, path)])
        self.child = subprocess.Popen(words, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_for(self.child, self.port, name)

    def understands(self, binary, path):
        """Not every build has a listener for plain TCP."""
        if self.program == "haproxy":
            return True
        check = [binary, "check", path] if self.program == "turnout" else [binary, "-t", "-p", path.parent, "-c", path]
        return subprocess.run([str(c) for c in check], capture_output=True).returncode == 0

    def pids(self):
        return kernel.family(self.child.pid) if self.child else []

    def url(self, scheme):
        return f"{scheme}://{self.address}:{self.tcp_port if scheme == 'tcp' else self.port}"

    def stop(self):
        if not self.child:
            return
        self.child.send_signal(signal.SIGTERM if self.program != "turnout" else signal.SIGINT)
        try:
            self.child.wait(4)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def wait_for(child, port, who):
    until = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < until:
        if child.poll() is not None:
            sys.exit(f"bench: {who} ended with {child.returncode}")
        if kernel.listens(child.pid, port):
            return
        time.sleep(0.02)
    sys.exit(f"bench: {who} does not listen")


def short_version(text):
    found = re.search(r"\d+\.\d+[.\w+-]*", text)
    return found[0] if found else text

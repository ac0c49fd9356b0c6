"""Measuring: one run, and interleaved rounds of runs.

CPU is the scheduler's own run time of every thread of the balancer. What the machine did beside all of us, and beside the kernel's
own threads, is strangers' work: a run that met more than STRANGERS_MOST of the machine is repeated, a round that stays disturbed
is dropped, and both are said. A failed request or a lost message fails the whole."""
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

from . import kernel
from .peers import Peer, wait_for

STRANGERS_MOST = 0.15
TRIES = 3
QUIET_SHARE = 0.08


class Rounds:
    """The runs that count, round by round: kept[peer] = [result, ...]."""

    def __init__(self, title, waits):
        self.title, self.waits, self.kept, self.dropped, self.worst = title, waits, {}, 0, 0.0

    def values(self, peer, key):
        return [r[key] for r in self.kept[peer]]

    def median(self, peer, key):
        return statistics.median(self.values(peer, key))

    def spread(self, peer, key):
        return min(self.values(peer, key)), max(self.values(peer, key))

    def ratios(self, a, b, key):
        return [x[key] / y[key] for x, y in zip(self.kept[a], self.kept[b]) if y[key]]

    def better(self, key, most=False, without=None):
        """The better of the others, by its median; `most` when more is better; `without` names what does not take part."""
        others = [p for p in self.kept if p.partition("-")[0] not in ("turnout", "direct") and not (without and p.endswith(without))]
        return (max if most else min)(others, key=lambda p: self.median(p, key)) if others else None

    def words(self):
        if not self.waits:
            return f"No round was dropped: strangers had up to {self.worst:.0%} of the machine."
        said = f"Rounds dropped for strangers' work: {self.dropped}."
        if self.worst > STRANGERS_MOST:
            said += f" So many that disturbed ones had to count: up to {self.worst:.0%} of the machine was strangers'."
        return said


class Bench:
    """Servers, a topology and a folder; starts peers and loads them."""

    def __init__(self, args, topology, servers=4):
        self.args, self.topology = args, topology
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="bench-"))
        self.dir.chmod(0o755)
        self.load = pathlib.Path(args.turnout).parent / "bench" / "turnout-load"
        self.http, self.tcp, self.children, self.versions = [], [], [], {}
        for scheme, ports in (("http", self.http), ("tcp", self.tcp)):
            for port in topology.ports(servers):
                words = [str(self.load), "serve", f"{scheme}://{topology.server}:{port}"]
                child = subprocess.Popen(topology.command("server", words), stdin=subprocess.DEVNULL)
                self.children.append(child)
                wait_for(child, port, "a server")
                ports.append(port)

    def start(self, name):
        peer = Peer(name, self)
        if name != "direct":
            self.versions[peer.program] = peer.version
        return peer

    def programs(self):
        return ["turnout"] + [n for n in ("nginx", "haproxy") if getattr(self.args, n)]

    def begin_load(self, peer, scheme, load_args):
        words = [str(self.load), *self.topology.client_args, *map(str, load_args), peer.url(scheme)]
        return subprocess.Popen(self.topology.command("client", words), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def sample(self, peer, load):
        servers = [p for c in self.children for p in kernel.family(c.pid)]
        return {"balancer": kernel.run_nsec(peer.pids()), "load": kernel.run_nsec(kernel.family(load.pid)),
                "servers": kernel.run_nsec(servers), "kernel": kernel.run_nsec(self.kernel_pids), "machine": kernel.machine()}

    def measure(self, peer, scheme, load_args, others=()):
        """One run: the load's figures, CPU per message and per GB, and the strangers' share of the machine."""
        self.kernel_pids = kernel.kernel_threads()
        load = self.begin_load(peer, scheme, load_args)
        first = load.stdout.readline()
        if '"measure"' not in first:
            load.wait()
            sys.exit(f"bench: {peer.name}: the load did not begin: {first!r}")
        before = self.sample(peer, load)
        load.stdout.readline()
        after = self.sample(peer, load)
        last = load.stdout.readline()
        load.stdin.close()
        if load.wait() != 0 or '"done"' not in last:
            sys.exit(f"bench: {peer.name}: FAILED, requests failed or messages were lost: {last!r}")
        return self.account(json.loads(last), before, after)

    @staticmethod
    def account(result, before, after):
        spent = {k: (after[k] - before[k]) / 1e9 for k in ("balancer", "load", "servers", "kernel")}
        busy, total = (after["machine"][i] - before["machine"][i] for i in (0, 1))
        count, gb = result["handshakes"] or result["messages"], result["bytes"] / 1e9
        result["cpu_usec"] = spent["balancer"] * 1e6 / max(count, 1)
        result["all_cpu_usec"] = sum(spent.values()) * 1e6 / max(count, 1)
        result["kernel_cpu_usec"] = spent["kernel"] * 1e6 / max(count, 1)
        result["cpu_per_gb"] = spent["balancer"] / max(gb, 1e-9)
        result["gb_per_second"] = gb / result["seconds"]
        result["per_second"] = count / result["seconds"]
        result["strangers"] = min(1.0, max(0.0, (busy - sum(spent.values())) / max(total, 1e-9)))
        return result

    def undisturbed(self, measure):
        """Up to TRIES runs, until one is left alone; the one that was disturbed least. Without patience: one."""
        best = None
        for _ in range(TRIES if self.args.patience else 1):
            kernel.wait_quiet(QUIET_SHARE, self.args.patience)
            result = measure()
            if best is None or result["strangers"] < best["strangers"]:
                best = result
            if best["strangers"] <= STRANGERS_MOST:
                break
        return best

    def rounds(self, title, cells):
        """cells: {name: function that measures once}. Interleaved, in turning order, so that a noisy moment meets all."""
        names, out, spare, turn = list(cells), Rounds(title, self.args.patience > 0), [], 0
        out.kept = {n: [] for n in names}
        while len(out.kept[names[0]]) < self.args.rounds:
            order = names[turn % len(names):] + names[:turn % len(names)]
            results = {n: self.undisturbed(cells[n]) for n in order}
            turn += 1
            print(f"{title}: {turn} of {self.args.rounds}, strangers {max(r['strangers'] for r in results.values()):.0%}", file=sys.stderr)
            strangers = max(r["strangers"] for r in results.values())
            if strangers > STRANGERS_MOST:
                spare.append((strangers, results))
                out.dropped += 1
                if out.dropped <= self.args.rounds and self.args.patience:
                    continue
                strangers, results = spare.pop(min(range(len(spare)), key=lambda i: spare[i][0]))
                out.dropped -= 1
            out.worst = max(out.worst, strangers)
            for n, r in results.items():
                out.kept[n].append(r)
        return out

    def compare(self, title, peers, scheme, load_args):
        """Rounds over running peers, by name."""
        return self.rounds(title, {n: (lambda p=p: self.measure(p, scheme, load_args)) for n, p in peers.items()})

    def close(self):
        for child in self.children:
            child.terminate()
        for child in self.children:
            child.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

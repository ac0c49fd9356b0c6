"""The scenarios. Each returns (lines of Markdown, whether all goals are met); a goal is written beside what it judges."""
import time
import statistics
import subprocess

from . import draw, kernel
from .rounds import Bench

CLOSED_64B = ["--size", "64"]


def span(values, digits=2):
    low, high = values
    return f"{low:.{digits}f}..{high:.{digits}f}"


def running(bench, names):
    return {n: bench.start(n) for n in names}


def stop(peers):
    for p in peers.values():
        p.stop()


def judge(rounds, what, ratios, against, goal, at_least=False):
    """One line, and whether the goal is met."""
    middle = statistics.median(ratios)
    met = middle >= goal if at_least else middle <= goal
    word = "at least" if at_least else "at most"
    return (f"{what}, turnout / {against} (the better peer): **{middle:.2f}** ({span((min(ratios), max(ratios)))}); "
            f"goal {word} {goal}: {'met' if met else '**MISSED**'}.", met)


GUARDED = "turnout-guard"


def guard_line(r, key="cpu_usec"):
    ratios = r.ratios(GUARDED, "turnout", key)
    return f"- {r.title}: CPU with a guard / without one: **{statistics.median(ratios):.2f}** ({span((min(ratios), max(ratios)))})."


def cpu_table(runs, unit, goal):
    """CPU per unit of each peer, and the ratio to the better one."""
    lines, good = [], True
    for r in runs:
        lines += [f"### {r.title}", "",
                  f"| balancer | CPU us per {unit} (median, spread) | whole chain us | {unit}s/s | p50 us | p99 us |", "|---|---|---|---|---|---|"]
        for name in r.kept:
            cpu = "-" if name == "direct" else f"{r.median(name, 'cpu_usec'):.2f} ({span(r.spread(name, 'cpu_usec'))})"
            lines.append(f"| {name} | {cpu} | {r.median(name, 'all_cpu_usec'):.1f} | {r.median(name, 'per_second'):,.0f} | "
                         f"{r.median(name, 'p50_usec'):,.0f} | {r.median(name, 'p99_usec'):,.0f} |")
        lines.append("")
        better = r.better("cpu_usec")
        if better:
            line, met = judge(r, f"CPU per {unit}", r.ratios("turnout", better, "cpu_usec"), better, goal)
            good = good and met
            lines += [f"{line} {r.words()}", ""]
    return lines, good


def handshake(bench, args):
    """connect, upgrade, one echo, close"""
    peers = running(bench, bench.programs())
    load = ["--mode", "handshake", "--flight", 64, "--seconds", args.seconds]
    runs = [bench.compare("connect, upgrade, one echo, close frame, close; 64 at once", peers, "ws", load)]
    stop(peers)
    return cpu_table(runs, "handshake", 0.9)


def echo(bench, args):
    """64-byte messages over tunnels"""
    runs, peers = [], running(bench, [*bench.programs(), GUARDED])
    for count in (100, 9000):
        runs.append(bench.compare(f"closed loop, {count:,} connections, 64 bytes", peers, "ws",
                                  [*CLOSED_64B, "-n", count, "--seconds", args.seconds]))
    runs.append(bench.compare("fixed rate, 10,000 messages/s over 1,000 connections, 64 bytes", peers, "ws",
                              [*CLOSED_64B, "--rate", 10000, "-n", 1000, "--seconds", args.seconds]))
    stop(peers)
    lines, good = cpu_table(runs, "message", 1.05)
    return lines + ["### What reading every frame costs", "", *(guard_line(r) for r in runs), ""], good


def http(bench, args):
    """keep-alive requests"""
    peers = running(bench, ["direct", *bench.programs()])
    runs = [bench.compare("GET, 64 kept connections, 128-byte body, kept connections to the servers", peers, "http",
                          ["--mode", "get", "-n", 64, "--expect", 128, "--seconds", args.seconds]),
            bench.compare("the same at a fixed rate, 10,000 requests/s", peers, "http",
                          ["--mode", "get", "-n", 64, "--expect", 128, "--rate", 10000, "--seconds", args.seconds])]
    stop(peers)
    return cpu_table(runs, "request", 1.0)



def judge_bulk(r):
    """The goals are against the peers as they are configured by default; what 64 KiB buffers make of them is said beside it."""
    lines, good = [], True
    for key, what, most, goal in (("gb_per_second", "GB/s", True, 2.0), ("cpu_per_gb", "CPU per GB", False, 0.5)):
        peer = r.better(key, most, without="-64k")
        line, met = judge(r, what, r.ratios("turnout", peer, key), peer, goal, at_least=most)
        tuned = r.better(key, most)
        beside = f" Against {tuned}: {statistics.median(r.ratios('turnout', tuned, key)):.2f}." if tuned != peer else ""
        lines.append(line + beside)
        good = good and met
    return lines, good


def bulk(bench, args):
    """one way, as fast as it goes"""
    lines, good = ["All share two cores: `direct` is what client and server can do with both for themselves, so GB/s says how cheap the whole chain is.", ""], True
    names = ["direct", "turnout", "turnout-copy"] + [f"{n}{v}" for n in bench.programs()[1:] for v in ("", "-64k")]
    peers = running(bench, names)
    for scheme, mode, size, what in (("ws", "up", 1 << 20, "WebSocket, client to server, 1 MiB messages"),
                                     ("ws", "down", 1 << 20, "WebSocket, server to client, 1 MiB messages"),
                                     ("ws", "up", 1 << 16, "WebSocket, client to server, 64 KiB messages"),
                                     ("tcp", "up", 1 << 16, "raw TCP, client to server, 64 KiB writes"),
                                     ("tcp", "down", 1 << 16, "raw TCP, server to client, 64 KiB writes")):
        able = {n: p for n, p in peers.items() if scheme != "tcp" or p.has_tcp}
        lines += [f"### {what}; {args.bulk_connections} connections", ""]
        if "turnout" not in able:
            lines += ["turnout has no listener for plain TCP in this build.", ""]
            continue
        r = bench.compare(what, able, scheme, ["--mode", mode, "--size", size, "-n", args.bulk_connections, "--seconds", args.seconds])
        lines += ["| balancer | GB/s (median, spread) | CPU s per GB (median, spread) |", "|---|---|---|"]
        for name in r.kept:
            cpu = "-" if name == "direct" else f"{r.median(name, 'cpu_per_gb'):.3f} ({span(r.spread(name, 'cpu_per_gb'), 3)})"
            lines.append(f"| {name} | {r.median(name, 'gb_per_second'):.2f} ({span(r.spread(name, 'gb_per_second'))}) | {cpu} |")
        lines.append("")
        if len(bench.programs()) > 1:
            judged, met = judge_bulk(r)
            lines += [*judged, r.words(), ""]
            good = good and met
    stop(peers)
    if not peers["nginx"].has_tcp if "nginx" in peers else False:
        lines += ["nginx has no stream module here: it is missing from the rows of raw TCP.", ""]
    return lines, good


FIRST_TUNNELS = 1000


def hold(bench, peer, count):
    """A load that holds `count` idle tunnels, each of which has sent one echo."""
    load = bench.begin_load(peer, "ws", ["--mode", "idle", "-n", count])
    if '"measure"' not in load.stdout.readline():
        raise SystemExit(f"bench: {peer.name}: {count:,} connections did not open")
    return load


def release(peer, load):
    load.stdin.close()
    said = load.stdout.read()
    if load.wait() != 0:
        raise SystemExit(f"bench: {peer.name}: FAILED, connections were lost: {said}")


def idle_memory(bench, name, count):
    """{"none", "first", "all": PSS of a fresh balancer with no, FIRST_TUNNELS and `count` idle tunnels; "objects": growth of the kernel's}"""
    peer = bench.start(name)

    def pss():
        """After two seconds of rest: idle is what is measured, for all alike."""
        time.sleep(2)
        return kernel.pss_bytes(peer.child.pid) if peer.child else 0

    none, objects = pss(), kernel.socket_objects()
    first_load = hold(bench, peer, FIRST_TUNNELS)
    first = pss()
    loads = [first_load] + ([hold(bench, peer, count - FIRST_TUNNELS)] if count > FIRST_TUNNELS else [])
    out = {"none": none, "first": first, "all": pss(), "objects": kernel.grown_bytes(objects, kernel.socket_objects())}
    for load in loads:
        release(peer, load)
    peer.stop()
    return out


def idle(bench, args):
    """memory of idle tunnels"""
    count, per = 9000, {}
    lines = [f"| balancer | PSS before, KB | with {count:,} idle tunnels, KB | bytes per tunnel | of each after the first {FIRST_TUNNELS:,} | "
             "kernel's socket objects, beyond direct, bytes |", "|---|---|---|---|---|---|"]
    base = min(idle_memory(bench, "direct", count)["objects"] for _ in range(2))
    for name in bench.programs():
        m = idle_memory(bench, name, count)
        per[name] = (m["all"] - m["none"]) / count
        more = (m["all"] - m["first"]) / (count - FIRST_TUNNELS)
        lines.append(f"| {name} | {m['none'] // 1024:,} | {m['all'] // 1024:,} | {per[name]:,.0f} | {more:,.0f} | {(m['objects'] - base) / count:,.0f} |")
    good = per["turnout"] < 1024
    lines += ["", f"turnout: **{per['turnout']:,.0f} bytes** per idle tunnel, all growth counted; goal below 1,024: {'met' if good else '**MISSED**'}.", ""]
    return lines, good


# --- duality ----------------------------------------------------------------------------------------------------------------

SIZES = [64, 1 << 10, 8 << 10, 64 << 10, 256 << 10]


LAYER7, FRAMES, COPY, SPLICE = "layer 7, request by request", "frame by frame, guard", "layer 4, copy", "layer 4, copy and splice"


def duality_ways(bench):
    """{way: (peer, scheme)}: the same messages, to the same server, in every way that turnout knows."""
    copies, chooses = bench.start("turnout-copy"), bench.start("turnout")
    ways = {"no balancer": (bench.start("direct"), "ws"), LAYER7: (chooses, "http"), FRAMES: (bench.start(GUARDED), "ws"), COPY: (copies, "ws"), SPLICE: (chooses, "ws")}
    if chooses.has_tcp:
        ways["raw TCP, copy and splice"] = (chooses, "tcp")
    return ways


def duality(bench, args):
    """one server, the same messages at layer 7 and at layer 4"""
    ways, paced, full = duality_ways(bench), {}, {}
    for size in SIZES:
        rate = max(200, min(2000, (64 << 20) // size))
        load = ["--size", size, "-n", 16, "--seconds", args.seconds]
        full[size] = bench.rounds(f"{size} closed", {w: (lambda p=p, s=s: bench.measure(p, s, load)) for w, (p, s) in ways.items()})
        paced[size] = bench.rounds(f"{size} paced", {w: (lambda p=p, s=s: bench.measure(p, s, [*load, "--rate", rate]))
                                                     for w, (p, s) in ways.items()})
    for peer, _ in ways.values():
        peer.stop()
    lines = ["`copy` may only copy; `copy and splice` chooses lane by lane: splice for what stays large, copy for the rest. `guard` copies, and reads",
             "every frame: RFC 6455, sizes, the client's rate, pings. Messages are binary; text is read byte by byte on top.", "",
             "One server, 16 connections, each message comes back. CPU is turnout's, in a closed loop (one message in flight per connection); time is the",
             "median of a message's way and back, sent by a schedule far below what can be carried. `no balancer` is the server itself.", "",
             "| bytes | " + " | ".join(f"{w}: us, CPU us" for w in ways) + " | last WebSocket way / layer 7, CPU | guard / copy, CPU |", "|---" * (len(ways) + 3) + "|"]
    for size in SIZES:
        cells = [f"{paced[size].median(w, 'p50_usec'):,.0f}, " + ("-" if w == "no balancer" else f"{full[size].median(w, 'cpu_usec'):,.1f}") for w in ways]
        ratios = full[size].ratios(SPLICE, LAYER7, "cpu_usec")
        guarded = full[size].ratios(FRAMES, COPY, "cpu_usec")
        lines.append(f"| {size:,} | " + " | ".join(cells) + f" | {statistics.median(ratios):.2f} ({span((min(ratios), max(ratios)))}) | "
                     f"{statistics.median(guarded):.2f} ({span((min(guarded), max(guarded)))}) |")
    lines += ["", *(f"{size:,} bytes: {full[size].words()}" for size in SIZES), ""]

    def points(of, way, key):
        return {s: (of[s].median(way, key), *of[s].spread(way, key)) for s in SIZES}

    path = bench.args.pictures / "duality.svg"
    draw.chart(path, "The same messages: layer 7 request by request, and layer 4 after the handshake",
               "bench/run duality; medians, bars from least to most; both axes logarithmic", "bytes per message",
               [("CPU of the balancer per message, there and back", "us", SIZES,
                 {w: points(full, w, "cpu_usec") for w in ways if w != "no balancer"}, True),
                ("Time of a message, there and back, sent by a schedule far below the limit", "us", SIZES, {w: points(paced, w, "p50_usec") for w in ways}, True)])
    lines += ["![duality](../../docs/duality.svg)", ""]
    return lines, True


# --- curve ------------------------------------------------------------------------------------------------------------------

COUNTS = [1000, 2000, 4000, 9000]
FLAT = 0.05


def curve_loads(args):
    """{what: (scheme, arguments by count, key)}"""
    return {
        "echo, 10,000/s": ("ws", lambda n: [*CLOSED_64B, "--rate", 10000, "-n", n], "cpu_usec"),
        "echo, closed loop": ("ws", lambda n: [*CLOSED_64B, "-n", n], "cpu_usec"),
        "http GET, 10,000/s": ("http", lambda n: ["--mode", "get", "--expect", 128, "--rate", 10000, "-n", n], "cpu_usec"),
        "bulk, 64 KiB echoes, 1,000/s": ("ws", lambda n: ["--size", 65536, "--rate", 1000, "-n", n], "cpu_usec"),
    }


def held_handshakes(bench, peer, count, args):
    """CPU of a handshake while `count` idle tunnels are held."""
    held = hold(bench, peer, count)
    result = bench.measure(peer, "ws", ["--mode", "handshake", "--seconds", args.seconds])
    release(peer, held)
    return result


def flatness(points):
    """How far the points are from their first, as a share."""
    first = next(iter(points.values()))[0]
    return max(abs(p[0] / first - 1) for p in points.values())


def curve(bench, args):
    """bytes per connection and CPU per message, over the number of connections"""
    names = [*bench.programs(), GUARDED]
    memory, cpu, said = {}, {}, []
    for name in names:
        memory[name], memory[name + ", beyond the first 1,000"] = {}, {}
        for n in COUNTS:
            m = idle_memory(bench, name, n)
            memory[name][n] = ((m["all"] - m["none"]) / n,) * 3
            if n > FIRST_TUNNELS:
                memory[name + ", beyond the first 1,000"][n] = ((m["all"] - m["first"]) / (n - FIRST_TUNNELS),) * 3
    guarded = bench.start(GUARDED)
    for what, (scheme, load, key) in curve_loads(args).items():
        if scheme == "ws":
            r = bench.rounds(f"{what}, guard", {n: (lambda n=n: bench.measure(guarded, scheme, [*load(n), "--seconds", args.seconds])) for n in COUNTS})
            cpu[f"{what}, guard"] = {n: (r.median(n, key), *r.spread(n, key)) for n in COUNTS}
            said.append(r)
    guarded.stop()
    peer = bench.start("turnout")
    for what, (scheme, load, key) in curve_loads(args).items():
        r = bench.rounds(what, {n: (lambda n=n: bench.measure(peer, scheme, [*load(n), "--seconds", args.seconds])) for n in COUNTS})
        cpu[what] = {n: (r.median(n, key), *r.spread(n, key)) for n in COUNTS}
        said.append(r)
    r = bench.rounds("handshakes", {n: (lambda n=n: held_handshakes(bench, peer, n, args)) for n in COUNTS})
    cpu["handshake beside idle tunnels"] = {n: (r.median(n, "cpu_usec"), *r.spread(n, "cpu_usec")) for n in COUNTS}
    peer.stop()
    head = "| | " + " | ".join(f"{n:,}" for n in COUNTS) + " | farthest from the first |"
    lines = ["### User memory (PSS) per idle tunnel, bytes", "", head, "|---" * (len(COUNTS) + 2) + "|"]
    for name, points in memory.items():
        lines.append(f"| {name} | " + " | ".join(f"{points[n][0]:,.0f}" if n in points else "-" for n in COUNTS) + f" | {flatness(points):.0%} |")
    lines += ["", "### CPU of turnout, us", "", head, "|---" * (len(COUNTS) + 2) + "|"]
    for what, points in cpu.items():
        lines.append(f"| {what} | " + " | ".join(f"{points[n][0]:.2f} ({span(points[n][1:])})" for n in COUNTS) + f" | {flatness(points):.0%} |")
    bent = [f"{w} ({flatness(p):.0%})" for w, p in [("memory", memory["turnout"]), ("memory beyond the first 1,000", memory["turnout, beyond the first 1,000"]), *cpu.items()] if flatness(p) > FLAT]
    lines += ["", f"Within {FLAT:.0%} of flat: all but {', '.join(bent)}." if bent else f"All within {FLAT:.0%} of flat.",
              f"{max([*said, r], key=lambda one: (one.dropped, one.worst)).words()} 9,000 is what one process may hold here (20,000 descriptors, two a tunnel).", "",
              "![curve](../../docs/curve.svg)", ""]
    draw.chart(bench.args.pictures / "curve.svg", "Over the number of connections", "bench/run curve; medians, bars from least to most",
               "connections", [("User memory per idle tunnel", "bytes", COUNTS, memory, True), ("CPU of turnout per message", "us", COUNTS, cpu, False)])
    return lines, True


SCENARIOS = {f.__name__: f for f in (handshake, echo, idle, http, bulk, duality, curve)}
SERVERS = {"duality": 1}


def run(name, args, topology):
    """Lines for the result, versions, and whether all goals are met."""
    bench = Bench(args, topology, SERVERS.get(name, 4))
    try:
        lines, good = SCENARIOS[name](bench, args)
        return lines, bench.versions, good
    finally:
        bench.close()


def commit_of(root):
    done = subprocess.run(["git", "-C", str(root), "describe", "--always", "--dirty"], capture_output=True, text=True)
    return done.stdout.strip() or "?"

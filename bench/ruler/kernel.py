"""What the kernel knows: run time of threads, memory of processes, objects of sockets."""
import os
import pathlib
import re
import time

TICKS = os.sysconf("SC_CLK_TCK")

# What a connection is made of, in the kernel. Others change with what else goes on.
SOCKET_CACHES = ("TCP", "sock_inode_cache", "filp", "eventpoll_epi", "eventpoll_pwq", "ep_head", "lsm_file_cache", "lsm_inode_cache")


def family(pid):
    """The process and all its descendants."""
    pids = [pid]
    for p in pids:
        for task in pathlib.Path(f"/proc/{p}/task").glob("*/children"):
            try:
                pids += [int(c) for c in task.read_text().split()]
            except OSError:
                pass  # it ended meanwhile
    return pids


def run_nsec(pids):
    """Run time of every thread of these processes."""
    total = 0
    for p in pids:
        for f in pathlib.Path(f"/proc/{p}/task").glob("*/schedstat"):
            try:
                total += int(f.read_text().split()[0])
            except OSError:
                pass
    return total


def kernel_threads():
    """kworkers, ksoftirqd and their kind: all children of process 2."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            if stat.read_text().rpartition(")")[2].split()[1] == "2":
                found.append(int(stat.parent.name))
        except OSError:
            pass
    return found


def machine():
    """(busy, all) of the whole machine, in seconds."""
    values = [int(v) for v in open("/proc/stat").readline().split()[1:9]]
    idle = values[3] + values[4]
    return (sum(values) - idle) / TICKS, sum(values) / TICKS


def wait_quiet(busy_most, seconds_most):
    """Waits until the machine is left to us, but not for ever."""
    until = time.monotonic() + seconds_most
    while time.monotonic() < until:
        busy, total = machine()
        time.sleep(0.2)
        busy2, total2 = machine()
        if busy2 - busy <= busy_most * max(total2 - total, 0.01):
            return True
    return False


def pss_bytes(pid):
    total = 0
    for p in family(pid):
        text = pathlib.Path(f"/proc/{p}/smaps_rollup").read_text()
        total += int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1]) * 1024
    return total


def socket_objects():
    """{cache: (objects in use, bytes each)}; {} without the right to read it."""
    try:
        lines = open("/proc/slabinfo").read().splitlines()[2:]
    except OSError:
        return {}
    rows = {f[0]: (int(f[1]), int(f[3])) for f in (line.split() for line in lines)}
    return {name: rows[name] for name in SOCKET_CACHES if name in rows}


def grown_bytes(before, after):
    return sum((after[name][0] - before[name][0]) * after[name][1] for name in after if name in before)


def listens(pid, port):
    """Whether anything in the process's network namespace listens on the port."""
    for table in ("tcp", "tcp6"):
        try:
            lines = open(f"/proc/{pid}/net/{table}").read().splitlines()[1:]
        except OSError:
            continue
        for fields in (line.split() for line in lines):
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                return True
    return False

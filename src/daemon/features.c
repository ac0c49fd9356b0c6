/* Each probe does the thing itself on scratch descriptors; nothing is inferred from a version, and
 * a no says why. */
#include "daemon/features.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#define TCX_INGRESS 46 /* BPF_TCX_INGRESS, which headers before Linux 6.6 lack */

/* A probe returns NULL when it worked, else why not. */
typedef const char *probe_fn(void);

static const char *because(int error)
{
    switch (error) {
    case EPERM:
    case EACCES:
        return "not permitted";
    case ENOSYS:
    case EINVAL:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
        return "this kernel has none";
    default:
        return strerror(error);
    }
}

static const char *try_option(int level, int name, int value)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool works = fd >= 0 && setsockopt(fd, level, name, &value, sizeof value) == 0;
    int error = errno;

    if (fd >= 0)
        close(fd);
    return works ? NULL : because(error);
}

static const char *try_reuseport(void)
{
    return try_option(SOL_SOCKET, SO_REUSEPORT, 1);
}

static const char *try_user_timeout(void)
{
    return try_option(IPPROTO_TCP, TCP_USER_TIMEOUT, 1000);
}

static const char *try_notsent_lowat(void)
{
    return try_option(IPPROTO_TCP, TCP_NOTSENT_LOWAT, 65536);
}

static const char *try_late_port(void)
{
    return try_option(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
}

/* A socket that is not connected is told so when the kernel knows TLS. */
static const char *try_ktls(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool works = fd >= 0 && (setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof "tls") == 0 ||
                             errno == ENOTCONN);
    int error = errno;

    if (fd >= 0)
        close(fd);
    return works ? NULL : error == ENOENT ? "module tls is not loaded" : because(error);
}

static void close_pair(const int ends[2])
{
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
}

/* One byte from a socket into a pipe. */
static const char *try_splice(void)
{
    int pair[2] = {-1, -1}, ends[2] = {-1, -1};
    bool works = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0 &&
                 pipe2(ends, O_CLOEXEC) == 0 && write(pair[0], "x", 1) == 1 &&
                 splice(pair[1], NULL, ends[1], NULL, 1, SPLICE_F_NONBLOCK) == 1;
    int error = errno;

    close_pair(pair);
    close_pair(ends);
    return works ? NULL : because(error);
}

static const char *try_pidfd(void)
{
    long fd = syscall(SYS_pidfd_open, getpid(), 0);
    int error = errno;

    if (fd >= 0)
        close((int)fd);
    return fd >= 0 ? NULL : because(error);
}

static const char *try_io_uring(void)
{
    struct io_uring_params params = {0};
    long fd = syscall(SYS_io_uring_setup, 1, &params);
    int error = errno;

    if (fd >= 0)
        close((int)fd);
    return fd >= 0 ? NULL : because(error);
}

/* "return 0", as a program for packets. */
static const char *try_bpf(void)
{
    const struct bpf_insn body[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K},
                                    {.code = BPF_JMP | BPF_EXIT}};
    union bpf_attr load = {
        .prog_type = BPF_PROG_TYPE_SCHED_CLS,
        .insns = (uintptr_t)body,
        .insn_cnt = ARRAY_LEN(body),
        .license = (uintptr_t) "GPL",
    };
    long fd = syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
    int error = errno;

    if (fd >= 0)
        close((int)fd);
    return fd >= 0 ? NULL : because(error);
}

/* Which programs hang on loopback? Only a kernel with tcx understands the question. */
static const char *try_tcx(void)
{
    union bpf_attr query = {0};

    query.query.target_fd = if_nametoindex("lo");
    query.query.attach_type = TCX_INGRESS;
    return syscall(SYS_bpf, BPF_PROG_QUERY, &query, sizeof query) == 0 ? NULL : because(errno);
}

static const char *try_btf(void)
{
    return access("/sys/kernel/btf/vmlinux", R_OK) == 0 ? NULL : because(errno);
}

const char *features_write(char *text, size_t size)
{
    static const struct {
        const char *name;
        probe_fn *try;
    } features[] = {
        {"SO_REUSEPORT", try_reuseport},
        {"TCP_USER_TIMEOUT", try_user_timeout},
        {"TCP_NOTSENT_LOWAT", try_notsent_lowat},
        {"IP_BIND_ADDRESS_NO_PORT", try_late_port},
        {"splice", try_splice},
        {"kernel TLS", try_ktls},
        {"pidfd", try_pidfd},
        {"io_uring", try_io_uring},
        {"BPF", try_bpf},
        {"tcx", try_tcx},
        {"BTF", try_btf},
    };
    struct utsname kernel;
    size_t used;

    uname(&kernel);
    used = (size_t)snprintf(text, size, "kernel %s", kernel.release);
    for (size_t i = 0; i < ARRAY_LEN(features) && used < size; i++) {
        const char *why = features[i].try();
        used +=
            (size_t)snprintf(text + used, size - used, "; %s: %s%s%s%s", features[i].name,
                             why ? "no" : "yes", why ? " (" : "", why ? why : "", why ? ")" : "");
    }
    return text;
}

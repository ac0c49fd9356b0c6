/* Each probe does the thing itself on a scratch descriptor; nothing is inferred from a version. */
#include "daemon/features.h"

#include "base/check.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

static bool option_works(int level, int name, int value)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool works = fd >= 0 && setsockopt(fd, level, name, &value, sizeof value) == 0;

    if (fd >= 0)
        close(fd);
    return works;
}

static bool has_reuseport(void)
{
    return option_works(SOL_SOCKET, SO_REUSEPORT, 1);
}

static bool has_user_timeout(void)
{
    return option_works(IPPROTO_TCP, TCP_USER_TIMEOUT, 1000);
}

static bool has_notsent_lowat(void)
{
    return option_works(IPPROTO_TCP, TCP_NOTSENT_LOWAT, 65536);
}

static bool has_ktls(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* unconnected: ENOTCONN means the ULP is known, ENOENT that it is not */
    bool works = fd >= 0 && (setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof "tls") == 0);

    if (fd >= 0)
        close(fd);
    return works;
}

static bool has_splice(void)
{
    int ends[2];
    bool works = pipe2(ends, O_CLOEXEC) == 0;

    if (works) {
        close(ends[0]);
        close(ends[1]);
    }
    return works;
}

static bool has_pidfd(void)
{
    long fd = syscall(SYS_pidfd_open, getpid(), 0);

    if (fd >= 0)
        close((int)fd);
    return fd >= 0;
}

static bool has_btf(void)
{
    return access("/sys/kernel/btf/vmlinux", R_OK) == 0;
}

const char *features_write(char *text, size_t size)
{
    static const struct {
        const char *name;
        bool (*is_there)(void);
    } features[] = {
        {"SO_REUSEPORT", has_reuseport},
        {"TCP_USER_TIMEOUT", has_user_timeout},
        {"TCP_NOTSENT_LOWAT", has_notsent_lowat},
        {"kernel TLS", has_ktls},
        {"pipes for splice", has_splice},
        {"pidfd", has_pidfd},
        {"BTF", has_btf},
    };
    struct utsname kernel;
    size_t used;

    uname(&kernel);
    used = (size_t)snprintf(text, size, "kernel %s", kernel.release);
    for (size_t i = 0; i < ARRAY_LEN(features) && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "; %s: %s", features[i].name,
                                 features[i].is_there() ? "yes" : "no");
    return text;
}

/* Fails one call, chosen at run time: preloaded into turnout, it counts the calls that the worker's
 * thread makes, and the chosen one of them returns an errno instead of happening. Orders and counts
 * lie in a file that tests/fault/run maps too, so one process serves hundreds of faults. Only the
 * thread named in the file is touched: the driver asks the admin thread meanwhile. The kernel is
 * called directly, never through dlsym, which itself allocates. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum kind {
    SOCKET,
    CONNECT,
    ACCEPT4,
    RECV,
    SEND,
    SHUTDOWN,
    SETSOCKOPT,
    GETSOCKOPT,
    GETSOCKNAME,
    SPLICE,
    EPOLL_CTL,
    MALLOC,
    CALLOC,
    REALLOC,
    KIND_COUNT
};

/* Shared with the driver, which knows this layout. */
struct orders {
    int32_t thread; /* its calls count; 0: nobody's */
    int32_t kind;   /* -1: none fails */
    int32_t number; /* which call of the kind, from 1 */
    int32_t error;
    int32_t hits; /* how many were made to fail */
    int32_t calls[KIND_COUNT];
};

static struct orders *orders;

/* The kernel itself: our own syscall(), below, is counted. */
static long ask_kernel(long number, long a, long b, long c, long d, long e, long f)
{
#if defined(__x86_64__)
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long result __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;

    __asm__ volatile("svc 0"
                     : "+r"(result)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
#else
#error "say here how this processor asks its kernel"
#endif
    if (result >= 0 || result < -4095)
        return result;
    errno = (int)-result;
    return -1;
}
#define KERNEL(number, ...) KERNEL_(number, __VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define KERNEL_(number, a, b, c, d, e, f, ...)                                                     \
    ask_kernel(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("FAULT_ORDERS");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

    if (fd < 0)
        return;
    void *at = mmap(NULL, sizeof *orders, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (at != MAP_FAILED)
        orders = at;
}

static bool fails(enum kind kind)
{
    if (!orders || !orders->thread || orders->thread != (int32_t)KERNEL(SYS_gettid, 0))
        return false;

    int32_t number = ++orders->calls[kind];
    if (orders->kind != (int32_t)kind || number != orders->number)
        return false;
    orders->hits++;
    errno = orders->error;
    return true;
}

int socket(int family, int type, int protocol)
{
    return fails(SOCKET) ? -1 : (int)KERNEL(SYS_socket, family, type, protocol);
}

int connect(int fd, const struct sockaddr *address, socklen_t len)
{
    return fails(CONNECT) ? -1 : (int)KERNEL(SYS_connect, fd, address, len);
}

int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
    return fails(ACCEPT4) ? -1 : (int)KERNEL(SYS_accept4, fd, address, len, flags);
}

/* sys/kernel.c receives and sends past glibc's recv and send, by this. */
long syscall(long number, ...)
{
    va_list more;
    long argument[6];

    va_start(more, number);
    for (int i = 0; i < 6; i++)
        argument[i] = va_arg(more, long);
    va_end(more);
    if ((number == SYS_recvfrom && fails(RECV)) || (number == SYS_sendto && fails(SEND)))
        return -1;
    return ask_kernel(number, argument[0], argument[1], argument[2], argument[3], argument[4],
                      argument[5]);
}

int shutdown(int fd, int how)
{
    return fails(SHUTDOWN) ? -1 : (int)KERNEL(SYS_shutdown, fd, how);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    return fails(SETSOCKOPT) ? -1 : (int)KERNEL(SYS_setsockopt, fd, level, name, value, len);
}

int getsockname(int fd, struct sockaddr *restrict name, socklen_t *restrict len)
{
    return fails(GETSOCKNAME) ? -1 : (int)syscall(SYS_getsockname, fd, name, len);
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    return fails(GETSOCKOPT) ? -1 : (int)KERNEL(SYS_getsockopt, fd, level, name, value, len);
}

ssize_t splice(int from, off_t *from_at, int to, off_t *to_at, size_t len, unsigned flags)
{
    return fails(SPLICE) ? -1 : (ssize_t)KERNEL(SYS_splice, from, from_at, to, to_at, len, flags);
}

int epoll_ctl(int epoll_fd, int what, int fd, struct epoll_event *event)
{
    return fails(EPOLL_CTL) ? -1 : (int)KERNEL(SYS_epoll_ctl, epoll_fd, what, fd, event);
}

void *malloc(size_t size)
{
    return fails(MALLOC) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails(CALLOC) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *at, size_t size)
{
    return fails(REALLOC) ? NULL : __libc_realloc(at, size);
}

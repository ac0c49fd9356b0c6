/* Refusals name what was wanted, what there is, and what to do. */
#include "daemon/boot.h"

#include "daemon/source.h"
#include "sys/sys.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define SPARE_DESCRIPTORS     64 /* for admin, reloads and the log, whatever clients do */
#define PER_WORKER            6  /* epoll, bell, and what OpenSSL opens */
#define FIXED_DESCRIPTORS     16
#define DISCOVERY_DESCRIPTORS 8
#define CONNECTIONS_AT_LEAST  100
#define DESCRIPTORS_AT_LEAST  24 /* the admin listener's, a reload's, and a client or two */

struct settings *boot_settings(struct house *house, struct report *report)
{
    if (house->path)
        return settings_load(house->source, house->path, report);
    return settings_parse(house->source, "command line", bytes_of(house->text), report);
}

/* --- descriptors ------------------------------------------------------------------------------ */

/* That the servers' limits allow; 0: one has none. */
static uint64_t connections_of_servers(const struct settings *settings)
{
    uint64_t connections = 0;

    for (size_t i = 0; i < settings->pool_count; i++) {
        if (settings->pools[i].dns || settings->pools[i].file)
            return 0;
        for (size_t k = 0; k < settings->pools[i].server_count; k++) {
            if (!settings->pools[i].servers[k].max_connections)
                return 0;
            connections += settings->pools[i].servers[k].max_connections;
        }
    }
    return connections;
}

/* As many as may be had; false: not even that is known. */
static bool raise_descriptor_limit(uint64_t *ret_limit)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit))
        return false;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return false;
    *ret_limit = limit.rlim_cur;
    return true;
}

/* What finding servers takes: questions to name servers, and watching files. */
static uint64_t descriptors_of_discovery(const struct settings *settings)
{
    uint64_t count = 0;

    for (size_t i = 0; i < settings->pool_count; i++)
        if (settings->pools[i].dns || settings->pools[i].file)
            count = DISCOVERY_DESCRIPTORS;
    return count;
}

/* What serving takes before the first client, so that with less nothing could be served; and what
 * the configuration may come to need, with what is spared. */
static void count_descriptors(const struct settings *settings, unsigned workers,
                              uint64_t *ret_least, uint64_t *ret_wanted)
{
    uint64_t fixed = FIXED_DESCRIPTORS + descriptors_of_discovery(settings) +
                     workers * (PER_WORKER + settings->listener_count);
    uint64_t connections = connections_of_servers(settings);

    if (connections < CONNECTIONS_AT_LEAST)
        connections = CONNECTIONS_AT_LEAST;
    *ret_least = fixed + DESCRIPTORS_AT_LEAST;
    *ret_wanted = fixed + SPARE_DESCRIPTORS + 2 * connections;
}

bool boot_descriptors(struct house *house, const struct settings *settings)
{
    uint64_t limit, least, wanted;

    if (!raise_descriptor_limit(&limit)) {
        fprintf(stderr, "turnout: cannot read the descriptor limit: %s\n", strerror(errno));
        return false;
    }
    count_descriptors(settings, house->count, &least, &wanted);
    if (limit < least) {
        fprintf(stderr,
                "turnout: %u workers and %zu listeners need %llu descriptors before the first "
                "connection, and the limit is %llu; raise it (ulimit -n, LimitNOFILE=) or use "
                "fewer workers\n",
                house->count, settings->listener_count, (unsigned long long)least,
                (unsigned long long)limit);
        return false;
    }
    if (limit < wanted)
        fprintf(stderr,
                "turnout: the configuration may need %llu descriptors and the limit is %llu: "
                "connections beyond it are refused with 503 (raise it: ulimit -n, LimitNOFILE=)\n",
                (unsigned long long)wanted, (unsigned long long)limit);
    house->descriptor_limit = limit > INT32_MAX ? INT32_MAX : (int)limit;
    return true;
}

/* --- sockets ---------------------------------------------------------------------------------- */

void boot_close_sockets(int *take_fds, size_t count)
{
    for (size_t i = 0; take_fds && i < count; i++)
        if (take_fds[i] >= 0)
            sys_close(take_fds[i]);
    free(take_fds);
}

const char *boot_advice(int error)
{
    switch (error) {
    case -EADDRINUSE:
        return "another process, perhaps another turnout, listens there already; end it or take "
               "another port";
    case -EACCES:
        return "ports below 1024 are for root (or CAP_NET_BIND_SERVICE); after `user:` took effect "
               "only a restart can open one";
    case -EADDRNOTAVAIL:
        return "this machine has no such address";
    default:
        return NULL;
    }
}

static bool has_gate(const struct snapshot *before, const struct endpoint *endpoint)
{
    for (size_t i = 0; before && i < before->settings->listener_count; i++)
        if (endpoint_equal(&before->gates[i].endpoint, endpoint))
            return true;
    return false;
}

/* A TCP gate has a socket for each worker, a Unix gate one in all of them. */
static int open_gate(const struct gate_spec *gate, unsigned workers, int *fds, size_t stride)
{
    for (unsigned i = 0; i < workers; i++) {
        bool shares = gate->endpoint.is_unix && i > 0;
        int fd =
            shares ? sys_duplicate(fds[0])
                   : listener_socket(&gate->endpoint, i == 0, (unsigned)gate->settings->unix_mode);
        if (fd < 0)
            return fd;
        fds[i * stride] = fd;
    }
    return 0;
}

int *boot_sockets(const struct snapshot *snapshot, const struct snapshot *before, unsigned workers,
                  struct report *report)
{
    size_t gates = snapshot->settings->listener_count, errors = report_count(report);
    int *fds = calloc(gates * workers + 1, sizeof *fds);

    if (!fds) {
        report_add(report, (struct mark){0}, NULL, "out of memory");
        return NULL;
    }
    for (size_t i = 0; i < gates * workers; i++)
        fds[i] = -1;
    for (size_t i = 0; i < gates; i++) {
        const struct gate_spec *gate = &snapshot->gates[i];
        if (has_gate(before, &gate->endpoint))
            continue;
        int error = open_gate(gate, workers, fds + i, gates);
        if (error)
            report_add(report, gate->settings->mark, boot_advice(error), "cannot listen on %s: %s",
                       gate->settings->listen, strerror(-error));
    }
    if (report_count(report) == errors)
        return fds;
    boot_close_sockets(fds, gates * workers);
    return NULL;
}

int boot_admin_socket(const struct settings *settings, struct endpoint *ret_endpoint)
{
    int error = endpoint_parse(settings->admin_listen, ret_endpoint);

    return error ? error : listener_socket(ret_endpoint, true, (unsigned)settings->admin_mode);
}

/* --- privileges ------------------------------------------------------------------------------- */

void boot_check_user(const struct settings *settings, struct report *report)
{
    const struct passwd *user = settings->user ? getpwnam(settings->user) : NULL;

    if (settings->user && !user)
        report_add(report, settings->user_mark, "create it, or leave `user` out",
                   "user: there is no user \"%s\" on this machine", settings->user);
    else if (user && geteuid() != 0 && geteuid() != user->pw_uid)
        report_add(report, settings->user_mark, "start as root, or leave `user` out",
                   "user: only root can become \"%s\"", settings->user);
}

static bool become(const struct passwd *user, struct log_sink *log)
{
    if (log_give(log, user->pw_uid, user->pw_gid))
        return false;
    return !initgroups(user->pw_name, user->pw_gid) && !setgid(user->pw_gid) &&
           !setuid(user->pw_uid);
}

/* setuid(2) from root leaves no capability; that there is no way back is tried. */
bool boot_drop_privileges(const struct settings *settings, struct log_sink *log)
{
    const struct passwd *user = settings->user ? getpwnam(settings->user) : NULL;

    if (!settings->user || (user && geteuid() == user->pw_uid))
        return true;
    if (user && become(user, log) && (user->pw_uid == 0 || setuid(0) != 0))
        return true;
    fprintf(stderr, "turnout: user: cannot become \"%s\": %s\n", settings->user, strerror(errno));
    return false;
}

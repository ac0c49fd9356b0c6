/* Guests, their sockets and what they have not read yet; and raw records (tcp://). epoll is
 * level-triggered: a guest whose backlog is not empty is not read. */
#include "serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- out -------------------------------------------------------------------------------------- */

uint8_t *say(struct server *s, size_t len)
{
    if (s->out_len + len > s->out_size) {
        size_t size = (s->out_len + len) * 2;
        uint8_t *bigger = realloc(s->out, size);
        if (!bigger)
            return NULL;
        s->out = bigger;
        s->out_size = size;
    }
    s->out_len += len;
    return s->out + s->out_len - len;
}

int say_bytes(struct server *s, const void *at, size_t len)
{
    uint8_t *to = say(s, len);

    if (!to)
        return -ENOMEM;
    memcpy(to, at, len);
    return 0;
}

static bool has_more(const struct guest *g)
{
    return g->backlog || g->trade == SOURCE || !message_is_sent(&g->out);
}

static void listen_for(struct server *s, struct guest *g)
{
    struct epoll_event event = {.data.ptr = g};

    event.events = has_more(g) ? EPOLLOUT : EPOLLIN;
    if (g->trade == SOURCE)
        event.events |= EPOLLIN; /* it may be told to stop */
    epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, g->fd, &event);
}

static int keep(struct guest *g, const uint8_t *at, size_t len)
{
    size_t had = g->backlog_len - g->backlog_at;
    uint8_t *all;

    if (had + len > BACKLOG_MAX)
        return -ENOBUFS;
    all = malloc(had + len);
    if (!all)
        return -ENOMEM;
    if (had)
        memcpy(all, g->backlog + g->backlog_at, had);
    memcpy(all + had, at, len);
    free(g->backlog);
    g->backlog = all;
    g->backlog_at = 0;
    g->backlog_len = had + len;
    return 0;
}

int tell(struct server *s, struct guest *g, const void *at, size_t len)
{
    ssize_t sent = 0;
    int bad;

    if (!g->backlog) {
        sent = send(g->fd, at, len, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            return -errno;
        if (sent < 0)
            sent = 0;
    }
    if ((size_t)sent == len)
        return 0;
    bad = keep(g, (const uint8_t *)at + sent, len - (size_t)sent);
    listen_for(s, g);
    return bad;
}

static int flush_out(struct server *s, struct guest *g)
{
    int bad = s->out_len ? tell(s, g, s->out, s->out_len) : 0;

    s->out_len = 0;
    if (!bad && !g->backlog && g->trade == ENDING && !g->has_said_fin) {
        shutdown(g->fd, SHUT_WR);
        g->has_said_fin = true;
    }
    return bad;
}

void guest_end(struct guest *g)
{
    g->trade = ENDING;
}

static int write_backlog(struct guest *g)
{
    ssize_t sent =
        send(g->fd, g->backlog + g->backlog_at, g->backlog_len - g->backlog_at, MSG_NOSIGNAL);

    if (sent < 0)
        return errno == EAGAIN ? 0 : -errno;
    g->backlog_at += (size_t)sent;
    if (g->backlog_at == g->backlog_len) {
        free(g->backlog);
        g->backlog = NULL;
        g->backlog_len = g->backlog_at = 0;
    }
    return 0;
}

void source_next(struct server *s, struct guest *g)
{
    struct stamp stamp = {.sequence = g->messages++};

    if (g->is_ws)
        message_begin_ws(&g->out, s->tables, g->size, &stamp, false);
    else
        message_begin_plain(&g->out, s->tables, NULL, 0, g->size, &stamp);
}

/* A source's stream, or a large answer's rest. */
static int write_messages(struct server *s, struct guest *g)
{
    size_t budget = TURN_BYTES;

    while (budget && !g->backlog) {
        struct iovec iov[MESSAGE_IOV];
        if (message_is_sent(&g->out)) {
            if (g->trade != SOURCE)
                return 0;
            source_next(s, g);
        }
        struct msghdr all = {.msg_iov = iov};
        all.msg_iovlen = (size_t)message_rest(&g->out, iov, MESSAGE_IOV);
        ssize_t sent = sendmsg(g->fd, &all, MSG_NOSIGNAL);
        if (sent < 0)
            return errno == EAGAIN ? 0 : -errno;
        g->out.at += (uint64_t)sent;
        budget -= (size_t)sent < budget ? (size_t)sent : budget;
    }
    return 0;
}

/* --- sinks and records ------------------------------------------------------------------------ */

int sink_take(struct server *s, struct guest *g, const uint8_t *at, size_t len)
{
    g->bytes += len;
    if (!check_take(&g->in, s->tables, at, len, s->options.checks_all))
        return -EBADMSG;
    return g->bytes - g->acked >= ACK_BYTES;
}

int sink_end(struct guest *g)
{
    if (g->in.stamp.sequence != g->messages || g->in.at < STAMP_BYTES)
        return -EBADMSG;
    g->messages++;
    g->in.at = 0;
    return 0;
}

int sink_acknowledge(struct server *s, struct guest *g)
{
    uint8_t frame[2 + STAMP_BYTES];
    struct stamp said = {.intended_nsec = g->bytes, .connection = g->messages};
    size_t used = g->is_ws ? ws_write_header(frame, WS_BINARY, STAMP_BYTES, false) : 0;

    memcpy(frame + used, &said, sizeof said);
    g->acked = g->bytes;
    return say_bytes(s, frame, used + sizeof said);
}

/* The first line of a raw connection, `!turnout-load sink SIZE` or `send SIZE`; anything else is
 * echoed. */
static ptrdiff_t take_hello(struct server *s, struct guest *g, const uint8_t *at, size_t len)
{
    static const char greeting[] = "!turnout-load ";
    const size_t greeting_len = sizeof greeting - 1;
    const uint8_t *end = memchr(at, '\n', len);
    char line[32];

    if (memcmp(at, greeting, len < greeting_len ? len : greeting_len) != 0) {
        g->trade = ECHO;
        return 0;
    }
    if (!end)
        return len < greeting_len + sizeof line ? 0 : -EPROTO;
    size_t used = (size_t)(end - at) - greeting_len;
    if (used >= sizeof line)
        return -EPROTO;
    memcpy(line, at + greeting_len, used);
    line[used] = '\0';
    g->size = used > 5 ? strtoull(line + 5, NULL, 10) : 0;
    if (g->size < STAMP_BYTES)
        return -EPROTO;
    g->trade = strncmp(line, "sink ", 5) == 0 ? SINK : SOURCE;
    if (g->trade == SOURCE)
        source_next(s, g);
    else
        g->left = g->size;
    return end - at + 1;
}

ptrdiff_t records_serve(struct server *s, struct guest *g, uint8_t *at, size_t len)
{
    size_t used = 0;

    if (g->trade == FRESH) {
        ptrdiff_t hello = take_hello(s, g, at, len);
        if (hello < 0 || g->trade == FRESH)
            return hello;
        used = (size_t)hello;
    }
    if (g->trade == ECHO) {
        if (say_bytes(s, at + used, len - used))
            return -ENOMEM;
        return (ptrdiff_t)len;
    }
    while (g->trade == SINK && used < len) {
        size_t part = len - used < g->left ? len - used : (size_t)g->left;
        int due = sink_take(s, g, at + used, part);
        used += part;
        g->left -= part;
        if (due > 0)
            due = sink_acknowledge(s, g);
        if (due >= 0 && !g->left) {
            due = sink_end(g);
            g->left = g->size;
        }
        if (due < 0)
            return due;
    }
    return (ptrdiff_t)len;
}

/* --- guests ----------------------------------------------------------------------------------- */

static void guest_free(struct server *s, struct guest *g)
{
    if (g->prev)
        g->prev->next = g->next;
    else if (s->subscribers == g)
        s->subscribers = g->next;
    if (g->next)
        g->next->prev = g->prev;
    close(g->fd);
    free(g->held);
    free(g->backlog);
    free(g);
}

static ptrdiff_t serve(struct server *s, struct guest *g, uint8_t *at, size_t len)
{
    if (g->trade == ENDING)
        return (ptrdiff_t)len;
    if (s->options.is_tcp)
        return records_serve(s, g, at, len);
    return g->is_ws ? frames_serve(s, g, at, len) : http_serve(s, g, at, len);
}

static int hold(struct guest *g, const uint8_t *at, size_t len)
{
    if (!len) {
        free(g->held);
        g->held = NULL;
        g->held_len = 0;
        return 0;
    }
    if (len > HELD_MAX)
        return -EMSGSIZE;
    if (!g->held)
        g->held = malloc(HELD_MAX);
    if (!g->held)
        return -ENOMEM;
    memcpy(g->held, at, len);
    g->held_len = len;
    return 0;
}

/* Whatever came, and what was held of it before. A large answer stops it: the rest waits. */
static int take_input(struct server *s, struct guest *g, size_t len)
{
    size_t at = 0;

    while (at < len && (g->is_ws || message_is_sent(&g->out))) {
        ptrdiff_t used = serve(s, g, s->in + at, len - at);
        if (used < 0)
            return (int)used;
        if (!used)
            break;
        at += (size_t)used;
    }
    return hold(g, s->in + at, len - at);
}

static int on_fin(struct server *s, struct guest *g)
{
    if (s->options.is_tcp && g->trade == SINK && sink_acknowledge(s, g) == 0)
        guest_end(g);
    else if (s->options.is_tcp && (g->trade == SOURCE || g->trade == ECHO))
        guest_end(g);
    else
        return -ECONNRESET;
    return flush_out(s, g) || g->backlog ? -ECONNRESET : -EPIPE;
}

/* A sink that looks at stamps only takes the rest of a message off without copying it. */
static ssize_t receive_some(struct server *s, struct guest *g, size_t had, size_t *ret_room)
{
    bool skips = g->trade == SINK && !s->options.checks_all;

    if (skips && !had && g->in.at >= STAMP_BYTES && g->left > PEEK_BYTES) {
        *ret_room = g->left < IN_BYTES ? (size_t)g->left : IN_BYTES;
        return recv(g->fd, NULL, *ret_room, MSG_TRUNC);
    }
    *ret_room = skips ? PEEK_BYTES : IN_BYTES;
    if (had)
        memcpy(s->in, g->held, had);
    return recv(g->fd, s->in + had, *ret_room, 0);
}

static int on_readable(struct server *s, struct guest *g)
{
    for (unsigned turns = 0; turns < READS_AT_ONCE; turns++) {
        size_t had = g->held_len, room;
        ssize_t got = receive_some(s, g, had, &room);
        if (got < 0)
            return errno == EAGAIN ? 0 : -errno;
        if (got == 0) {
            if (g->trade == SOURCE && !message_is_sent(&g->out)) {
                g->trade = ENDING; /* its message is ended first */
                listen_for(s, g);
                return 0;
            }
            return on_fin(s, g);
        }
        int bad = take_input(s, g, had + (size_t)got);
        if (!bad)
            bad = flush_out(s, g);
        if (bad)
            return bad;
        if (has_more(g)) {
            listen_for(s, g);
            return 0;
        }
        if ((size_t)got < room)
            return 0;
    }
    return 0;
}

static int on_writable(struct server *s, struct guest *g)
{
    int bad = g->backlog ? write_backlog(g) : 0;

    if (!bad && !g->backlog)
        bad = write_messages(s, g);
    if (bad || has_more(g))
        return bad;
    if (g->held_len && !g->is_ws && g->trade != ENDING) { /* what a large answer kept waiting */
        size_t len = g->held_len;
        memcpy(s->in, g->held, len);
        bad = take_input(s, g, len);
        if (!bad)
            bad = flush_out(s, g);
    }
    if (g->trade == ENDING && !g->has_said_fin && !bad) {
        shutdown(g->fd, SHUT_WR);
        g->has_said_fin = true;
    }
    listen_for(s, g);
    return bad;
}

static void on_guest(struct server *s, struct guest *g, uint32_t events)
{
    int bad = 0;

    if (events & EPOLLOUT)
        bad = on_writable(s, g);
    if (!bad && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        bad = on_readable(s, g);
    s->out_len = 0;
    if (bad)
        guest_free(s, g);
}

static void on_listener(struct server *s)
{
    for (;;) {
        int one = 1, fd = accept4(s->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        struct guest *g = calloc(1, sizeof *g);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = g};
        if (!g || epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event)) {
            free(g);
            close(fd);
            continue;
        }
        g->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
}

/* --- begin ------------------------------------------------------------------------------------ */

static _Noreturn void refuse(const char *what)
{
    fprintf(stderr, "turnout-load serve: %s; see serve --help\n", what);
    exit(2);
}

static void help(void)
{
    printf("usage: turnout-load serve [OPTION...] URL\n\n"
           "http://ADDRESS:PORT: WebSockets by path: /echo (and any other), /sink (checks, counts "
           "and\n"
           "acknowledges), /send/SIZE (messages without end), /sub (what /pub sends, to all); GET\n"
           "/bytes/N; POST /echo, /sink.\n"
           "tcp://ADDRESS:PORT: echoes; after a first line `!turnout-load sink SIZE` or\n"
           "`!turnout-load send SIZE`: records.\n\n"
           "      --check all       a sink compares every byte, not the stamps only\n"
           "      --congestion NAME TCP congestion control\n"
           "Faults, to see whether a client sees them; of every Nth message:\n"
           "      --lose N  --damage N  --cut N (connection)  --refuse N (status 503)\n");
    exit(0);
}

static void parse(struct server *s, int argc, char **argv, const char **ret_congestion)
{
    enum { CHECK, CONGESTION, LOSE, DAMAGE, CUT, REFUSE, HELP };
    static const struct option names[] = {{"check", 1, 0, CHECK}, {"congestion", 1, 0, CONGESTION},
                                          {"lose", 1, 0, LOSE},   {"damage", 1, 0, DAMAGE},
                                          {"cut", 1, 0, CUT},     {"refuse", 1, 0, REFUSE},
                                          {"help", 0, 0, HELP},   {0, 0, 0, 0}};
    unsigned long *const every[] = {[LOSE] = &s->options.lose,
                                    [DAMAGE] = &s->options.damage,
                                    [CUT] = &s->options.cut,
                                    [REFUSE] = &s->options.refuse};
    int which;

    while ((which = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (which == HELP)
            help();
        else if (which == CHECK)
            s->options.checks_all = strcmp(optarg, "all") == 0;
        else if (which == CONGESTION)
            *ret_congestion = optarg;
        else if (which >= LOSE && which <= REFUSE)
            *every[which] = strtoul(optarg, NULL, 10);
        else
            refuse("an option is not known");
    }
    if (optind != argc - 1)
        refuse("one URL is wanted");
}

static void open_listener(struct server *s, const char *url, const char *congestion)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    char host[64];
    int one = 1;

    s->options.is_tcp = strncmp(url, "tcp://", 6) == 0;
    if (!s->options.is_tcp && strncmp(url, "http://", 7) != 0)
        refuse("the URL is http://ADDRESS:PORT or tcp://ADDRESS:PORT");
    url += s->options.is_tcp ? 6 : 7;
    const char *colon = strchr(url, ':');
    if (!colon || (size_t)(colon - url) >= sizeof host)
        refuse("the URL wants an address and a port");
    memcpy(host, url, (size_t)(colon - url));
    host[colon - url] = '\0';
    at.sin_port = htons((uint16_t)atoi(colon + 1));
    if (inet_pton(AF_INET, host, &at.sin_addr) != 1)
        refuse("a numeric IPv4 address is wanted");
    s->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(s->listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (congestion && setsockopt(s->listen_fd, IPPROTO_TCP, TCP_CONGESTION, congestion,
                                 (socklen_t)strlen(congestion)))
        refuse("no such congestion control");
    if (s->listen_fd < 0 || bind(s->listen_fd, (struct sockaddr *)&at, sizeof at) ||
        listen(s->listen_fd, 4096)) {
        perror("turnout-load serve");
        exit(1);
    }
}

int serve_main(int argc, char **argv)
{
    struct server s = {.listen_fd = -1};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[256];
    const char *congestion = NULL;
    struct rlimit limit;

    parse(&s, argc, argv, &congestion);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    open_listener(&s, argv[optind], congestion);
    s.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    s.in = malloc(IN_BYTES + HELD_MAX);
    s.published = malloc(PUBLISHED_MAX + WS_HEADER_MAX);
    s.tables = malloc(sizeof *s.tables);
    if (s.epoll_fd < 0 || !s.in || !s.published || !s.tables ||
        epoll_ctl(s.epoll_fd, EPOLL_CTL_ADD, s.listen_fd, &event))
        refuse("no memory");
    tables_init(s.tables, 1);
    for (;;) {
        int count = epoll_wait(s.epoll_fd, events, 256, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr)
                on_guest(&s, events[i].data.ptr, events[i].events);
            else
                on_listener(&s);
        }
    }
}

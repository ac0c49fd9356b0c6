/* A WebSocket load generator: real handshakes with checked Accept, masked frames, every echo
 * compared byte by byte, latency in a log-linear histogram.
 *
 *     load --to ADDRESS:PORT --mode echo      N connections, one message in flight each (closed
 * loop) load --to ADDRESS:PORT --mode rate      N connections, --rate messages a second by a
 * schedule (open loop: latency counts from the intended time of sending) load --to ADDRESS:PORT
 * --mode handshake connect, upgrade, one echo, close; --flight at once load --to ADDRESS:PORT
 * --mode idle      N connections, one echo each, then silence until a line on stdin or its end
 *
 * One thread. It says {"phase":"measure"} when the warm-up is over and {"phase":"done", ...} with
 * all figures in the end, one line each, so that whoever accounts CPU knows the window. Exit code 1
 * when any connection failed or any message was lost or wrong: such a run counts for nothing. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NSEC_PER_SEC   1000000000u
#define SIZE_MAX_BYTES 65536
#define HEAD_MAX_BYTES 4096
#define HEADER_BYTES   14
#define STAMP_BYTES    24 /* connection, sequence, intended time */
#define SOURCE_COUNT   64 /* 127.1.0.1 ...: each has its own ports */
#define EVENTS_AT_ONCE 256
#define CONNECTING_MAX 64 /* handshakes at once while connections are opened */
#define GIVE_UP_NSEC   (20ull * NSEC_PER_SEC)

enum mode { MODE_ECHO, MODE_RATE, MODE_HANDSHAKE, MODE_IDLE };
static const char *const mode_names[] = {"echo", "rate", "handshake", "idle"};

static struct {
    struct sockaddr_in to;
    const char *path, *host;
    enum mode mode;
    unsigned connections, size, flight, sources;
    double seconds, warmup, rate;
} options = {.path = "/",
             .host = "bench.example.com",
             .connections = 100,
             .size = 64,
             .flight = 64,
             .sources = SOURCE_COUNT,
             .seconds = 2,
             .warmup = 0.5,
             .rate = 10000};

enum state { CLOSED, OPENING, ASKED, OPEN, LEAVING };

struct client {
    int fd;
    enum state state;
    uint64_t next_out, next_in; /* sequence numbers */
    uint64_t began_nsec;
    size_t have; /* of an answer or a frame */
    uint8_t *in; /* HEAD_MAX_BYTES or a frame */
    char accept[29];
};

/* --- time and histogram --------------------------------------------------------------------------
 */

static uint64_t now_nsec(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

/* 64 linear steps per power of two: under 1.6 % error. */
#define STEPS_LOG2 6
static uint64_t histogram[64 << STEPS_LOG2];
static uint64_t samples, longest_nsec;

static unsigned bucket_of(uint64_t nsec)
{
    if (nsec < 1u << STEPS_LOG2)
        return (unsigned)nsec;
    unsigned high = 63u - (unsigned)__builtin_clzll(nsec);
    return ((high - STEPS_LOG2 + 1) << STEPS_LOG2) +
           (unsigned)(nsec >> (high - STEPS_LOG2) & ((1u << STEPS_LOG2) - 1));
}

static uint64_t value_of(unsigned bucket)
{
    unsigned high = bucket >> STEPS_LOG2, low = bucket & ((1u << STEPS_LOG2) - 1);

    return high == 0 ? low : ((uint64_t)(1u << STEPS_LOG2 | low)) << (high - 1);
}

static void record(uint64_t nsec)
{
    histogram[bucket_of(nsec)]++;
    samples++;
    if (nsec > longest_nsec)
        longest_nsec = nsec;
}

static double percentile_usec(double share)
{
    uint64_t wanted = (uint64_t)((double)samples * share), seen = 0;

    for (unsigned i = 0; i < sizeof histogram / sizeof histogram[0]; i++) {
        seen += histogram[i];
        if (seen > wanted)
            return (double)value_of(i) / 1000;
    }
    return (double)longest_nsec / 1000;
}

/* --- what is counted -----------------------------------------------------------------------------
 */

static struct client *clients;
static int epoll_fd;
static uint64_t messages, handshakes, failed, wrong, opened;
static uint64_t sent_ever, received_ever;
static bool is_measuring, is_over;
static unsigned opening;

static void fail(struct client *c, const char *what)
{
    if (failed++ < 5)
        fprintf(stderr, "load: connection %u: %s: %s\n", (unsigned)(c - clients), what,
                strerror(errno));
    if (c->fd >= 0)
        close(c->fd);
    if (c->state == OPENING || c->state == ASKED)
        opening--;
    c->fd = -1;
    c->state = CLOSED;
}

/* --- frames --------------------------------------------------------------------------------------
 */

static uint8_t out[HEADER_BYTES + SIZE_MAX_BYTES];

static size_t put_header(uint8_t *at, size_t size, bool is_masked)
{
    size_t used = 2;

    at[0] = 0x82;
    if (size < 126) {
        at[1] = (uint8_t)size;
    } else if (size < 65536) {
        at[1] = 126;
        at[2] = (uint8_t)(size >> 8);
        at[3] = (uint8_t)size;
        used = 4;
    } else {
        at[1] = 127;
        for (int i = 0; i < 8; i++)
            at[2 + i] = (uint8_t)(size >> (56 - 8 * i));
        used = 10;
    }
    if (is_masked)
        at[1] |= 0x80;
    return used;
}

/* The payload is known from its stamp alone, so an echo can be checked without keeping what was
 * sent. */
static void put_payload(uint8_t *at, uint64_t connection, uint64_t sequence, uint64_t intended)
{
    const uint64_t stamp[3] = {connection, sequence, intended};
    size_t stamped = options.size < STAMP_BYTES ? options.size : STAMP_BYTES;

    memcpy(at, stamp, stamped);
    for (size_t i = stamped; i < options.size; i++)
        at[i] = (uint8_t)(i + sequence);
}

static bool send_message(struct client *c, uint64_t intended)
{
    uint32_t mask = (uint32_t)(c->next_out * 2654435761u) | 1;
    size_t used = put_header(out, options.size, true);

    memcpy(out + used, &mask, 4);
    used += 4;
    put_payload(out + used, (uint64_t)(c - clients), c->next_out, intended);
    for (size_t i = 0; i < options.size; i++)
        out[used + i] ^= (uint8_t)(mask >> (8 * (i & 3)));
    ssize_t sent = send(c->fd, out, used + options.size, MSG_NOSIGNAL);
    if (sent != (ssize_t)(used + options.size)) {
        fail(c, "cannot send a whole message");
        return false;
    }
    c->next_out++;
    sent_ever++;
    return true;
}

/* --- the life of a connection --------------------------------------------------------------------
 */

static void open_client(struct client *c)
{
    static unsigned turn;
    struct sockaddr_in from = {.sin_family = AF_INET};
    int one = 1;

    c->state = OPENING;
    opening++;
    c->next_out = c->next_in = 0;
    c->have = 0;
    c->began_nsec = now_nsec();
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        fail(c, "no socket");
        return;
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (options.sources && (ntohl(options.to.sin_addr.s_addr) >> 24) == 127) {
        from.sin_addr.s_addr = htonl(0x7f010001u + turn++ % options.sources);
        setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        setsockopt(c->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (bind(c->fd, (struct sockaddr *)&from, sizeof from)) {
            fail(c, "cannot bind");
            return;
        }
    }
    if (connect(c->fd, (struct sockaddr *)&options.to, sizeof options.to) && errno != EINPROGRESS) {
        fail(c, "cannot connect");
        return;
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
}

static void make_key(struct client *c, char key[25])
{
    static uint64_t seed = 88172645463325252u;
    uint8_t random[16], digest[20];
    char text[64];
    unsigned len = sizeof digest;

    for (int i = 0; i < 16; i++) {
        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        random[i] = (uint8_t)seed;
    }
    EVP_EncodeBlock((uint8_t *)key, random, sizeof random);
    snprintf(text, sizeof text, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    EVP_Digest(text, strlen(text), digest, &len, EVP_sha1(), NULL);
    EVP_EncodeBlock((uint8_t *)c->accept, digest, sizeof digest);
}

static void ask(struct client *c)
{
    char key[25], text[512];
    int error = 0;
    socklen_t size = sizeof error;

    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) {
        errno = error;
        fail(c, "cannot connect");
        return;
    }
    make_key(c, key);
    int len =
        snprintf(text, sizeof text,
                 "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n",
                 options.path, options.host, key);
    if (send(c->fd, text, (size_t)len, MSG_NOSIGNAL) != len) {
        fail(c, "cannot ask");
        return;
    }
    c->state = ASKED;
}

static bool begin_leaving(struct client *c)
{
    shutdown(c->fd, SHUT_WR);
    c->state = LEAVING;
    return true;
}

/* The answer head is whole: is it ours? Returns its length, 0 when more is needed. */
static size_t take_answer(struct client *c)
{
    c->in[c->have] = '\0';
    char *end = strstr((char *)c->in, "\r\n\r\n");

    if (!end)
        return 0;
    if (strncmp((char *)c->in, "HTTP/1.1 101", 12) != 0 || !strstr((char *)c->in, c->accept)) {
        errno = EPROTO;
        fail(c, "no good 101");
        return 0;
    }
    opening--;
    opened++;
    c->state = OPEN;
    if (options.mode == MODE_HANDSHAKE || options.mode == MODE_IDLE)
        send_message(c, now_nsec());
    return (size_t)(end + 4 - (char *)c->in);
}

static void on_echo(struct client *c, uint64_t intended)
{
    uint64_t now = now_nsec();

    c->next_in++;
    received_ever++;
    if (is_measuring) {
        messages++;
        if (options.mode == MODE_HANDSHAKE) {
            handshakes++;
            record(now - c->began_nsec);
        } else {
            record(now - intended);
        }
    }
    if (options.mode == MODE_HANDSHAKE)
        begin_leaving(c);
    else if (options.mode == MODE_ECHO && !is_over)
        send_message(c, now);
}

/* One whole frame at `at`? Checks it against what must come. Returns its length, 0 when more is
 * needed. */
static size_t take_frame(struct client *c, const uint8_t *at, size_t len)
{
    static uint8_t wanted[HEADER_BYTES + SIZE_MAX_BYTES];
    size_t used = put_header(wanted, options.size, false);
    uint64_t intended = 0;

    if (len < used + options.size)
        return 0;
    if (options.size >= STAMP_BYTES)
        memcpy(&intended, at + used + 16, sizeof intended);
    put_payload(wanted + used, (uint64_t)(c - clients), c->next_in, intended);
    if (memcmp(at, wanted, used + options.size) != 0) {
        wrong++;
        errno = EBADMSG;
        fail(c, "an echo is not what was sent");
        return 0;
    }
    on_echo(c, intended);
    return used + options.size;
}

static void take_all(struct client *c)
{
    size_t from = 0, used;

    if (c->state == ASKED)
        from = take_answer(c);
    while (c->state == OPEN && (used = take_frame(c, c->in + from, c->have - from)) > 0)
        from += used;
    if (c->state == CLOSED)
        return;
    c->have -= from;
    memmove(c->in, c->in + from, c->have);
}

static void receive(struct client *c)
{
    const size_t room = HEAD_MAX_BYTES + 2 * (HEADER_BYTES + (size_t)options.size);

    while (c->state != CLOSED) {
        ssize_t got = recv(c->fd, c->in + c->have, room - c->have, 0);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0 && c->state == LEAVING) {
            close(c->fd);
            c->fd = -1;
            c->state = CLOSED;
            return;
        }
        if (got <= 0) {
            fail(c, "the connection was lost");
            return;
        }
        bool was_short = (size_t)got < room - c->have;
        c->have += (size_t)got;
        take_all(c);
        if (was_short && c->state != LEAVING)
            return;
    }
}

static void on_event(const struct epoll_event *event)
{
    struct client *c = event->data.ptr;

    if (c->fd < 0)
        return;
    if (c->state == OPENING && event->events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
        ask(c);
    if (event->events & (EPOLLIN | EPOLLERR | EPOLLHUP) && c->state != OPENING)
        receive(c);
}

static void listen_once(int timeout_msec)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    int count = epoll_wait(epoll_fd, events, EVENTS_AT_ONCE, timeout_msec);

    for (int i = 0; i < count; i++)
        on_event(&events[i]);
}

/* --- the modes -----------------------------------------------------------------------------------
 */

static bool open_all(void)
{
    uint64_t until = now_nsec() + GIVE_UP_NSEC + (uint64_t)options.connections * 2000000u;
    unsigned next = 0;

    while (opened < options.connections && !failed && now_nsec() < until) {
        while (next < options.connections && opening < CONNECTING_MAX)
            open_client(&clients[next++]);
        listen_once(100);
    }
    return opened == options.connections;
}

static void say_measure(void)
{
    printf("{\"phase\":\"measure\"}\n");
    fflush(stdout);
    is_measuring = true;
}

/* Turns the loop until then; `tick` runs before each wait and returns how long it may be. */
static void turn_until(uint64_t until, int (*tick)(void))
{
    while (now_nsec() < until && failed < 100)
        listen_once(tick ? tick() : 10);
}

static int refill(void)
{
    for (unsigned i = 0; i < options.flight; i++)
        if (clients[i].state == CLOSED)
            open_client(&clients[i]);
    return 10;
}

static uint64_t next_due_nsec;

static int send_what_is_due(void)
{
    static unsigned turn;
    uint64_t interval = (uint64_t)(NSEC_PER_SEC / options.rate), now = now_nsec();

    if (!next_due_nsec)
        next_due_nsec = now;
    while (next_due_nsec <= now) {
        struct client *c = &clients[turn++ % options.connections];
        if (c->state == OPEN)
            send_message(c, next_due_nsec);
        next_due_nsec += interval;
    }
    return (int)((next_due_nsec - now) / 1000000u);
}

static void drain_echoes(void)
{
    uint64_t until = now_nsec() + 5ull * NSEC_PER_SEC;

    is_over = true;
    while (received_ever < sent_ever && now_nsec() < until && !failed)
        listen_once(10);
}

static void run_mode(double *ret_seconds)
{
    int (*tick)(void) = options.mode == MODE_HANDSHAKE ? refill
                        : options.mode == MODE_RATE    ? send_what_is_due
                                                       : NULL;

    for (unsigned i = 0; options.mode == MODE_ECHO && i < options.connections; i++)
        send_message(&clients[i],
                     now_nsec()); /* now that all are open: echoes would starve handshakes */
    turn_until(now_nsec() + (uint64_t)(options.warmup * NSEC_PER_SEC), tick);
    say_measure();
    uint64_t began = now_nsec();
    turn_until(began + (uint64_t)(options.seconds * NSEC_PER_SEC), tick);
    *ret_seconds = (double)(now_nsec() - began) / NSEC_PER_SEC;
    is_measuring = false;
}

static void wait_for_stdin(void)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};

    drain_echoes();
    say_measure();
    while (poll(&in, 1, 0) == 0 && !failed)
        listen_once(50);
}

static void say_done(double seconds)
{
    uint64_t lost = options.mode == MODE_HANDSHAKE ? 0 : sent_ever - received_ever;

    printf("{\"phase\":\"done\",\"mode\":\"%s\",\"connections\":%u,\"size\":%u,\"seconds\":%.4f,"
           "\"messages\":%" PRIu64 ",\"handshakes\":%" PRIu64 ",\"failed\":%" PRIu64
           ",\"wrong\":%" PRIu64 ",\"lost\":%" PRIu64
           ",\"p50_usec\":%.1f,\"p99_usec\":%.1f,\"p999_usec\":%.1f,\"max_usec\":%.1f}\n",
           mode_names[options.mode], options.connections, options.size, seconds, messages,
           handshakes, failed, wrong, lost, percentile_usec(0.5), percentile_usec(0.99),
           percentile_usec(0.999), (double)longest_nsec / 1000);
    fflush(stdout);
    failed += lost;
}

/* --- the command line ----------------------------------------------------------------------------
 */

static _Noreturn void usage(const char *what)
{
    fprintf(stderr,
            "load: %s\nusage: load --to ADDRESS:PORT [--mode echo|rate|handshake|idle] "
            "[--connections N] [--size BYTES]\n"
            "            [--seconds S] [--warmup S] [--rate PER_SECOND] [--flight N] [--path /P] "
            "[--host H] [--sources N]\n",
            what);
    exit(2);
}

static void parse_to(const char *text)
{
    char host[64];
    const char *colon = strrchr(text, ':');

    if (!colon || (size_t)(colon - text) >= sizeof host)
        usage("--to wants ADDRESS:PORT");
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    options.to.sin_family = AF_INET;
    options.to.sin_port = htons((uint16_t)atoi(colon + 1));
    if (inet_pton(AF_INET, host, &options.to.sin_addr) != 1)
        usage("--to wants a numeric IPv4 address");
}

static enum mode parse_mode(const char *text)
{
    for (size_t i = 0; i < sizeof mode_names / sizeof mode_names[0]; i++)
        if (strcmp(mode_names[i], text) == 0)
            return (enum mode)i;
    usage("--mode is echo, rate, handshake or idle");
}

static void parse(int argc, char **argv)
{
    static const struct option names[] = {
        {"to", 1, 0, 't'},   {"mode", 1, 0, 'm'},    {"connections", 1, 0, 'n'},
        {"size", 1, 0, 'b'}, {"seconds", 1, 0, 's'}, {"warmup", 1, 0, 'w'},
        {"rate", 1, 0, 'r'}, {"flight", 1, 0, 'f'},  {"path", 1, 0, 'p'},
        {"host", 1, 0, 'h'}, {"sources", 1, 0, 'a'}, {0, 0, 0, 0},
    };
    int letter;

    while ((letter = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (letter) {
        case 't':
            parse_to(optarg);
            break;
        case 'm':
            options.mode = parse_mode(optarg);
            break;
        case 'n':
            options.connections = (unsigned)atoi(optarg);
            break;
        case 'b':
            options.size = (unsigned)atoi(optarg);
            break;
        case 's':
            options.seconds = atof(optarg);
            break;
        case 'w':
            options.warmup = atof(optarg);
            break;
        case 'r':
            options.rate = atof(optarg);
            break;
        case 'f':
            options.flight = (unsigned)atoi(optarg);
            break;
        case 'p':
            options.path = optarg;
            break;
        case 'h':
            options.host = optarg;
            break;
        case 'a':
            options.sources = (unsigned)atoi(optarg);
            break;
        default:
            usage("an option is not known");
        }
    }
    if (!options.to.sin_port || options.size > SIZE_MAX_BYTES || options.size < STAMP_BYTES ||
        !options.connections || options.rate <= 0)
        usage("--to is wanted, --size from 24 to 65536, --connections and --rate above 0");
    if (options.mode == MODE_HANDSHAKE)
        options.connections = options.flight;
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    double seconds = 0;

    parse(argc, argv);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    clients = calloc(options.connections, sizeof *clients);
    if (epoll_fd < 0 || !clients)
        usage("no memory");
    for (unsigned i = 0; i < options.connections; i++) {
        clients[i].fd = -1;
        clients[i].in = malloc(HEAD_MAX_BYTES + 2 * (HEADER_BYTES + (size_t)options.size) + 1);
        if (!clients[i].in)
            usage("no memory");
    }
    if (options.mode != MODE_HANDSHAKE && !open_all()) {
        fprintf(stderr, "load: only %" PRIu64 " of %u connections opened\n", opened,
                options.connections);
        return 1;
    }
    if (options.mode == MODE_IDLE) {
        wait_for_stdin();
    } else {
        run_mode(&seconds);
        if (options.mode != MODE_HANDSHAKE)
            drain_echoes();
    }
    say_done(seconds);
    return failed || wrong ? 1 : 0;
}

/* What the parts of turnout-load know of each other.
 *
 * A parent forks processes, each with its share of the connections and one epoll loop (`struct
 * load`); they meet on a board in shared memory: the parent sets the phase, each process keeps its
 * tally. A connection (`struct client`) holds no buffer: what it sends is made from a table, what
 * it receives is compared with it while it passes through the process's scratch memory. */
#pragma once

#include "histogram.h"
#include "message.h"

#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define NSEC_PER_SEC     1000000000u
#define CONNECTIONS_MAX  19000u /* of one process */
#define PROCESSES_MAX    64u
#define DEPTH_MAX        16u
#define SCRATCH_BYTES    (256u * 1024u)
#define AT_ONCE_BYTES    (1024u * 1024u) /* of one connection, then others have their turn */
#define HEAD_MAX_BYTES   8192u
#define DRAIN_NSEC       (3ull * NSEC_PER_SEC)
#define CONNECTING_MSEC  20000u
#define FAILED_MAX       100u
#define CONTROL_MAX      (6u + 125u)
#define NAME_MAX_BYTES   256u
#define WHY_BYTES        200u
#define FIRST_BODY_BYTES 65536u

enum protocol { WS, HTTP, TCP };

#define MODES(MODE)                                                                                \
    MODE(ECHO, "echo", "every message comes back; closed loop, or open loop with --rate")          \
    MODE(GET, "get", "GET requests over kept connections (http)")                                  \
    MODE(UP, "up", "messages one way, as fast as they are taken")                                  \
    MODE(DOWN, "down", "messages one way, as fast as they come")                                   \
    MODE(SUBSCRIBE, "subscribe", "receives what one publisher sends to all, --rate a second")      \
    MODE(HANDSHAKE, "handshake", "connect, upgrade, one echo, close, --flight at once")            \
    MODE(RECONNECT, "reconnect", "all connections drop at once and come back, --flight at once")   \
    MODE(IDLE, "idle", "one echo each, then silence until stdin says a line or ends")

enum mode {
#define MODE(name, word, help) MODE_##name,
    MODES(MODE)
#undef MODE
};

struct options {
    enum protocol protocol;
    enum mode mode;
    bool is_tls, resumes, aborts, checks_all, shows_progress;
    struct sockaddr_storage to;
    socklen_t to_len;
    char name[NAME_MAX_BYTES], authority[NAME_MAX_BYTES], path[NAME_MAX_BYTES];
    unsigned connections, processes, flight, depth, sources;
    uint32_t source; /* the first address, in host order */
    uint64_t size;   /* of a payload */
    long expect;     /* bytes of a GET's body; below 0: any */
    double seconds, warmup, rate;
    const char *congestion, *histogram, *headers;
};

enum phase { PHASE_OPEN, PHASE_RUN, PHASE_MEASURE, PHASE_DRAIN };

/* Of one process; written by it alone. */
struct tally {
    _Atomic uint64_t open, messages, bytes, handshakes, failed;
    uint64_t wrong, lost, resumed, reopened;
    _Atomic bool is_ready; /* all are open (RECONNECT: open again) */
    char why[WHY_BYTES];   /* the first failure */
    struct histogram latency;
};

struct board {
    _Atomic int phase;
    uint64_t start_nsec;        /* of the schedule; set before PHASE_RUN */
    _Atomic uint32_t published; /* SUBSCRIBE: by the first process */
    struct tally tally[PROCESSES_MAX];
};

struct stream {
    int fd;
    SSL *tls;
};

enum state { CLOSED, OPENING, SECURING, ASKED, OPEN, LEAVING, FAILED };

/* How far an answer is read. */
enum part {
    PART_HEAD,
    PART_LENGTH,
    PART_CHUNK_LINE,
    PART_CHUNK,
    PART_CHUNK_END,
    PART_TRAILER,
    PART_UNTIL_CLOSE
};

struct client {
    struct stream stream;
    uint8_t state, part, header_have, control_len, control_at;
    bool is_ready, is_last, has_ended;
    uint32_t index;             /* over all processes */
    uint32_t next_out, next_in; /* sequence numbers */
    uint32_t allowed;           /* it may send those below */
    uint64_t began_nsec;
    struct message out;
    struct check in;
    uint64_t left; /* of a frame, a body or a chunk */
    uint8_t header[WS_HEADER_MAX];
    char accept[29];
    uint8_t *control; /* a control frame, between messages */
    char *head;       /* of an answer that came in pieces */
    size_t head_len;
    uint64_t acked_bytes; /* UP: what the other end says that it has */
    struct client *next_ready;
    uint64_t intended_nsec[DEPTH_MAX]; /* HTTP: of the requests that wait */
};

struct load {
    const struct options *options;
    struct board *board;
    struct tally *tally;
    unsigned number, first, count, flight;
    int epoll_fd;
    unsigned opening, open, answered, next_to_open, source_turn, cursor;
    uint32_t due_turn;
    bool is_measuring, is_over, is_storm, awaits_all;
    struct client *clients, *ready;
    struct client *publisher; /* SUBSCRIBE, in the first process */
    uint32_t published;
    struct tables *tables;
    uint8_t *scratch;
    char *request; /* HTTP: the head of every request */
    size_t request_len;
    uint8_t *first_body; /* GET: what every other must equal */
    uint64_t first_len;
    SSL_CTX *tls;
    SSL_SESSION *session;
    uint64_t seed, began_storm_nsec;
};

uint64_t now_nsec(void);

/* Counters have one writer and a reader in another process. */
#define COUNT(counter, n)                                                                          \
    atomic_store_explicit(&(counter),                                                              \
                          atomic_load_explicit(&(counter), memory_order_relaxed) + (n),            \
                          memory_order_relaxed)

/* options.c: exits with 2 on what it does not understand, with 0 after --help. */
void options_parse(struct options *o, int argc, char **argv);
const char *mode_word(enum mode mode);
const char *mode_path(const struct options *o, char *into, size_t size);

/* client.c: the life of a connection. */
void client_open(struct load *l, struct client *c);
void client_on_event(struct load *l, struct client *c, uint32_t events);
void client_pump(struct load *l, struct client *c);
void client_receive(struct load *l, struct client *c);
void client_leave(struct load *l, struct client *c);
void client_drop(struct load *l, struct client *c);
void client_fail(struct load *l, struct client *c, const char *what, int error);
void client_later(struct load *l, struct client *c);
void client_turn(struct load *l, struct client *c); /* what was put off */

/* mode.c: what a mode makes of it. */
void mode_on_open(struct load *l, struct client *c);
bool mode_on_payload(struct load *l, struct client *c, const uint8_t *at, size_t len);
bool mode_on_message(struct load *l, struct client *c);
void mode_on_closed(struct load *l, struct client *c);
void mode_start(struct load *l);    /* PHASE_RUN */
uint64_t mode_tick(struct load *l); /* sends what is due; how long may be waited, ns */
void mode_begin_drain(struct load *l);
bool mode_is_drained(struct load *l);
void mode_count_lost(struct load *l);
bool mode_goes_on(const struct load *l);
bool mode_is_open_loop(const struct load *l);
void mode_begin_message(struct load *l, struct client *c);
uint64_t mode_size_in(const struct load *l);

/* ws.c and http.c: bytes in, payloads and messages out. False: the connection has failed. */
int ws_ask(struct load *l, struct client *c);
bool ws_take(struct load *l, struct client *c, const uint8_t *at, size_t len);
bool ws_take_answer(struct load *l, struct client *c, const uint8_t **at, size_t *len);
int ws_control(struct client *c, enum ws_opcode opcode, const void *payload, size_t len);
bool http_take(struct load *l, struct client *c, const uint8_t *at, size_t len);
int http_make_request(struct load *l);

/* Collects a head that ends in an empty line. 1: whole, in *ret_head; 0: more is needed; negative:
 * too large, or no memory. *at and *len are moved beyond it. The head is good until head_done(). */
int head_take(struct client *c, const uint8_t **at, size_t *len, const char **ret_head,
              size_t *ret_len);
void head_done(struct client *c);
/* The value of a field, without surrounding blanks; NULL if there is none. */
const char *head_find(const char *head, size_t len, const char *name, size_t *ret_len);

/* crew.c: one process. Returns its exit code. */
int crew_run(const struct options *o, struct board *board, unsigned number);

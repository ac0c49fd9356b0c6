/* c-ares makes its sockets through our door to the kernel, so their readiness is ours to remember.
 * It is called only from a task (`run`), where it may close what it wants: `tell` never names a
 * socket that is gone. It reads a stream once a call, and our events come once a change, so it is
 * called again until a read found nothing. */
#include "net/resolver.h"

#include "base/check.h"
#include "sys/sys.h"

#include <ares.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>

#define RESOLVER_MAGIC    0x7265736fu
#define ROUNDS_PER_TURN   64
#define TRY_MSEC          2000 /* the first; c-ares doubles it for the second */
#define TRIES             2
#define LOCALHOST_TTL_SEC 3600
#define USEC_PER_SEC      UINT64_C(1000000)

struct resolver {
    uint32_t magic;
    struct loop *loop;
    ares_channel channel;
    struct list sockets; /* of struct line */
    struct task work;
    struct timer timer; /* when c-ares next wants to try again or give up */
};

/* A socket of c-ares'. */
struct line {
    struct list node; /* first: the grave's */
    struct source source;
    bool wants_write;
    bool was_used; /* in this call */
};

struct family_asked {
    struct question *question;
    struct resolver_half half;
};

struct question {
    struct task tell;
    struct resolver *resolver;
    resolver_fn *on_answer; /* NULL: nobody waits any more */
    void *owner;
    uint16_t port;
    unsigned left; /* families that have not answered */
    struct family_asked family[RESOLVER_FAMILIES];
};

/* --- sockets ------------------------------------------------------------------------------------
 */

static void on_ready(struct source *source, unsigned ready)
{
    struct resolver *resolver = source->owner;

    (void)ready;
    loop_post(resolver->loop, &resolver->work);
}

static struct line *find_line(struct resolver *resolver, int fd)
{
    list_each(node, &resolver->sockets) {
        struct line *line = container_of(node, struct line, node);
        if (line->source.fd == fd)
            return line;
    }
    return NULL;
}

static int fail_with(int error)
{
    errno = -error;
    return -1;
}

static ares_socket_t open_line(int family, int type, int protocol, void *user)
{
    struct resolver *resolver = user;
    struct line *line = calloc(1, sizeof *line);
    int fd = !line                ? -ENOMEM
             : type == SOCK_DGRAM ? sys_datagram_socket(family)
                                  : sys_socket(family);

    (void)protocol;
    if (fd < 0) {
        free(line);
        return fail_with(fd);
    }
    source_init(&line->source, fd);
    line->source.on_ready = on_ready;
    line->source.owner = resolver;
    int error = loop_watch(resolver->loop, &line->source);
    if (error) {
        sys_close(fd);
        free(line);
        return fail_with(error);
    }
    list_add_last(&resolver->sockets, &line->node);
    return fd;
}

static int close_line(ares_socket_t fd, void *user)
{
    struct resolver *resolver = user;
    struct line *line = find_line(resolver, fd);

    sys_close(fd);
    if (line) {
        list_remove(&line->node);
        line->source.fd = -1;
        loop_bury(resolver->loop, line);
    }
    return 0;
}

static int connect_line(ares_socket_t fd, const struct sockaddr *to, ares_socklen_t len, void *user)
{
    int error = sys_connect(fd, to, len);

    (void)user;
    return error ? fail_with(error) : 0;
}

static ares_ssize_t receive(ares_socket_t fd, void *at, size_t len, int flags,
                            struct sockaddr *ret_from, ares_socklen_t *ret_len, void *user)
{
    struct line *line = find_line(user, fd);
    ssize_t got = ret_from ? sys_recv_from(fd, at, len, ret_from, ret_len) : sys_recv(fd, at, len);

    (void)flags;
    if (line)
        line->was_used = true;
    if (line && got == -EAGAIN)
        line->source.ready &= (uint8_t)~READABLE;
    return got < 0 ? fail_with((int)got) : got;
}

/* The first piece alone: c-ares sends the rest when it is asked again. */
static ares_ssize_t send_pieces(ares_socket_t fd, const struct iovec *pieces, int count, void *user)
{
    struct line *line = find_line(user, fd);
    ssize_t sent = sys_send(fd, (struct bytes){pieces[0].iov_base, pieces[0].iov_len});

    (void)count;
    if (line)
        line->was_used = true;
    if (line && sent == -EAGAIN)
        line->source.ready &= (uint8_t)~WRITABLE;
    return sent < 0 ? fail_with((int)sent) : sent;
}

/* Told when what c-ares waits for changes: a stream that could be written long ago tells no more.
 */
static void on_wish(void *user, ares_socket_t fd, int readable, int writable)
{
    struct resolver *resolver = user;
    struct line *line = find_line(resolver, fd);

    (void)readable;
    if (!line)
        return;
    line->wants_write = writable;
    if (writable && line->source.ready & WRITABLE)
        loop_post(resolver->loop, &resolver->work);
}

/* --- work ---------------------------------------------------------------------------------------
 */

static bool may_read(const struct line *line)
{
    return line->source.ready & READABLE;
}

static bool may_write(const struct line *line)
{
    return line->wants_write && line->source.ready & WRITABLE;
}

static struct line *find_ready(struct resolver *resolver)
{
    list_each(node, &resolver->sockets) {
        struct line *line = container_of(node, struct line, node);
        if (may_read(line) || may_write(line))
            return line;
    }
    return NULL;
}

/* What c-ares takes no interest in must not be offered again and again. */
static void serve_line(struct resolver *resolver, struct line *line)
{
    int fd = line->source.fd;

    line->was_used = false;
    ares_process_fd(resolver->channel, may_read(line) ? fd : ARES_SOCKET_BAD,
                    may_write(line) ? fd : ARES_SOCKET_BAD);
    if (find_line(resolver, fd) == line && !line->was_used)
        line->source.ready = 0;
}

static void arm(struct resolver *resolver)
{
    struct timeval left, *next = ares_timeout(resolver->channel, NULL, &left);

    timer_cancel(&resolver->timer);
    if (next)
        loop_arm(resolver->loop, &resolver->timer,
                 resolver->loop->now_usec + (uint64_t)next->tv_sec * USEC_PER_SEC +
                     (uint64_t)next->tv_usec);
}

static void do_work(struct task *task)
{
    struct resolver *resolver = container_of(task, struct resolver, work);
    struct line *line = NULL;

    CHECK_OBJ(resolver, RESOLVER_MAGIC);
    ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD); /* who waited too long */
    for (int round = 0; round < ROUNDS_PER_TURN && (line = find_ready(resolver)); round++)
        serve_line(resolver, line);
    if (line)
        loop_post(resolver->loop, &resolver->work);
    arm(resolver);
}

static void on_time(struct timer *timer)
{
    struct resolver *resolver = container_of(timer, struct resolver, timer);

    loop_post(resolver->loop, &resolver->work);
}

/* --- answers ------------------------------------------------------------------------------------
 */

static int error_of(int status, const char **ret_words)
{
    static const struct {
        int status, error;
        const char *words;
    } rows[] = {
        {ARES_ENOTFOUND, -ENOENT, "there is no such name"},
        {ARES_ENODATA, -ENOENT, "the name has no such address"},
        {ARES_ETIMEOUT, -ETIMEDOUT, "the name server did not answer in time"},
        {ARES_ECONNREFUSED, -ECONNREFUSED,
         "no name server can be reached, or each fails or refuses"},
        {ARES_ESERVFAIL, -EIO, "the name server failed (SERVFAIL)"},
        {ARES_EREFUSED, -EACCES, "the name server refuses to answer (REFUSED)"},
        {ARES_ENOMEM, -ENOMEM, "out of memory"},
        {ARES_EDESTRUCTION, -ECANCELED, "given up"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].status == status) {
            *ret_words = rows[i].words;
            return rows[i].error;
        }
    *ret_words = ares_strerror(status);
    return -EIO;
}

static void shorten(uint32_t *ttl_sec, int other)
{
    uint32_t sec = other > 0 ? (uint32_t)other : 0;

    if (sec < *ttl_sec)
        *ttl_sec = sec;
}

static void add_address(struct resolver_half *half, const struct ares_addrinfo_node *node,
                        uint16_t port)
{
    struct address *address = &half->at[half->count];

    if (node->ai_family == AF_INET) {
        address->v4.sin_family = AF_INET;
        address->v4.sin_addr = ((const struct sockaddr_in *)(const void *)node->ai_addr)->sin_addr;
        address->v4.sin_port = htons(port);
    } else if (node->ai_family == AF_INET6) {
        address->v6.sin6_family = AF_INET6;
        address->v6.sin6_addr =
            ((const struct sockaddr_in6 *)(const void *)node->ai_addr)->sin6_addr;
        address->v6.sin6_port = htons(port);
    } else {
        return;
    }
    half->count++;
    shorten(&half->ttl_sec, node->ai_ttl);
}

static int take_addresses(struct resolver_half *half, const struct ares_addrinfo *found,
                          uint16_t port)
{
    size_t count = 0;

    for (const struct ares_addrinfo_node *node = found->nodes; node; node = node->ai_next)
        count++;
    half->at = calloc(count + 1, sizeof *half->at);
    if (!half->at)
        return ARES_ENOMEM;
    half->ttl_sec = UINT32_MAX;
    for (const struct ares_addrinfo_cname *name = found->cnames; name; name = name->next)
        shorten(&half->ttl_sec, name->ttl);
    for (const struct ares_addrinfo_node *node = found->nodes; node; node = node->ai_next)
        add_address(half, node, port);
    return half->count ? ARES_SUCCESS : ARES_ENODATA;
}

static void question_free(struct question *question)
{
    for (int i = 0; i < RESOLVER_FAMILIES; i++)
        free(question->family[i].half.at);
    free(question);
}

static void tell(struct task *task)
{
    struct question *question = container_of(task, struct question, tell);
    struct resolver_answer answer;

    for (int i = 0; i < RESOLVER_FAMILIES; i++)
        answer.half[i] = question->family[i].half;
    question->on_answer(question->owner, &answer);
    question_free(question);
}

/* Also called inside ares_getaddrinfo, so nobody is told before the turn's next round. */
static void on_found(void *arg, int status, int timeouts, struct ares_addrinfo *take_found)
{
    struct family_asked *family = arg;
    struct question *question = family->question;

    (void)timeouts;
    if (status == ARES_SUCCESS)
        status = take_addresses(&family->half, take_found, question->port);
    if (take_found)
        ares_freeaddrinfo(take_found);
    if (status != ARES_SUCCESS)
        family->half.error = error_of(status, &family->half.words);
    if (--question->left > 0)
        return;
    if (question->on_answer)
        loop_post(question->resolver->loop, &question->tell);
    else
        question_free(question);
}

/* "localhost" and what is below it, with or without its root. */
static bool is_localhost(const char *name)
{
    static const char local[] = "localhost";
    size_t len = strlen(name), local_len = sizeof local - 1;

    if (len && name[len - 1] == '.')
        len--;
    if (len < local_len || (len > local_len && name[len - local_len - 1] != '.'))
        return false;
    return bytes_equal_nocase((struct bytes){(const uint8_t *)name + len - local_len, local_len},
                              bytes_of(local));
}

/* RFC 6761 section 6.3: nobody is asked for it. (c-ares knows that too, but loses memory where
 * /etc/hosts has it in one family only.) */
static void answer_localhost(struct question *question)
{
    for (int i = 0; i < RESOLVER_FAMILIES; i++) {
        struct resolver_half *half = &question->family[i].half;
        half->at = calloc(1, sizeof *half->at);
        if (!half->at) {
            half->error = error_of(ARES_ENOMEM, &half->words);
            continue;
        }
        if (i == RESOLVER_V4) {
            half->at->v4.sin_family = AF_INET;
            half->at->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            half->at->v4.sin_port = htons(question->port);
        } else {
            half->at->v6.sin6_family = AF_INET6;
            half->at->v6.sin6_addr = in6addr_loopback;
            half->at->v6.sin6_port = htons(question->port);
        }
        half->count = 1;
        half->ttl_sec = LOCALHOST_TTL_SEC;
    }
    question->left = 0;
    loop_post(question->resolver->loop, &question->tell);
}

struct question *resolver_ask(struct resolver *resolver, const char *name, uint16_t port,
                              resolver_fn *on_answer, void *owner)
{
    static const int families[RESOLVER_FAMILIES] = {AF_INET, AF_INET6};
    struct question *question = calloc(1, sizeof *question);

    CHECK_OBJ(resolver, RESOLVER_MAGIC);
    if (!question)
        return NULL;
    *question = (struct question){.resolver = resolver,
                                  .on_answer = on_answer,
                                  .owner = owner,
                                  .port = port,
                                  .left = RESOLVER_FAMILIES};
    task_init(&question->tell, tell);
    for (int i = 0; i < RESOLVER_FAMILIES; i++)
        question->family[i].question = question;
    if (is_localhost(name)) {
        answer_localhost(question);
        return question;
    }
    for (int i = 0; i < RESOLVER_FAMILIES; i++) {
        const struct ares_addrinfo_hints hints = {.ai_family = families[i],
                                                  .ai_flags = ARES_AI_NOSORT};
        ares_getaddrinfo(resolver->channel, name, NULL, &hints, on_found, &question->family[i]);
    }
    arm(resolver);
    return question;
}

void question_forget(struct question *take_question)
{
    if (!take_question)
        return;
    take_question->on_answer = NULL;
    if (take_question->left > 0)
        return; /* c-ares still knows it */
    task_cancel(&take_question->tell);
    question_free(take_question);
}

/* --- the resolver -------------------------------------------------------------------------------
 */

static int open_channel(struct resolver *resolver, const char *servers)
{
    static const struct ares_socket_functions functions = {open_line, close_line, connect_line,
                                                           receive, send_pieces};
    struct ares_options options = {.timeout = TRY_MSEC,
                                   .tries = TRIES,
                                   .sock_state_cb = on_wish,
                                   .sock_state_cb_data = resolver};
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
    char only_dns[] = "b";

    if (servers) {
        options.lookups = only_dns;
        mask |= ARES_OPT_LOOKUPS;
    }
    int status = ares_init_options(&resolver->channel, &options, mask);
    if (status == ARES_SUCCESS) {
        ares_set_socket_functions(resolver->channel, &functions, resolver);
        if (servers)
            status = ares_set_servers_ports_csv(resolver->channel, servers);
        if (status != ARES_SUCCESS)
            ares_destroy(resolver->channel);
    }
    return status == ARES_SUCCESS ? 0 : status == ARES_ENOMEM ? -ENOMEM : -EINVAL;
}

int resolver_new(struct loop *loop, const char *servers, struct resolver **ret_resolver)
{
    struct resolver *resolver = calloc(1, sizeof *resolver);
    int error = -ENOMEM;

    if (!resolver || ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
        free(resolver);
        return error;
    }
    *resolver = (struct resolver){.magic = RESOLVER_MAGIC, .loop = loop};
    list_init(&resolver->sockets);
    task_init(&resolver->work, do_work);
    timer_init(&resolver->timer, on_time);
    error = open_channel(resolver, servers);
    if (error) {
        ares_library_cleanup();
        free(resolver);
        return error;
    }
    *ret_resolver = resolver;
    return 0;
}

struct resolver *resolver_free(struct resolver *resolver)
{
    if (!resolver)
        return NULL;
    CHECK_OBJ(resolver, RESOLVER_MAGIC);
    ares_destroy(resolver->channel); /* ends what nobody waits for, and closes all sockets */
    ares_library_cleanup();
    timer_cancel(&resolver->timer);
    task_cancel(&resolver->work);
    resolver->magic = 0;
    free(resolver);
    return NULL;
}

/* The life of a connection: connect, TLS, upgrade, messages out and in, the end. epoll is
 * edge-triggered: a socket is written until it refuses, read until it is empty, and whoever has had
 * his share before that is put off to the end of the turn. */
#include "load.h"
#include "stream.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

static void forget(struct load *l, struct client *c, enum state state)
{
    if (c->state == OPENING || c->state == SECURING || c->state == ASKED)
        l->opening--;
    if (c->state == OPEN || c->state == LEAVING)
        l->open--;
    c->state = (uint8_t)state;
    free(c->control);
    c->control = NULL;
    c->control_len = 0;
    head_done(c);
}

void client_fail(struct load *l, struct client *c, const char *what, int error)
{
    if (!l->tally->why[0])
        snprintf(l->tally->why, sizeof l->tally->why, "connection %u: %s (%s)", c->index, what,
                 strerror(error));
    COUNT(l->tally->failed, 1);
    stream_close(&c->stream);
    forget(l, c, FAILED);
}

void client_later(struct load *l, struct client *c)
{
    if (c->is_ready)
        return;
    c->is_ready = true;
    c->next_ready = l->ready;
    l->ready = c;
}

void client_open(struct load *l, struct client *c)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    int bad;

    l->opening++;
    c->state = OPENING;
    if (l->options->protocol != HTTP)
        c->next_out = c->next_in = c->allowed = 0;
    c->part = c->header_have = 0;
    c->is_last = c->has_ended = false;
    c->left = c->in.at = c->out.at = c->out.total = c->acked_bytes = 0;
    c->began_nsec = now_nsec();
    bad = stream_open(&c->stream, l);
    if (!bad && epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, c->stream.fd, &event))
        bad = -errno;
    if (bad)
        client_fail(l, c, "cannot connect", -bad);
}

static void on_opened(struct load *l, struct client *c)
{
    c->state = OPEN;
    l->opening--;
    l->open++;
    mode_on_open(l, c);
}

/* The line that tells `turnout-load serve` what to make of a TCP connection. */
static int say_hello(struct load *l, struct client *c)
{
    char text[64];
    const char *what = l->options->mode == MODE_UP ? "sink" : "send";

    if (l->options->mode != MODE_UP && l->options->mode != MODE_DOWN)
        return 0;
    int len = snprintf(text, sizeof text, "!turnout-load %s %llu\n", what,
                       (unsigned long long)l->options->size);
    struct iovec all = {text, (size_t)len};
    return stream_sendv(&c->stream, &all, 1) == len ? 0 : -EIO;
}

static void begin_protocol(struct load *l, struct client *c)
{
    int bad = 0;

    if (l->options->protocol == WS) {
        c->state = ASKED;
        bad = ws_ask(l, c);
    } else {
        if (l->options->protocol == TCP)
            bad = say_hello(l, c);
        if (!bad)
            on_opened(l, c);
    }
    if (bad)
        client_fail(l, c, "cannot ask", -bad);
}

static void secure(struct load *l, struct client *c)
{
    int bad = stream_secure(&c->stream, l);

    if (bad == -EAGAIN)
        return;
    if (bad) {
        char what[120] = "no TLS: ";
        ERR_error_string_n(ERR_peek_last_error(), what + 8, sizeof what - 8);
        client_fail(l, c, what, -bad);
    } else {
        begin_protocol(l, c);
    }
}

static void on_connected(struct load *l, struct client *c)
{
    int bad = stream_connected(&c->stream);

    if (bad) {
        client_fail(l, c, "cannot connect", -bad);
        return;
    }
    c->state = SECURING;
    secure(l, c);
}

/* --- out -------------------------------------------------------------------------------------- */

/* A control frame between two messages. 1: it is out, 0: blocked, or what is wrong. */
static int send_control(struct client *c)
{
    struct iovec rest = {c->control + c->control_at, (size_t)(c->control_len - c->control_at)};
    ssize_t sent = stream_sendv(&c->stream, &rest, 1);

    if (sent < 0)
        return sent == -EAGAIN ? 0 : (int)sent;
    c->control_at = (uint8_t)(c->control_at + sent);
    if (c->control_at == c->control_len)
        c->control_len = 0;
    return 1;
}

static int send_message(struct client *c, size_t *budget)
{
    struct iovec iov[MESSAGE_IOV];
    ssize_t sent = stream_sendv(&c->stream, iov, message_rest(&c->out, iov, MESSAGE_IOV));

    if (sent < 0)
        return sent == -EAGAIN ? 0 : (int)sent;
    c->out.at += (uint64_t)sent;
    *budget -= (size_t)sent < *budget ? (size_t)sent : *budget;
    if (message_is_sent(&c->out))
        c->next_out++;
    return 1;
}

void client_pump(struct load *l, struct client *c)
{
    size_t budget = AT_ONCE_BYTES;
    int done = 1;

    while (done > 0 && (c->state == OPEN || c->state == LEAVING)) {
        if (!message_is_sent(&c->out)) {
            if (!budget) {
                client_later(l, c);
                return;
            }
            done = send_message(c, &budget);
        } else if (c->control_len) {
            done = send_control(c);
        } else if (c->state == OPEN && c->next_out < c->allowed && mode_goes_on(l)) {
            mode_begin_message(l, c);
        } else {
            if (l->is_over && c->state == OPEN && l->options->mode == MODE_UP &&
                l->options->protocol != HTTP)
                client_leave(l, c);
            return;
        }
    }
    if (done < 0)
        client_fail(l, c, "cannot send", -done);
}

/* --- in --------------------------------------------------------------------------------------- */

static bool tcp_take(struct load *l, struct client *c, const uint8_t *at, size_t len)
{
    while (len > 0) {
        uint64_t left = mode_size_in(l) - c->in.at;
        size_t part = len < left ? len : (size_t)left;

        if (!mode_on_payload(l, c, at, part))
            return false;
        at += part;
        len -= part;
        if (c->in.at == mode_size_in(l) && !mode_on_message(l, c))
            return false;
        if (c->stream.fd < 0)
            return true;
    }
    return true;
}

static bool take(struct load *l, struct client *c, const uint8_t *at, size_t len)
{
    if (c->state == ASKED) {
        if (!ws_take_answer(l, c, &at, &len))
            return false;
        if (c->state == OPEN)
            on_opened(l, c);
        if (c->stream.fd < 0 || !len)
            return c->stream.fd >= 0;
    }
    switch (l->options->protocol) {
    case WS:
        return ws_take(l, c, at, len);
    case HTTP:
        return http_take(l, c, at, len);
    default:
        return tcp_take(l, c, at, len);
    }
}

static void on_end(struct load *l, struct client *c, int error)
{
    bool is_http = l->options->protocol == HTTP;

    if (is_http && c->part == PART_UNTIL_CLOSE && !error) {
        c->part = PART_HEAD;
        c->is_last = true;
        mode_on_message(l, c);
    } else if (c->state == LEAVING ||
               (is_http && !error && c->next_in == c->next_out && message_is_sent(&c->out))) {
        if (c->state == OPEN)
            l->tally->reopened++;
        client_drop(l, c);
        mode_on_closed(l, c);
    } else {
        client_fail(l, c, "the connection was lost", error ? error : ECONNRESET);
    }
}

/* How much of the message that comes in may be taken off unseen: all behind its stamp, when only
 * stamps are checked. */
static uint64_t skippable(const struct load *l, const struct client *c)
{
    if (l->options->checks_all || l->options->mode != MODE_DOWN || c->stream.tls ||
        c->in.at < STAMP_BYTES)
        return 0;
    return l->options->protocol == WS ? c->left : mode_size_in(l) - c->in.at;
}

/* Bytes that were taken in and made sense of; 0 the end, or what is wrong; *ret_room what was asked
 * for. -ECANCELED: the connection is gone. */
static ssize_t receive_some(struct load *l, struct client *c, size_t *ret_room)
{
    bool skips = !l->options->checks_all && l->options->mode == MODE_DOWN && !c->stream.tls;
    uint64_t left = skippable(l, c);
    ssize_t got;

    if (left > PEEK_BYTES) {
        *ret_room = left < SCRATCH_BYTES ? (size_t)left : SCRATCH_BYTES;
        got = stream_skip(&c->stream, *ret_room);
    } else {
        *ret_room = skips ? PEEK_BYTES : SCRATCH_BYTES;
        got = stream_recv(&c->stream, l->scratch, *ret_room);
    }
    if (got > 0 && (!take(l, c, l->scratch, (size_t)got) || c->stream.fd < 0))
        return -ECANCELED;
    return got;
}

void client_receive(struct load *l, struct client *c)
{
    size_t budget = AT_ONCE_BYTES, room;

    while (c->stream.fd >= 0) {
        ssize_t got = receive_some(l, c, &room);
        if (got == -EAGAIN || got == -ECANCELED)
            return;
        if (got <= 0) {
            on_end(l, c, (int)-got);
            return;
        }
        if ((size_t)got < room && !c->stream.tls && !c->has_ended)
            return;
        if ((size_t)got >= budget) {
            client_later(l, c);
            return;
        }
        budget -= (size_t)got;
    }
}

/* --- the end ---------------------------------------------------------------------------------- */

void client_drop(struct load *l, struct client *c)
{
    if (l->options->aborts)
        stream_abort(&c->stream);
    else
        stream_close(&c->stream);
    forget(l, c, CLOSED);
}

void client_leave(struct load *l, struct client *c)
{
    static const uint8_t normally[2] = {0x03, 0xe8};

    if (c->state != OPEN)
        return;
    if (l->options->protocol == HTTP || l->options->aborts) {
        client_drop(l, c);
        mode_on_closed(l, c);
        return;
    }
    c->state = LEAVING;
    if (l->options->protocol == TCP)
        stream_finish(&c->stream);
    else if (ws_control(c, WS_CLOSE, normally, sizeof normally))
        client_fail(l, c, "no memory", ENOMEM);
    else
        client_pump(l, c);
}

void client_on_event(struct load *l, struct client *c, uint32_t events)
{
    if (c->stream.fd < 0)
        return;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        c->has_ended = true;
    if (c->state == OPENING && events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
        on_connected(l, c);
        return;
    }
    if (c->state == SECURING) {
        secure(l, c);
        return;
    }
    if (events & EPOLLOUT && c->state >= OPEN && (!message_is_sent(&c->out) || c->control_len))
        client_pump(l, c);
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR) && c->state >= ASKED)
        client_receive(l, c);
}

void client_turn(struct load *l, struct client *c)
{
    if (c->state == CLOSED && !l->is_over) {
        client_open(l, c);
    } else if (c->state == OPEN || c->state == LEAVING) {
        client_pump(l, c);
        client_receive(l, c);
    }
}

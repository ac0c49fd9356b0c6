/* What each mode makes of a connection: when a message may be sent (below `allowed`), what must
 * come in, what counts, and when all is over. In the open loop the time that a message should be
 * sent follows from its number alone, and latency counts from then, sent late or not. */
#include "load.h"

#include <errno.h>
#include <string.h>

bool mode_is_open_loop(const struct load *l)
{
    return l->options->rate > 0 && l->options->mode != MODE_SUBSCRIBE;
}

uint64_t mode_size_in(const struct load *l)
{
    return l->options->mode == MODE_UP ? STAMP_BYTES : l->options->size;
}

static bool is_stamped(const struct load *l)
{
    return l->options->mode != MODE_GET &&
           !(l->options->mode == MODE_UP && l->options->protocol == HTTP);
}

static uint64_t interval_nsec(const struct load *l)
{
    return (uint64_t)(NSEC_PER_SEC / l->options->rate);
}

static uint64_t due_nsec(const struct load *l, uint32_t sequence, uint32_t index)
{
    return l->board->start_nsec +
           ((uint64_t)sequence * l->options->connections + index) * interval_nsec(l);
}

/* A handshake that has begun is ended even when the time is over. */
bool mode_goes_on(const struct load *l)
{
    return !l->is_over || l->options->mode == MODE_HANDSHAKE;
}

/* --- out -------------------------------------------------------------------------------------- */

void mode_begin_message(struct load *l, struct client *c)
{
    const struct options *o = l->options;
    struct stamp stamp = {
        .intended_nsec = mode_is_open_loop(l) ? due_nsec(l, c->next_out, c->index) : now_nsec(),
        .connection = c->index,
        .sequence = c->next_out,
    };

    c->intended_nsec[c->next_out % DEPTH_MAX] = stamp.intended_nsec;
    if (o->protocol == WS)
        message_begin_ws(&c->out, l->tables, o->size, &stamp, true);
    else if (o->protocol == TCP)
        message_begin_plain(&c->out, l->tables, NULL, 0, o->size, &stamp);
    else if (o->mode == MODE_GET)
        message_begin_plain(&c->out, l->tables, l->request, l->request_len, 0, NULL);
    else
        message_begin_plain(&c->out, l->tables, l->request, l->request_len, o->size, &stamp);
}

static void allow(struct load *l, struct client *c)
{
    uint32_t due =
        mode_is_open_loop(l) ? l->due_turn + (c->index - l->first < l->cursor) : UINT32_MAX;
    uint32_t open = c->next_in + l->options->depth;

    if (l->options->mode == MODE_UP && l->options->protocol != HTTP)
        c->allowed = UINT32_MAX;
    else if (mode_is_open_loop(l) && l->options->protocol != HTTP)
        c->allowed = due;
    else
        c->allowed = due < open ? due : open;
}

static bool sends_by_itself(const struct load *l)
{
    return l->options->mode == MODE_ECHO || l->options->mode == MODE_GET ||
           l->options->mode == MODE_UP;
}

void mode_start(struct load *l)
{
    if (!sends_by_itself(l) || mode_is_open_loop(l))
        return;
    for (unsigned i = 0; i < l->count; i++) {
        allow(l, &l->clients[i]);
        client_pump(l, &l->clients[i]);
    }
}

static uint64_t publish_due(struct load *l, uint64_t now)
{
    uint64_t interval = interval_nsec(l), due = l->board->start_nsec + l->published * interval;

    while (due <= now) {
        l->publisher->allowed = ++l->published;
        atomic_store(&l->board->published, l->published);
        client_pump(l, l->publisher);
        due += interval;
    }
    return due - now;
}

uint64_t mode_tick(struct load *l)
{
    const uint64_t rest = 10000000u;
    uint64_t now = now_nsec(), due;

    if (l->publisher && !l->is_over) {
        due = publish_due(l, now);
        return due < rest ? due : rest;
    }
    if (!sends_by_itself(l) || !mode_is_open_loop(l) || l->is_over)
        return rest;
    while ((due = due_nsec(l, l->due_turn, l->first + l->cursor)) <= now) {
        struct client *c = &l->clients[l->cursor];
        if (++l->cursor == l->count) {
            l->cursor = 0;
            l->due_turn++;
        }
        allow(l, c);
        client_pump(l, c);
    }
    return due - now < rest ? due - now : rest;
}

/* --- in --------------------------------------------------------------------------------------- */

static bool is_wrong(struct load *l, struct client *c, const char *what)
{
    l->tally->wrong++;
    client_fail(l, c, what, EBADMSG);
    return false;
}

/* GET: every body equals the first one, as far as that is kept. */
static bool take_body(struct load *l, struct client *c, const uint8_t *at, size_t len)
{
    uint64_t from = c->in.at, end = from + len;

    c->in.at = end;
    if (l->options->mode != MODE_GET)
        return true;
    if (end > FIRST_BODY_BYTES)
        end = from < FIRST_BODY_BYTES ? FIRST_BODY_BYTES : from;
    if (!l->first_len)
        memcpy(l->first_body + from, at, (size_t)(end - from));
    else if (l->options->checks_all && memcmp(l->first_body + from, at, (size_t)(end - from)) != 0)
        return is_wrong(l, c, "a body differs from the first one");
    return true;
}

bool mode_on_payload(struct load *l, struct client *c, const uint8_t *at, size_t len)
{
    if (l->is_measuring && l->options->mode == MODE_DOWN)
        COUNT(l->tally->bytes, len);
    if (!is_stamped(l))
        return take_body(l, c, at, len);
    if (c->in.at + len > mode_size_in(l))
        return is_wrong(l, c, "a message is too long");
    if (!check_take(&c->in, l->tables, at, len, l->options->checks_all))
        return is_wrong(l, c, "a message's content is not what was sent");
    return true;
}

/* UP: { bytes (64 bits), messages (32 bits) } so far. */
static bool on_acknowledged(struct load *l, struct client *c)
{
    uint64_t bytes = c->in.stamp.intended_nsec;
    uint32_t messages = c->in.stamp.connection;

    if (messages > c->next_out + 1 || bytes < c->acked_bytes || messages < c->next_in)
        return is_wrong(l, c, "more is acknowledged than was sent");
    if (l->is_measuring) {
        COUNT(l->tally->bytes, bytes - c->acked_bytes);
        COUNT(l->tally->messages, messages - c->next_in);
    }
    c->acked_bytes = bytes;
    c->next_in = messages;
    c->in.at = 0;
    return true;
}

static bool is_right(struct load *l, struct client *c)
{
    const struct options *o = l->options;

    if (o->mode == MODE_GET) {
        if (!l->first_len)
            l->first_len = c->in.at ? c->in.at : UINT64_MAX;
        if (o->expect >= 0 && c->in.at != (uint64_t)o->expect)
            return is_wrong(l, c, "a body is not as long as expected");
        if (o->checks_all && c->in.at && c->in.at != l->first_len)
            return is_wrong(l, c, "a body is not as long as the first one");
    }
    if (!is_stamped(l))
        return true;
    if (c->in.at != o->size)
        return is_wrong(l, c, "a message is too short");
    if (c->in.stamp.sequence != c->next_in)
        return is_wrong(l, c, "a message is missing, or came twice, or out of order");
    if (o->mode != MODE_DOWN && o->mode != MODE_SUBSCRIBE && c->in.stamp.connection != c->index)
        return is_wrong(l, c, "a message of another connection");
    return true;
}

static void count_message(struct load *l, struct client *c, uint64_t intended)
{
    uint64_t now = now_nsec();

    if (!l->is_measuring)
        return;
    COUNT(l->tally->messages, 1);
    if (l->options->mode == MODE_DOWN)
        return;
    COUNT(l->tally->bytes, l->options->mode == MODE_UP ? l->options->size : c->in.at);
    if (l->options->mode == MODE_HANDSHAKE) {
        COUNT(l->tally->handshakes, 1);
        intended = c->began_nsec;
    }
    histogram_record(&l->tally->latency, now > intended ? now - intended : 0);
}

bool mode_on_message(struct load *l, struct client *c)
{
    if (c == l->publisher)
        return is_wrong(l, c, "a message to the publisher");
    if (l->options->mode == MODE_UP && is_stamped(l))
        return on_acknowledged(l, c);
    if (!is_right(l, c))
        return false;
    if (l->options->mode == MODE_SUBSCRIBE)
        count_message(l, c, c->in.stamp.intended_nsec);
    else
        count_message(l, c, c->intended_nsec[c->next_in % DEPTH_MAX]);
    c->next_in++;
    c->in.at = 0;
    l->answered++;
    if (c->is_last) {
        l->tally->reopened++;
        client_drop(l, c);
        mode_on_closed(l, c);
    } else if (l->options->mode == MODE_HANDSHAKE) {
        client_leave(l, c);
    } else if (sends_by_itself(l) && !l->is_over) {
        allow(l, c);
        client_pump(l, c);
    }
    return true;
}

/* --- beginning and end ------------------------------------------------------------------------ */

void mode_on_open(struct load *l, struct client *c)
{
    if (l->is_measuring && l->is_storm) {
        COUNT(l->tally->handshakes, 1);
        histogram_record(&l->tally->latency, now_nsec() - l->began_storm_nsec);
    }
    if (l->options->mode == MODE_HANDSHAKE && !l->options->depth) {
        if (l->is_measuring) {
            COUNT(l->tally->handshakes, 1);
            histogram_record(&l->tally->latency, now_nsec() - c->began_nsec);
        }
        client_leave(l, c);
    } else if (l->options->mode == MODE_HANDSHAKE) {
        c->allowed = c->next_out + 1;
        client_pump(l, c);
    } else if (l->options->mode == MODE_IDLE && !l->is_over) {
        c->allowed = 1;
        client_pump(l, c);
    } else if (l->options->protocol == HTTP && c->next_out && sends_by_itself(l)) {
        allow(l, c); /* opened again */
        client_pump(l, c);
    }
}

void mode_on_closed(struct load *l, struct client *c)
{
    if (!l->is_over && (l->options->mode == MODE_HANDSHAKE || l->options->protocol == HTTP))
        client_later(l, c);
}

void mode_begin_drain(struct load *l)
{
    l->is_over = true;
    for (unsigned i = 0; i < l->count; i++) {
        struct client *c = &l->clients[i];
        if (l->options->mode == MODE_DOWN)
            client_leave(l, c);
        else if (l->options->mode == MODE_UP)
            client_pump(l, c); /* leaves when its message is out */
    }
}

static uint32_t missing(const struct load *l, const struct client *c)
{
    uint32_t sent =
        l->options->mode == MODE_SUBSCRIBE ? atomic_load(&l->board->published) : c->next_out;
    bool is_cut = c->state == OPEN && !message_is_sent(&c->out);

    if (l->options->mode == MODE_DOWN)
        return 0;
    return sent - c->next_in + is_cut;
}

bool mode_is_drained(struct load *l)
{
    const enum mode mode = l->options->mode;
    bool must_close = mode == MODE_DOWN || mode == MODE_HANDSHAKE ||
                      (mode == MODE_UP && l->options->protocol != HTTP);

    if (l->publisher && l->publisher->state == OPEN &&
        l->publisher->next_out < l->publisher->allowed) {
        return false;
    }
    for (unsigned i = 0; i < l->count; i++) {
        const struct client *c = &l->clients[i];
        if (c->state == FAILED)
            continue;
        if (must_close ? c->stream.fd >= 0 : missing(l, c) > 0)
            return false;
    }
    return true;
}

void mode_count_lost(struct load *l)
{
    for (unsigned i = 0; i < l->count; i++) {
        struct client *c = &l->clients[i];
        l->tally->lost += missing(l, c);
        if (c->state == LEAVING)
            client_fail(l, c, "the other end did not close", ETIMEDOUT);
    }
}

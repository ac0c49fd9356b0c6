/* What is said of a request, to its client and in the log, when it is over: an answer of ours, the
 * `request` line of one that was answered, the `refused` line of one that came to nothing. Nothing
 * here waits. */
#include "proxy/verdict.h"

#include "base/check.h"

#include <stdio.h>

#define RETRY_AFTER_SEC  1
#define RETRY_SPREAD_SEC 10

/* Whether exchange.own is all of the answer. */
static bool is_own_whole(enum reason reason)
{
    return reason == REASON_ANSWERED_HERE || reason == REASON_AUTH_DENIED;
}

/* The page is told whole, however large heads may be. */
static int write_own(struct exchange *h, const struct http1_own *own, struct bytes date)
{
    size_t wanted = buf_bytes(&h->out).len + own->body.len + own->extra.len + 4096;

    if (h->out.limit_bytes < wanted)
        h->out.limit_bytes = (uint32_t)wanted;
    return http1_write_own(&h->out, own, date);
}

/* Our own answer, from the reason's row. 503 asks to come back later, not all at once. */
int verdict_write(struct connection *c, struct exchange *h, bool keeps)
{
    struct proxy *proxy = proxy_of(&c->flow);
    const struct reason_row *row = reason_row(c->flow.reason);
    struct http1_own own = h->own;
    struct bytes date = bytes_of(proxy_date(proxy));
    char body[160], extra[64] = "";

    own.keeps = keeps;
    own.is_for_head = h->is_judged && bytes_equal(h->request_head.method, bytes_of("HEAD"));
    if (is_own_whole(c->flow.reason))
        return write_own(h, &own, date);

    const struct error_page *page = snapshot_error_page(c->snapshot, row->http_status);
    snprintf(body, sizeof body, "%u %s: %s\n", row->http_status,
             http1_status_words(row->http_status), row->words);
    if (row->http_status == 503 && !own.extra.len)
        snprintf(extra, sizeof extra, "Retry-After: %u\r\n",
                 RETRY_AFTER_SEC + (unsigned)random_below(&proxy->random, RETRY_SPREAD_SEC));
    own.status = row->http_status;
    own.type = bytes_of(page ? page->type : "text/plain; charset=utf-8");
    own.body = page ? page->body : bytes_of(body);
    if (extra[0])
        own.extra = bytes_of(extra);
    return write_own(h, &own, date);
}

static void log_it(const struct connection *c, const struct exchange *h)
{
    struct log *log = worker_of(&c->flow)->log;
    enum event_kind event = h->is_handshake ? EVENT_refused : EVENT_request;
    struct connection_texts texts;

    if (!log_wants(log, event))
        return;
    struct log_fields fields = connection_fields(c, REASON_DONE, &texts);
    exchange_fields(h, &fields);
    fields.status = h->own.status ? h->own.status : h->reply_head.status;
    fields.lifetime_usec = now_of(&c->flow) - h->began_usec;
    fields.to_server_bytes = h->upload.moved_bytes;
    fields.to_client_bytes = h->download.moved_bytes;
    if (h->is_handshake)
        fields.reason = bytes_of(reason_row(REASON_UPGRADE_REFUSED)->name);
    log_event(log, event, &fields);
}

static void count_it(const struct connection *c, const struct exchange *h)
{
    struct proxy_counters *counters = &proxy_of(&c->flow)->counters;
    atomic_fetch_add_explicit(h->is_handshake ? &counters->refused_ever : &counters->requests_ever,
                              1, memory_order_relaxed);
    if (c->chosen)
        atomic_fetch_add_explicit(&c->chosen->requests_ever, 1, memory_order_relaxed);
}

void verdict_tell_answered(const struct connection *c, const struct exchange *h)
{
    log_it(c, h);
    count_it(c, h);
}

void verdict_tell_refused(const struct connection *c, const struct exchange *h)
{
    struct connection_texts texts;
    struct log_fields fields = connection_fields(c, c->flow.reason, &texts);
    const struct reason_row *row = reason_row(c->flow.reason);

    if (h)
        exchange_fields(h, &fields);
    if (row->http_status && h && !h->has_begun_answer)
        fields.status = is_own_whole(c->flow.reason) ? h->own.status : row->http_status;
    fields.words = bytes_of(row->words);
    fields.lifetime_usec = now_of(&c->flow) - c->opened_usec;
    log_event(worker_of(&c->flow)->log, EVENT_refused, &fields);
    atomic_fetch_add_explicit(&proxy_of(&c->flow)->counters.refused_ever, 1, memory_order_relaxed);
}

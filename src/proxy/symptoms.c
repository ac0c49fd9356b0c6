/* A thin layer: what counts says health/passive.h, and nothing here decides where anything goes. */
#include "proxy/symptoms.h"

#include "health/answer.h"
#include "health/passive.h"

static struct passive passive_of(const struct connection *c)
{
    return (struct passive){
        .settings = &connection_pool_settings(c)->passive,
        .pool = connection_pool(c),
        .server = c->chosen,
        .log = worker_of(&c->flow)->log,
        .now_usec = now_of(&c->flow),
    };
}

static void note(const struct connection *c, enum reason reason, unsigned status)
{
    const struct passive passive = passive_of(c);
    struct proxy *proxy = proxy_of(&c->flow);

    if (!passive_note_failure(&passive, reason, status))
        return;
    atomic_fetch_add_explicit(&proxy->counters.ejections_ever, 1, memory_order_relaxed);
    if (proxy->health)
        health_hear_ejection(proxy->health, c->chosen);
}

void symptoms_asked(const struct connection *c)
{
    atomic_fetch_add_explicit(&c->chosen->handshakes_ever, 1, memory_order_relaxed);
}

void symptoms_failed(const struct connection *c, enum reason reason, bool is_handshake)
{
    if (passive_counts(reason, is_handshake))
        note(c, reason, 0);
}

void symptoms_answered(const struct connection *c, const struct http1_head *head, bool is_handshake,
                       uint64_t took_usec)
{
    struct health *health = proxy_of(&c->flow)->health;
    const struct passive_settings *settings = &connection_pool_settings(c)->passive;

    server_note_latency(c->chosen, took_usec);
    if (health && answer_asks_for_drain(head))
        health_hear_drain(health, c->chosen, now_of(&c->flow));
    if (!is_handshake || !settings->is_on)
        return;
    enum reason why = passive_judge_answer(settings, head->status, took_usec);
    if (why != REASON_DONE)
        note(c, why, head->status);
}

void symptoms_ended(const struct connection *c, enum reason reason, uint64_t lived_usec)
{
    const struct passive_settings *settings = &connection_pool_settings(c)->passive;

    if (settings->is_on && passive_judge_end(settings, reason, lived_usec))
        note(c, reason, 0);
}

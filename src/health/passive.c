/* Of several threads that see the last failure at once, one ejects: whoever moves ejected_until
 * from the past to the future. The pool's share is looked at before and after, so two servers that
 * are ejected at the same moment may both be spared, but never too many go.
 *
 * The count of ejections is forgotten when the server was back for as long as it had been away, and
 * for a window at least. */
#include "health/passive.h"

#include "base/check.h"

#include <stdio.h>

bool passive_counts(enum reason reason, bool is_handshake)
{
    switch (reason) {
    case REASON_CONNECT_REFUSED:
    case REASON_CONNECT_TOO_SLOW:
        return true;
    case REASON_SERVER_LEFT:
    case REASON_ANSWER_TOO_SLOW:
    case REASON_ANSWER_MALFORMED:
    case REASON_ANSWER_TOO_LARGE:
    case REASON_ANSWER_WRONG:
        return is_handshake;
    default:
        return false;
    }
}

enum reason passive_judge_answer(const struct passive_settings *settings, unsigned status,
                                 uint64_t took_usec)
{
    if (status >= 500)
        return REASON_UPGRADE_REFUSED;
    if (status == 101 && settings->slow && took_usec > settings->slow)
        return REASON_HANDSHAKE_SLOW;
    return REASON_DONE;
}

bool passive_judge_end(const struct passive_settings *settings, enum reason reason,
                       uint64_t lived_usec)
{
    return (reason == REASON_SERVER_RESET || reason == REASON_SERVER_UNREACHABLE) &&
           lived_usec < settings->early;
}

static bool is_out(const struct server *server, uint64_t now_usec)
{
    return atomic_load_explicit(&server->passive.ejected_until_usec, memory_order_relaxed) >
           now_usec;
}

/* How many of the pool's are out, and how many may be. */
static size_t count_out(const struct passive *p, size_t *ret_most)
{
    struct members *members = pool_members(p->pool);
    size_t count = members_count(members), out = 0;

    for (size_t i = 0; i < count; i++)
        out += is_out(members_server(members, i), p->now_usec);
    members_unref(members);
    *ret_most = count * p->settings->max_ejected / 100;
    return out;
}

/* In the window; the window begins again with the first failure after its end. */
static unsigned count_failure(const struct passive *p)
{
    struct server_passive *state = &p->server->passive;
    uint64_t began = atomic_load_explicit(&state->window_usec, memory_order_relaxed);
    bool is_over = !began || p->now_usec - began >= p->settings->window;

    if (p->now_usec < began) /* another thread's turn began later */
        is_over = false;
    if (is_over && atomic_compare_exchange_strong(&state->window_usec, &began, p->now_usec)) {
        atomic_store(&state->failures, 1);
        return 1;
    }
    return atomic_fetch_add(&state->failures, 1) + 1;
}

static uint64_t ejection_usec(const struct passive_settings *settings, unsigned before)
{
    uint64_t usec = settings->eject;

    for (; before && usec < settings->eject_max; before--)
        usec *= 2;
    return settings->eject_max && usec > settings->eject_max ? settings->eject_max : usec;
}

/* How many ejections in a row were before this one. */
static unsigned ejections_before(const struct passive *p, uint64_t until)
{
    unsigned before = atomic_load(&p->server->passive.ejections);

    if (!before)
        return 0;
    uint64_t away = ejection_usec(p->settings, before - 1);
    uint64_t good = away > p->settings->window ? away : p->settings->window;
    return p->now_usec - until >= good ? 0 : before;
}

static void log_ejection(const struct passive *p, uint64_t usec, enum reason reason,
                         unsigned status)
{
    struct log_fields fields = log_fields_none();
    char words[160];

    if (!log_wants(p->log, EVENT_health))
        return;
    snprintf(words, sizeof words, "%llu failures within the window; it gets nothing new for %.3f s",
             (unsigned long long)p->settings->failures, (double)usec / 1e6);
    fields.pool = bytes_of(pool_name(p->pool));
    fields.server = bytes_of(p->server->name);
    fields.from = bytes_of("up");
    fields.to = bytes_of("ejected");
    fields.reason = bytes_of(reason_row(reason)->name);
    if (status)
        fields.status = status;
    fields.words = bytes_of(words);
    log_event(p->log, EVENT_health, &fields);
}

static bool eject(const struct passive *p, enum reason reason, unsigned status)
{
    struct server_passive *state = &p->server->passive;
    uint64_t until = atomic_load(&state->ejected_until_usec);
    size_t most;

    if (until > p->now_usec || count_out(p, &most) >= most)
        return false;
    unsigned before = ejections_before(p, until);
    uint64_t usec = ejection_usec(p->settings, before);
    if (!atomic_compare_exchange_strong(&state->ejected_until_usec, &until, p->now_usec + usec))
        return false; /* another thread was first */
    if (count_out(p, &most) > most) {
        atomic_store(&state->ejected_until_usec, until);
        return false;
    }
    atomic_store(&state->ejections, before + 1);
    log_ejection(p, usec, reason, status);
    return true;
}

bool passive_note_failure(const struct passive *p, enum reason reason, unsigned status)
{
    if (!p->settings->is_on || is_out(p->server, p->now_usec))
        return false;
    if (count_failure(p) < p->settings->failures)
        return false;
    atomic_store(&p->server->passive.failures,
                 0); /* where none may go, it is not tried each time */
    return eject(p, reason, status);
}

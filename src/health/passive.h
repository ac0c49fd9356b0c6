/* What requests themselves tell of a server: failures in a window eject it for a while, for twice
 * as long the next time, and never more of a pool's servers at once than its share. On the workers'
 * threads, lock-free: all state is the server's own atomics. */
#pragma once

#include "base/log.h"
#include "base/reason.h"
#include "conf/settings.h"
#include "pool/pool.h"

/* Who is judged, and by what; borrowed for the call. */
struct passive {
    const struct passive_settings *settings;
    struct pool *pool;
    struct server *server;
    struct log *log;
    uint64_t now_usec; /* of the loops' clock */
};

/* What speaks of the server when no answer came, or none that counts: connecting failed, or a
 * handshake did for want of a good answer. Shortages of ours and what the client did count for
 * nothing. */
bool passive_counts(enum reason reason, bool is_handshake);
/* Whether a handshake that was answered with that status after so long has failed: for what reason;
 * DONE: it has not. 5xx has, 4xx says something about the client. */
enum reason passive_judge_answer(const struct passive_settings *settings, unsigned status,
                                 uint64_t took_usec);
/* Whether a tunnel that ended so, after so long, was a failure. */
bool passive_judge_end(const struct passive_settings *settings, enum reason reason,
                       uint64_t lived_usec);

/* One failure more. True: the server is ejected from now on. `status`: of the answer, 0: none. */
bool passive_note_failure(const struct passive *passive, enum reason reason, unsigned status);

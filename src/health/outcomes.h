/* The last outcomes of a server's checks: written by the health thread, read by any, without a
 * lock. */
#pragma once

#include "base/reason.h"
#include "conf/settings.h"
#include "pool/server.h"

#define HEALTH_OUTCOMES_MAX (SERVER_OUTCOMES - 1) /* the oldest one may be under the pen */

struct health_outcome {
    uint64_t wall_usec; /* when it was known, since 1970 */
    uint64_t took_usec; /* at most UINT32_MAX */
    enum check_kind kind;
    enum reason
        reason;      /* DONE: good; SERVER_DRAINS; else what was wrong. reason_row(): its words */
    uint16_t status; /* of the HTTP answer; 0: there was none */
};

void health_note_outcome(struct server *server, const struct health_outcome *outcome);
/* Newest first. How many. Any thread. */
size_t health_outcomes(const struct server *server,
                       struct health_outcome ret_outcomes[HEALTH_OUTCOMES_MAX]);

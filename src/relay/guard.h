/* The frame guard of a WebSocket relay: both directions are judged by RFC 6455 as they pass, the
 * client's messages are counted, a silent client is pinged, and a tunnel whose token has expired
 * ends. A guarded lane is served by `copy` alone. */
#pragma once

#include "codec/ws_guard.h"
#include "relay/relay.h"

struct guard_opts {
    uint64_t max_message;          /* bytes of payload as they are on the wire; 0: no limit */
    uint64_t messages, per_usec;   /* of the client, so many at once and so many in each
                                      per_usec; 0: any number */
    uint64_t ping_usec;            /* silence of the client after which it is pinged; FOREVER
                                    */
    uint64_t pong_usec;            /* within which anything must come from it */
    uint64_t expires_usec;         /* from now; FOREVER */
    enum ws_extension extension;   /* that was agreed */
    uint8_t nonce[WS_NONCE_BYTES]; /* random: what tells our pings' answers from others */
};

/* Why it ended a relay: what its owner has to say, and to whom. */
struct guard_verdict {
    const char *words;
    uint64_t frame;         /* of the offender's direction, from 1; 0: it is about no frame */
    unsigned offender;      /* the end: 0 the client, 1 the server */
    uint16_t close_code[2]; /* for each end: the offender's names the fault */
};

/* NULL: there is no guard, or something else ended the relay (or nothing yet). relay->reason is the
 * row. */
const struct guard_verdict *relay_guard_verdict(const struct relay *relay);

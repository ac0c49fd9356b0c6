/* Reading one message head, as a child flow: the request's from a client, the answer's from a
 * server. */
#pragma once

#include "codec/http1.h"
#include "loop/worker.h"
#include "net/stream.h"

typedef int head_parse_fn(struct bytes in, unsigned fields_max, struct http1_head *ret_head,
                          enum reason *ret_why);

/* What differs between the two heads. */
struct head_kind {
    head_parse_fn *parse;
    enum reason line_too_large, too_large, too_slow, left, reset;
};
extern const struct head_kind head_of_request, head_of_answer;
/* An answer from a server that takes no more: it is there, or comes at once, or never. */
extern const struct head_kind head_of_last_words;

struct read_head {
    struct flow flow;
    const struct head_kind *kind;
    struct stream *stream;
    struct buf *into;
    struct http1_head *head;
    uint32_t limit_bytes;
    unsigned fields_max;
    uint64_t within_usec; /* FOREVER for no deadline */
    size_t used;          /* bytes of `into` that are the head, when it is DONE */
    size_t judged_bytes;  /* of `into`, by the parser: a trickled head is parsed once a line, not
                             once a byte */
};

/* Set all but `flow`, `used` and `judged_bytes` first. Ends for DONE (head and used are set), for
 * the parser's reason, or for one of the kind's. `into` may hold bytes already, and holds what came
 * behind the head afterwards; its own limit must be above limit_bytes. Adopts the stream's source;
 * the parent adopts it again. */
void read_head_start(struct read_head *read, struct flow *parent);

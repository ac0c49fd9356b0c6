/* A question to other threads, and their answers. One errand per thread asked: it travels there,
 * runs, and comes back; the inquiry is over when all are back. Whoever asked may leave meanwhile,
 * with the answers that are back (the others are late): then the last errand frees it. */
#pragma once

#include "admin/call.h"
#include "admin/filter.h"

#include <jansson.h>

struct inquiry;

struct errand {
    struct mail mail;
    struct inquiry *inquiry;
    struct mailbox *to;
    void *target;   /* what `run` needs of that thread: a struct proxy, the house */
    json_t *answer; /* the asker's to read once it is back */
    bool is_back;
};

struct inquiry {
    struct flow *asker; /* NULL: it has left */
    struct mailbox *back;
    void (*run)(struct errand *errand); /* on the asked thread: sets errand->answer */
    unsigned left, count;
    /* the question, for `run` to read: */
    uint64_t number;
    struct filter filter;
    struct call *call; /* owned; NULL: none */
    struct errand errand[];
};

struct inquiry *inquiry_new(struct flow *asker, unsigned count); /* NULL: no memory */
void inquiry_ask(struct inquiry *inquiry, unsigned i, struct mailbox *to,
                 void *target);             /* sets the i-th errand */
void inquiry_send(struct inquiry *inquiry); /* wakes the asker when all are back */
static inline bool inquiry_is_over(const struct inquiry *inquiry)
{
    return inquiry->left == 0;
}
void inquiry_leave(struct inquiry *take_inquiry); /* accepts NULL */

/* What a request to a sessions listener asks of the store, and what the store's answer is in HTTP.
 * Nothing here waits. */
#pragma once

#include "base/buf.h"
#include "codec/http1.h"
#include "session/store.h"

struct session_request {
    struct store_question question; /* views point into the request, or here */
    bool is_head;
    bool is_read;               /* GET or HEAD */
    struct bytes if_none_match; /* of a read */
    struct http1_body framing;
    uint8_t key[STORE_KEY_MAX];
};

/* An answer of ours; `words` are its body where there is no state. */
struct session_answer {
    unsigned status;
    const char *words;
    struct bytes state, type;
    char lines[512]; /* further fields */
};

/* True: the store shall be asked. False: *ret_answer says why not. */
bool sessions_judge(const struct http1_head *head, struct session_request *ret_request,
                    struct session_answer *ret_answer);

/* Once it was asked. Views point into the ask. */
void sessions_read(const struct session_request *request, const struct store_ask *ask,
                   struct session_answer *ret_answer);

void sessions_refuse(unsigned status, const char *words, struct session_answer *ret_answer);

/* The HTTP answer to a check: its head, and its body to the end, of which nothing is kept. */
#pragma once

#include "codec/http1.h"
#include "health/checker.h"

#define ANSWER_HEAD_BYTES  16384u
#define ANSWER_FIELDS_MAX  HTTP1_FIELDS_MAX
#define ANSWER_BODY_BYTES  1048576u /* a longer one is no answer to "how are you" */
#define ANSWER_INTERIM_MAX 16

struct answer {
    struct http1_body framing;
    uint32_t judged_bytes, body_bytes;
    uint8_t interims;
    uint8_t matched; /* of "draining", at the end of what was read */
    bool has_head;
    bool says_draining;
    bool asks_for_drain; /* X-Turnout-Drain */
};

/* Reads the head, after any 1xx but 101. > 0: its bytes, which are still in talk->in as its views
 * point there; 0: more, please; < 0: it is over, talk->why says why. */
int answer_take_head(struct talk *talk, struct answer *answer, struct http1_head *ret_head);
/* Takes off the head, and prepares for the body. False: malformed. */
bool answer_begin_body(struct answer *answer, struct talk *talk, const struct http1_head *head,
                       size_t head_bytes);
/* TALK_OVER: with DONE when the body was read to its end, else with what is wrong. */
enum talk_next answer_take_body(struct talk *talk, struct answer *answer);

/* A server may ask to be drained: by X-Turnout-Drain, whatever it says but "0", "no" or "off". */
bool answer_asks_for_drain(const struct http1_head *head);

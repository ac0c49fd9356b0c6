/* A GET, and its answer to the last byte: a server that hangs behind the head has not answered. */
#include "health/answer.h"

_Static_assert(sizeof(struct answer) <= TALK_OWN_BYTES, "an answer fits into its talk");

static enum talk_next begin(struct talk *talk)
{
    const char *path = talk->settings->path ? talk->settings->path : "/";

    talk->if_late = REASON_ANSWER_TOO_SLOW;
    if (talk_say(talk, "GET %s HTTP/1.1\r\nHost: %s\r\n" TALK_AGENT "Connection: close\r\n\r\n",
                 path, talk->host))
        return talk_end(talk, REASON_NO_MEMORY);
    return TALK_ON;
}

static enum reason judge(const struct talk *talk, const struct answer *answer)
{
    if (answer->asks_for_drain || (talk->status == 503 && answer->says_draining))
        return REASON_SERVER_DRAINS;
    return status_is_wanted(talk->settings->status, talk->status) ? REASON_DONE
                                                                  : REASON_CHECK_STATUS;
}

static enum talk_next hear(struct talk *talk)
{
    struct answer *answer = (struct answer *)(void *)talk->own;
    struct http1_head head;

    if (!answer->has_head) {
        int used = answer_take_head(talk, answer, &head);
        if (used <= 0)
            return used ? TALK_OVER : TALK_ON;
        if (head.status == 101)
            return talk_end(talk, REASON_ANSWER_UNASKED);
        if (!answer_begin_body(answer, talk, &head, (size_t)used))
            return talk_end(talk, REASON_ANSWER_MALFORMED);
        talk->if_late = REASON_CHECK_TOO_SLOW;
    }
    if (answer_take_body(talk, answer) == TALK_ON)
        return TALK_ON;
    return talk->why == REASON_DONE ? talk_end(talk, judge(talk, answer)) : TALK_OVER;
}

const struct checker checker_http = {
    .name = "http",
    .help = "a GET is answered whole, with a wanted status",
    .kind = CHECK_HTTP,
    .begin = begin,
    .hear = hear,
};

/* The head is parsed again only when another line has ended; the body is moved over piece by piece.
 * The word is looked for in passing, over any cuts: none of its letters but the first is a 'd', so
 * after a mismatch only the present letter can begin it. */
#include "health/answer.h"

static const char word[] = "draining";

bool answer_asks_for_drain(const struct http1_head *head)
{
    struct bytes value = http1_find(head, "x-turnout-drain");

    return value.at && !bytes_equal_nocase(value, bytes_of("0")) &&
           !bytes_equal_nocase(value, bytes_of("no")) &&
           !bytes_equal_nocase(value, bytes_of("off"));
}

/* As the parser answers, for one head. */
static int parse(struct talk *t, struct answer *a, struct http1_head *head)
{
    struct bytes in = buf_bytes(&t->in), news = bytes_from(in, a->judged_bytes);
    int used = 0;

    if (news.at && memchr(news.at, '\n', news.len)) {
        used = http1_response_parse(in, ANSWER_FIELDS_MAX, head, &t->why);
        a->judged_bytes = (uint32_t)in.len;
    }
    if ((used == 0 && in.len >= ANSWER_HEAD_BYTES) || used > (int)ANSWER_HEAD_BYTES) {
        t->why = REASON_ANSWER_TOO_LARGE;
        return -1;
    }
    return used;
}

int answer_take_head(struct talk *t, struct answer *a, struct http1_head *ret_head)
{
    int used;

    while ((used = parse(t, a, ret_head)) > 0) {
        if (ret_head->status >= 200 || ret_head->status == 101)
            break;
        if (++a->interims > ANSWER_INTERIM_MAX) {
            t->why = REASON_ANSWER_MALFORMED;
            return -1;
        }
        buf_consume(&t->in, (size_t)used);
        a->judged_bytes = 0;
    }
    if (used == 0 && t->has_ended) {
        t->why = REASON_SERVER_LEFT;
        return -1;
    }
    if (used > 0) {
        t->status = ret_head->status;
        t->carries_headers = true;
        a->asks_for_drain = answer_asks_for_drain(ret_head);
    }
    return used;
}

bool answer_begin_body(struct answer *a, struct talk *t, const struct http1_head *head,
                       size_t head_bytes)
{
    a->has_head = true;
    if (http1_response_body(head, bytes_of("GET"), &a->framing) != REASON_DONE)
        return false;
    buf_consume(&t->in, head_bytes);
    return true;
}

static void look_for_word(struct answer *a, struct bytes in)
{
    for (size_t i = 0; i < in.len && !a->says_draining; i++) {
        uint8_t letter = in.at[i] | 0x20;
        if (letter == (uint8_t)word[a->matched])
            a->matched++;
        else
            a->matched = letter == (uint8_t)word[0];
        a->says_draining = a->matched == sizeof word - 1;
    }
}

enum talk_next answer_take_body(struct talk *t, struct answer *a)
{
    struct bytes payload;

    while (!http1_body_has_ended(&a->framing) && !buf_is_empty(&t->in)) {
        ssize_t used = http1_body_piece(&a->framing, buf_bytes(&t->in), &payload);
        if (used <= 0)
            return talk_end(t, REASON_RESPONSE_MALFORMED);
        look_for_word(a, payload);
        a->body_bytes += (uint32_t)payload.len;
        if (a->body_bytes > ANSWER_BODY_BYTES)
            return talk_end(t, REASON_CHECK_TOO_LARGE);
        buf_consume(&t->in, (size_t)used);
    }
    if (http1_body_has_ended(&a->framing))
        return talk_end(t, REASON_DONE);
    if (!t->has_ended)
        return TALK_ON;
    return talk_end(t, a->framing.kind == BODY_UNTIL_CLOSE ? REASON_DONE : REASON_RESPONSE_CUT);
}

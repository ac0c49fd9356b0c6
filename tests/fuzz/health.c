/* What a server says to a check, cut in any way: the verdict is the same however it is cut, falls
 * at the end at the latest, and what is held for it is bounded. The first byte chooses who asks. */
#include "health/checker.h"

#include "base/check.h"

#include "fuzz.h"

static struct talk ask(const struct checker *checker, const struct check_settings *settings,
                       struct random *random)
{
    struct talk talk = {.settings = settings, .host = "a", .random = random};

    random_init(random, 1);
    buf_init(&talk.in, TALK_IN_BYTES);
    buf_init(&talk.out, TALK_OUT_BYTES);
    REQUIRE(checker->begin(&talk) == TALK_ON);
    return talk;
}

/* Hands over at most `piece` bytes at once. The reason. */
static enum reason verdict(const struct checker *checker, const struct check_settings *settings,
                           struct bytes answer, struct cutter *cutter)
{
    struct random random;
    struct talk talk = ask(checker, settings, &random);
    enum talk_next next = TALK_ON;
    size_t at = 0;

    while (next == TALK_ON && at < answer.len) {
        size_t room = TALK_IN_BYTES - buf_bytes(&talk.in).len, left = answer.len - at;
        REQUIRE(room > 0);
        size_t piece = cutter ? cutter_next(cutter, left) : left;
        piece = piece < room ? piece : room;
        REQUIRE(buf_append(&talk.in, bytes_slice(answer, at, at + piece)) == 0);
        at += piece;
        next = checker->hear(&talk);
        buf_done(&talk.out);
    }
    talk.has_ended = true;
    if (next == TALK_ON)
        REQUIRE(checker->hear(&talk) == TALK_OVER);
    REQUIRE(talk.why < REASON_COUNT);
    REQUIRE(talk.message.limit_bytes <= TALK_IN_BYTES);
    enum reason why = talk.why;
    buf_done(&talk.in);
    buf_done(&talk.out);
    buf_done(&talk.message);
    return why;
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    static const struct check_settings rows[] = {
        {.path = "/"},
        {.path = "/", .ping = true},
        {.path = "/", .send = "hello", .expect = "world"},
    };
    struct bytes input = {at, len};

    if (!len)
        return 0;
    const struct checker *checker = checker_of(at[0] & 1 ? CHECK_WEBSOCKET : CHECK_HTTP);
    const struct check_settings *settings = &rows[(at[0] >> 1) % ARRAY_LEN(rows)];
    struct bytes answer = exact(bytes_from(input, 1));
    struct cutter cutter = cutter_of(input);
    enum reason whole = verdict(checker, settings, answer, NULL);
    REQUIRE(verdict(checker, settings, answer, &cutter) == whole);
    exact_free(answer);
    return 0;
}

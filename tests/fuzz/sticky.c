/* What names a session, and what gives it out: a kind (one character), a line feed, then a request
 * or an answer, which is a payload too. What is found lies inside, is not empty, and is found again
 * in what it was found in; no token is ours. */
#include "session/sticky.h"
#include "session/sticky_token.h"

#include "fuzz.h"

static struct seal *seal(void)
{
    static struct seal *made;
    const struct bytes secret = bytes_of("a secret");

    REQUIRE(made || seal_new(&secret, 1, "fuzz", &made) == 0);
    return made;
}

static void judge_value(const struct sticky *sticky, struct bytes value, struct bytes in)
{
    struct sticky_token token;
    struct sticky_key key;

    REQUIRE(value.len && is_inside(value, in));
    int error = sticky_key_of(sticky, value, &key);
    REQUIRE((error != 0) == (value.len > STICKY_VALUE_MAX));
    REQUIRE(sticky_token_read(seal(), "chat", "turnout", value, &token) != 0);
}

static void judge_request(const struct sticky *sticky, struct bytes in)
{
    struct http1_head head;
    struct ip memory;
    enum reason why;

    if (http1_request_parse(in, HTTP1_FIELDS_MAX, &head, &why) <= 0)
        return;
    size_t mark = bytes_find(head.target, bytes_of("?"), 0);
    const struct sticky_ask ask = {.request = &head, .query = bytes_from(head.target, mark + 1)};
    for (unsigned nth = 0;; nth++) {
        struct bytes value = sticky_value(sticky, &ask, nth, &memory);
        if (!value.at)
            break;
        REQUIRE(nth < STICKY_VALUES_MAX);
        judge_value(sticky, value, in);
    }
    (void)sticky_begins_socket_io(sticky, &ask);
}

static void judge_answer(const struct sticky *sticky, struct bytes in)
{
    struct http1_head head;
    enum reason why;

    if (http1_response_parse(in, HTTP1_FIELDS_MAX, &head, &why) <= 0)
        return;
    struct bytes taught = sticky_taught(sticky, &head);
    REQUIRE(!taught.len || is_inside(taught, in));
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    static const struct sticky_settings kinds[] = {
        {.kind = STICKY_COOKIE, .name = "sid"},
        {.kind = STICKY_QUERY, .name = "sid"},
        {.kind = STICKY_LEARN, .name = "cookie.sid"},
        {.kind = STICKY_LEARN, .name = "header.sid"},
        {.kind = STICKY_SOCKET_IO, .name = "socket.io"},
    };
    struct sticky sticky;

    if (len < 2)
        return 0;
    struct bytes in = exact((struct bytes){at + 2, len - 2});
    sticky_init(&sticky, &kinds[at[0] % (sizeof kinds / sizeof kinds[0])], "chat");
    judge_request(&sticky, in);
    judge_answer(&sticky, in);
    struct bytes sid = sticky_socket_io_sid(in);
    REQUIRE(!sid.len || (is_inside(sid, in) && sid.at + sid.len < in.at + in.len));
    exact_free(in);
    return 0;
}

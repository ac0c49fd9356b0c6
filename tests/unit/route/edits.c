#include "route/edits.c"

#include "test.h"

static char told[2048];

static void hear(void *to, struct mark mark, const char *words)
{
    size_t used = strlen(told);

    EXPECT(to == told);
    snprintf(told + used, sizeof told - used, "%u %s\n", mark.line, words);
}

static int init(struct edits *edits, struct edit_settings *at, size_t count, enum template_use use)
{
    const struct edits_settings settings = {at, count};

    told[0] = '\0';
    for (size_t i = 0; i < count; i++)
        at[i].mark.line = (uint32_t)i + 1;
    return edits_init(edits, &settings, use, hear, told);
}

static void expect_refused(const char *name, enum edit_op op, enum template_use use,
                           const char *words)
{
    struct edit_settings at[] = {{.op = op, .name = name, .value = "x"}};
    struct edits edits;
    int error = init(&edits, at, 1, use);

    if (error != -EINVAL || !strstr(told, words))
        print_error("%s: %d %s\n", name, error, told);
    EXPECT(error == -EINVAL && strstr(told, words) && !edits.edit && !edits.count);
}

TEST(what_would_break_messages_is_refused)
{
    static const char *const both[] = {
        "Connection",     "keep-alive", "Proxy-Connection",  "TE",      "Upgrade",       "Via",
        "Content-Length", "Host",       "Transfer-Encoding", "Trailer", "HTTP2-Settings"};

    for (size_t i = 0; i < ARRAY_LEN(both); i++)
        for (int op = EDIT_SET; op <= EDIT_REMOVE; op++) {
            expect_refused(both[i], (enum edit_op)op, TEMPLATE_REQUEST, both[i]);
            expect_refused(both[i], (enum edit_op)op, TEMPLATE_RESPONSE, both[i]);
            expect_refused(both[i], (enum edit_op)op, TEMPLATE_OWN, both[i]);
        }
    expect_refused("Expect", EDIT_REMOVE, TEMPLATE_REQUEST, "Expect is between");
    expect_refused("Max-Forwards", EDIT_SET, TEMPLATE_REQUEST, "counted");
    expect_refused("Date", EDIT_SET, TEMPLATE_RESPONSE, "Date is said");
    expect_refused("Sec-WebSocket-Key", EDIT_REMOVE, TEMPLATE_REQUEST, "is agreed between");
    expect_refused("Sec-WebSocket-Accept", EDIT_SET, TEMPLATE_RESPONSE, "is agreed between");
    expect_refused("Sec-WebSocket-Extensions", EDIT_SET, TEMPLATE_REQUEST, "is agreed between");
    expect_refused("Sec-WebSocket-Extensions", EDIT_REMOVE, TEMPLATE_RESPONSE, "is agreed between");
    expect_refused("a b", EDIT_SET, TEMPLATE_REQUEST, "is no name of a field");
    expect_refused("", EDIT_REMOVE, TEMPLATE_REQUEST, "is no name of a field");
    expect_refused("A:", EDIT_ADD, TEMPLATE_REQUEST, "is no name of a field");
}

TEST(what_is_harmless_passes)
{
    struct edit_settings at[] = {
        {.op = EDIT_REMOVE, .name = "Sec-WebSocket-Extensions"},
        {.op = EDIT_REMOVE, .name = "Sec-WebSocket-Protocol"},
        {.op = EDIT_SET, .name = "Expires", .value = "0"},
        {.op = EDIT_SET, .name = "X-Forwarded-Proto", .value = "https"},
        {.op = EDIT_ADD, .name = "X-Forwarded-Proto", .value = "http"},
    };
    struct edits edits;

    EXPECT(init(&edits, at, ARRAY_LEN(at), TEMPLATE_REQUEST) == 0 && edits.count == 5);
    EXPECT(edits.dropped_count == 4);
    edits_done(&edits);
    EXPECT(!edits.edit && !edits.dropped);
}

TEST(every_error_is_told)
{
    struct edit_settings at[] = {
        {.op = EDIT_SET, .name = "A", .value = "{"},
        {.op = EDIT_SET, .name = "B", .value = "b"},
        {.op = EDIT_REMOVE, .name = "b"},
        {.op = EDIT_SET, .name = "C", .value = "{server}"},
        {.op = EDIT_SET, .name = "D", .value = "s3cret\n", .is_literal = true},
    };
    struct edits edits;

    EXPECT(init(&edits, at, ARRAY_LEN(at), TEMPLATE_REQUEST) == -EINVAL);
    EXPECT(strstr(told, "1 A: a \"{\" without") && strstr(told, "3 b is set or removed twice"));
    EXPECT(strstr(told, "4 C: {server}") && strstr(told, "5 D: a control character"));
    EXPECT(!strstr(told, "s3cret"));
}

TEST(edits_are_bounded)
{
    static struct edit_settings at[EDITS_MAX + 1];
    struct edits edits;

    for (size_t i = 0; i < ARRAY_LEN(at); i++)
        at[i] = (struct edit_settings){.op = EDIT_ADD, .name = "A", .value = "b"};
    EXPECT(init(&edits, at, EDITS_MAX + 1, TEMPLATE_REQUEST) == -EINVAL);
    EXPECT(init(&edits, at, EDITS_MAX, TEMPLATE_REQUEST) == 0);
    edits_done(&edits);
}

TEST(lines_are_changed)
{
    struct edit_settings at[] = {
        {.op = EDIT_SET, .name = "x-request-id", .value = "mine"},
        {.op = EDIT_ADD, .name = "Via-Not", .value = "{host}"},
        {.op = EDIT_REMOVE, .name = "X-Forwarded-Host"},
        {.op = EDIT_SET, .name = "X-User", .value = "{jwt.sub}"},
    };
    const struct facts facts = {.host = bytes_of("h")};
    struct edits edits;
    struct buf lines;

    buf_init(&lines, 1000);
    EXPECT(buf_append(&lines, bytes_of("X-Forwarded-Host: a\r\nVia: 1.1 t\r\nX-Request-Id: 7\r\n"
                                       "X-User: evil\r\nX-Request-Id-2: 8\r\n")) == 0);
    EXPECT(init(&edits, at, ARRAY_LEN(at), TEMPLATE_REQUEST) == 0);
    EXPECT(edits_apply(&edits, &facts, &lines) == 0);
    EXPECT(bytes_equal(buf_bytes(&lines), bytes_of("Via: 1.1 t\r\nX-Request-Id-2: 8\r\n"
                                                   "x-request-id: mine\r\nVia-Not: h\r\n")));
    EXPECT(edits_lines_have(buf_bytes(&lines), bytes_of("via-not")));
    EXPECT(!edits_lines_have(buf_bytes(&lines), bytes_of("X-User")));
    EXPECT(!edits_lines_have(buf_bytes(&lines), bytes_of("X-Request")));
    buf_done(&lines);
    edits_done(&edits);
}

TEST(no_edits_change_nothing_and_all_may_go)
{
    struct edit_settings at[] = {{.op = EDIT_REMOVE, .name = "A"}};
    struct edits edits = {0};
    struct buf lines;

    buf_init(&lines, 1000);
    EXPECT(edits_apply(&edits, &(struct facts){0}, &lines) == 0 && buf_is_empty(&lines));
    EXPECT(init(&edits, at, 1, TEMPLATE_RESPONSE) == 0);
    EXPECT(edits_apply(&edits, &(struct facts){0}, &lines) == 0 && buf_is_empty(&lines));
    EXPECT(buf_append(&lines, bytes_of("A: b\r\na: c\r\n")) == 0);
    EXPECT(edits_apply(&edits, &(struct facts){0}, &lines) == 0 && buf_bytes(&lines).len == 0);
    buf_done(&lines);
    edits_done(&edits);
}

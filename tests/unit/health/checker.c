#include "health/checker.c"

#include "test.h"

TEST(a_status_is_wanted_by_number_or_range)
{
    static const struct {
        const char *ranges;
        unsigned status;
        bool is_wanted;
    } rows[] = {
        {"200", 200, true},          {"200", 201, false},         {"200-399", 200, true},
        {"200-399", 399, true},      {"200-399", 400, false},     {"200-399", 199, false},
        {"200-299, 404", 404, true}, {"200-299,404", 300, false}, {"204,401,500-599", 503, true},
        {NULL, 301, true},           {NULL, 404, false},          {NULL, 101, false},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        EXPECT(status_is_wanted(rows[i].ranges, rows[i].status) == rows[i].is_wanted);
}

TEST(each_kind_has_its_checker)
{
    for (int kind = 0; kind < CHECK_KINDS; kind++) {
        const struct checker *checker = checker_of((enum check_kind)kind);
        EXPECT((int)checker->kind == kind && checker->begin && checker->hear && checker->help);
    }
}

TEST(lines_that_are_too_long_are_no_lines)
{
    struct talk talk = {0};
    char path[LINES_BYTES + 1];

    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    buf_init(&talk.out, TALK_OUT_BYTES);
    EXPECT(talk_say(&talk, "GET %s", path) == -EMSGSIZE && buf_is_empty(&talk.out));
    EXPECT(talk_say(&talk, "GET %s", "/") == 0);
    EXPECT(bytes_equal(buf_bytes(&talk.out), bytes_of("GET /")));
    buf_done(&talk.out);
}

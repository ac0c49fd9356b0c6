#include "admin/query.c"

#include "test.h"

TEST(parameters_are_decoded_and_found)
{
    struct query query;
    uint64_t number;

    EXPECT(query_parse(bytes_of("/a/b?pool=x%2Fy+z&limit=10&empty="), &query));
    EXPECT(bytes_equal(query.path, bytes_of("/a/b")) && query.count == 3);
    EXPECT(strcmp(query_find(&query, "pool"), "x/y z") == 0);
    EXPECT(strcmp(query_find(&query, "empty"), "") == 0);
    EXPECT(query_find(&query, "none") == NULL);
    EXPECT(query_number(&query, "limit", 1, 100, &number) && number == 10);
    EXPECT(query_number(&query, "none", 7, 100, &number) && number == 7);
    EXPECT(!query_number(&query, "limit", 1, 9, &number));
    EXPECT(!query_number(&query, "pool", 1, 9, &number));
    EXPECT(!query_number(&query, "empty", 1, 9, &number));
}

TEST(what_cannot_be_read_is_refused)
{
    static const char *const bad[] = {"/?a=%", "/?a=%4", "/?a=%zz", "/?a=%00",
                                      "/?a&b&c&d&e&f&g&h&i"};
    struct query query;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        EXPECT(!query_parse(bytes_of(bad[i]), &query));
    EXPECT(query_parse(bytes_of("/?"), &query) && query.count == 0);
}

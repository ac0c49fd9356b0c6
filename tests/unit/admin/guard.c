#include "admin/guard.c"

#include "test.h"

TEST(only_names_that_no_page_can_have_are_local)
{
    static const char *const local[] = {"127.0.0.1", "10.20.30.255", "[::1]", "localhost",
                                        "LocalHost"};
    static const char *const foreign[] = {"evil.example", "evil1",      "1.2.3.4.evil.example",
                                          "1.2.3.4.5",    "1.2.3",      "127.1",
                                          "1.2.3.256",    "1.2.3.4.",   ".1.2.3.4",
                                          "1..2.3",       "0001.2.3.4", "localhost.evil.example",
                                          "xlocalhost",   "",           "[",
                                          "[]",           "x1.2.3.4"};

    for (size_t i = 0; i < sizeof local / sizeof local[0]; i++)
        EXPECT(guard_is_local_name(bytes_of(local[i])));
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
        EXPECT(!guard_is_local_name(bytes_of(foreign[i])));
}

TEST(an_origin_is_ours_only_with_the_same_host_and_port)
{
    static const struct {
        const char *origin, *host;
        bool is_same;
    } rows[] = {
        {"http://127.0.0.1:9900", "127.0.0.1:9900", true},
        {"HTTP://LOCALHOST:9900", "localhost:9900", true},
        {"https://[::1]:9900", "[::1]:9900", true},
        {"http://127.0.0.1:9901", "127.0.0.1:9900", false},
        {"http://127.0.0.1", "127.0.0.1:9900", false},
        {"http://127.0.0.1:9900.evil.example", "127.0.0.1:9900", false},
        {"http://evil.example", "127.0.0.1:9900", false},
        {"null", "127.0.0.1:9900", false},
        {"", "", false},
        {"http://", "", false},
        {"127.0.0.1:9900", "127.0.0.1:9900", false},
        {"file://127.0.0.1:9900", "127.0.0.1:9900", false},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        EXPECT(guard_is_same_host(bytes_of(rows[i].origin), bytes_of(rows[i].host)) ==
               rows[i].is_same);
}

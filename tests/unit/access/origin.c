#include "access/origin.c"

#include "test.h"

#include <stdio.h>

/* -1: the pattern is none; 0: refused; 1: welcome. */
static int matches(const char *pattern_text, const char *origin_text, const char *host)
{
    struct origin pattern, origin;

    if (!origin_pattern_parse(bytes_of(pattern_text), &pattern))
        return -1;
    return origin_parse(bytes_of(origin_text), &origin) &&
           origin_matches(&pattern, &origin, bytes_of(host));
}

TEST(origins_are_compared_by_their_parts)
{
    static const struct {
        const char *pattern, *origin;
        int wanted;
    } rows[] = {
        {"https://app.example.com", "https://app.example.com", 1},
        {"https://app.example.com", "HTTPS://APP.example.com:443", 1},
        {"https://app.example.com:443", "https://app.example.com", 1},
        {"https://app.example.com", "http://app.example.com", 0},
        {"https://app.example.com", "https://app.example.com:8443", 0},
        {"https://app.example.com:8443", "https://app.example.com:8443", 1},
        {"https://app.example.com", "https://app.example.com.evil.test", 0},
        {"https://app.example.com", "https://evil.test/app.example.com", 0},
        {"https://app.example.com", "https://app.example.com/", 0},
        {"https://app.example.com", "https://user@app.example.com", 0},
        {"https://app.example.com", "null", 0},
        {"https://app.example.com", "", 0},
        {"https://app.example.com", "app.example.com", 0},
        {"https://*.example.com", "https://a.example.com", 1},
        {"https://*.example.com", "https://a.b.example.com", 1},
        {"https://*.example.com", "https://example.com", 0},
        {"https://*.example.com", "https://.example.com", 0},
        {"https://*.example.com", "https://evilexample.com", 0},
        {"https://*.example.com", "https://a.example.com:444", 0},
        {"https://*.example.com", "https://*.example.com", 1},
        {"http://[::1]:3000", "http://[::1]:3000", 1},
        {"http://localhost:3000", "http://localhost:3000", 1},
        {"chrome-extension://abcdef", "chrome-extension://abcdef", 1},
        {"chrome-extension://abcdef", "chrome-extension://abcdeg", 0},
        {"null", "null", 1},
        {"null", "https://app.example.com", 0},
        {"*", "https://app.example.com", -1},
        {"app.example.com", "https://app.example.com", -1},
        {"https://", "https://", -1},
        {"https://*", "https://a", -1},
        {"https://*.", "https://a", -1},
        {"https://a.*.example.com", "https://a.b.example.com", -1},
        {"https://app.example.com/", "https://app.example.com", -1},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int is = matches(rows[i].pattern, rows[i].origin, "x");
        if (is != rows[i].wanted && !(rows[i].wanted == 0 && is < 0))
            print_error("%s for %s: %d\n", rows[i].origin, rows[i].pattern, is);
        EXPECT(is == rows[i].wanted);
    }
}

TEST(same_is_the_host_that_is_asked)
{
    EXPECT(matches("same", "https://app.example.com", "app.example.com") == 1);
    EXPECT(matches("same", "https://app.example.com", "APP.example.com:443") == 1);
    EXPECT(matches("same", "http://app.example.com:8080", "app.example.com:8080") == 1);
    EXPECT(matches("same", "http://app.example.com", "app.example.com:8080") == 0);
    EXPECT(matches("same", "https://evil.test", "app.example.com") == 0);
    EXPECT(matches("same", "null", "app.example.com") == 0);
    EXPECT(matches("same", "https://app.example.com", "") == 0);
}

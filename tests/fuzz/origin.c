/* Origins, and patterns for them, with a line feed between. An origin that is a pattern matches
 * itself; no pattern but itself matches what ends in another host. */
#include "access/origin.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes in = exact((struct bytes){at, len});
    size_t end = bytes_find(in, bytes_of("\n"), 0);
    struct origin pattern, origin;
    bool is_pattern = origin_pattern_parse(bytes_slice(in, 0, end), &pattern);
    bool is_origin = origin_parse(bytes_from(in, end + 1), &origin);

    if (is_origin) {
        REQUIRE(is_inside(origin.scheme, in) && is_inside(origin.host, in));
        REQUIRE(origin_matches(&origin, &origin, bytes_of("")));
        REQUIRE(!origin.is_below && !origin.is_same && (origin.is_null || origin.host.len));
    }
    if (is_origin && is_pattern && origin_matches(&pattern, &origin, bytes_of("x.example"))) {
        size_t tail = pattern.is_same ? 0 : pattern.host.len;
        REQUIRE(origin.host.len >= tail);
        REQUIRE(bytes_equal_nocase(bytes_from(origin.host, origin.host.len - tail),
                                   bytes_slice(pattern.host, 0, tail)));
    }
    exact_free(in);
    return 0;
}

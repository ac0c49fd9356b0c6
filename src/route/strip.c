/* The segments of the path as received are walked like url_path_normalise walks the decoded ones,
 * so that they stand beside each other: which segments go is decided on the decoded ones, and what
 * stays is written as received, escapes and all. */
#include "route/strip.h"

#include <errno.h>

/* Whether it is `count` dots, some of them perhaps as %2e. */
static bool is_dots(struct bytes segment, size_t count)
{
    size_t dots = 0;

    for (size_t i = 0; i < segment.len; dots++) {
        bool is_escape = segment.len - i >= 3 && segment.at[i] == '%' && segment.at[i + 1] == '2' &&
                         (segment.at[i + 2] | 0x20) == 'e';
        if (segment.at[i] != '.' && !is_escape)
            return false;
        i += is_escape ? 3 : 1;
    }
    return dots == count;
}

/* The segments as received; false: not what `normal` has, which cannot be for the same path. */
static bool split(struct bytes path, struct bytes segment[URL_SEGMENTS_MAX], size_t *ret_count)
{
    size_t count = 0;

    while (path.len) {
        size_t end = bytes_find(path, bytes_of("/"), 1);
        struct bytes one = bytes_slice(path, 1, end);
        bool is_last = end == path.len, is_up = is_dots(one, 2);
        path = bytes_from(path, end);
        if (is_up && count-- == 0)
            return false;
        if (is_up || is_dots(one, 1)) {
            one.len = 0;
            if (!is_last)
                continue;
        }
        if (count == URL_SEGMENTS_MAX)
            return false;
        segment[count++] = one;
    }
    *ret_count = count;
    return true;
}

bool strip_write(const struct route_rule *prefix, struct bytes path, const struct url_path *normal,
                 struct buf *to, int *ret_error)
{
    const struct route_asked asked = {.path = normal};
    struct bytes segment[URL_SEGMENTS_MAX];
    size_t count = 0, from = route_rule_segments(prefix);

    *ret_error = 0;
    if (!path.len || path.at[0] != '/' || !route_rule_matches(prefix, &asked, NULL) ||
        !split(path, segment, &count) || count != normal->count)
        return false;
    while (from + 1 < count && segment[from].len == 0)
        from++; /* "/v1//x" is "/x": "//x" would be a host to some */
    int error = from >= count ? buf_append(to, bytes_of("/")) : 0;
    for (size_t i = from; !error && i < count; i++) {
        error = buf_append(to, bytes_of("/"));
        if (!error)
            error = buf_append(to, segment[i]);
    }
    *ret_error = error;
    return !error;
}

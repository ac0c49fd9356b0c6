/* Paths, targets and hosts. No segment that a route sees is a dot segment or holds NUL, and no path
 * passes that climbs out for whoever decodes its slashes, backslashes and dots. */
#include "codec/url.h"

#include "fuzz.h"

static int hex_at(struct bytes b, size_t i)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *found = i < b.len && b.at[i] ? strchr(digits, b.at[i]) : NULL;

    return found ? (int)((found - digits) % 16) : -1;
}

/* Decodes everything and walks it, as the most generous server would. */
static bool climbs_for_somebody(struct bytes path)
{
    uint8_t *plain = malloc(path.len + 1);
    size_t len = 0;
    int depth = 0;
    bool climbs = false;

    REQUIRE(plain != NULL);
    for (size_t i = 0; i < path.len; i++, len++) {
        plain[len] = path.at[i];
        if (path.at[i] == '%' && hex_at(path, i + 1) >= 0 && hex_at(path, i + 2) >= 0) {
            plain[len] = (uint8_t)(hex_at(path, i + 1) * 16 + hex_at(path, i + 2));
            i += 2;
        }
    }
    for (size_t from = 0, to; from <= len; from = to + 1) {
        for (to = from; to < len && plain[to] != '/' && plain[to] != '\\';)
            to++;
        struct bytes part = {plain + from, to - from};
        if (bytes_equal(part, bytes_of("..")))
            climbs |= --depth < 0;
        else if (part.len && !bytes_equal(part, bytes_of(".")))
            depth++;
    }
    free(plain);
    return climbs;
}

static void is_safe(struct bytes path)
{
    struct bytes memory = exact(path);
    struct url_path normal;
    size_t total = 0;

    if (url_path_normalise(path, (uint8_t *)memory.at, &normal)) {
        REQUIRE(normal.count >= 1 && normal.count <= URL_SEGMENTS_MAX &&
                !climbs_for_somebody(path));
        for (size_t i = 0; i < normal.count; i++) {
            struct bytes s = normal.segment[i];
            REQUIRE(is_inside(s, memory) || is_inside(s, path));
            REQUIRE(!bytes_equal(s, bytes_of(".")) && !bytes_equal(s, bytes_of("..")));
            REQUIRE(!s.len || !memchr(s.at, 0, s.len));
            REQUIRE(normal.has_encoded_slash || !s.len || !memchr(s.at, '/', s.len));
            total += s.len;
        }
        REQUIRE(total <= path.len);
    }
    exact_free(memory);
}

static void is_host(struct bytes in)
{
    struct bytes name;
    uint16_t port;

    if (!url_host_parse(in, &name, &port))
        return;
    REQUIRE(name.len && name.at == in.at && (name.len == in.len || in.at[name.len] == ':'));
    for (size_t i = 0; i < name.len; i++)
        REQUIRE(name.at[i] > ' ' && name.at[i] < 0x7f && !strchr("/\\?#@%\"<>{}|^`", name.at[i]));
    REQUIRE(name.at[0] == '[' || !memchr(name.at, ':', name.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes in = exact((struct bytes){at, len});
    struct url_target target;

    is_safe(in);
    is_host(in);
    if (url_target_parse(in, &target)) {
        REQUIRE(is_inside(target.scheme, in) && is_inside(target.authority, in) &&
                is_inside(target.query, in));
        REQUIRE(target.path.len &&
                (target.path.at[0] == '/' || bytes_equal(target.path, bytes_of("*"))));
        REQUIRE(!memchr(target.path.at, '?', target.path.len) &&
                (target.scheme.len != 0) == (target.authority.len != 0));
        is_safe(target.path);
        is_host(target.authority);
    }
    exact_free(in);
    return 0;
}

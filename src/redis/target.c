/* From left to right, each part cut off the front of what is left. Nothing is shown in words that
 * stands before an '@'. */
#include "redis/target.h"

#include "base/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define REDIS_PORT    6379
#define SENTINEL_PORT 26379
#define DB_MAX        9999

enum scheme_kind { SCHEME_REDIS, SCHEME_UNIX, SCHEME_SENTINEL };

static const struct {
    const char *text;
    enum scheme_kind kind;
} schemes[] = {
    {"redis://", SCHEME_REDIS},
    {"redis+unix://", SCHEME_UNIX},
    {"redis+sentinel://", SCHEME_SENTINEL},
};

struct reading {
    struct bytes left;
    struct redis_target *target;
    char *words; /* 256 */
};

static bool complain(struct reading *r, const char *words)
{
    snprintf(r->words, 256, "%s", words);
    return false;
}

/* Cut off the front, up to `stop`, which goes too; all of it where there is none. */
static struct bytes cut(struct bytes *left, uint8_t stop)
{
    const uint8_t *at = left->len ? memchr(left->at, stop, left->len) : NULL;
    size_t len = at ? (size_t)(at - left->at) : left->len;
    struct bytes part = bytes_slice(*left, 0, len);

    *left = bytes_from(*left, at ? len + 1 : len);
    return part;
}

static int digit(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Percent-decoded; false: malformed, or no room. */
static bool decode(struct bytes from, char *to, size_t size)
{
    size_t len = 0;

    for (size_t i = 0; i < from.len; i++) {
        int c = from.at[i];
        if (c == '%') {
            int high = i + 2 < from.len ? digit(from.at[i + 1]) : -1;
            int low = i + 2 < from.len ? digit(from.at[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = high << 4 | low;
            i += 2;
        }
        if (!c || len + 1 >= size)
            return false;
        to[len++] = (char)c;
    }
    to[len] = '\0';
    return true;
}

static bool read_number(struct bytes text, unsigned max, unsigned *ret_number)
{
    unsigned number = 0;

    if (!text.len || text.len > 5)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        number = number * 10 + (unsigned)(text.at[i] - '0');
    }
    *ret_number = number;
    return number <= max;
}

static bool read_secrets(struct reading *r, struct bytes *authority)
{
    const uint8_t *at = authority->len ? memrchr(authority->at, '@', authority->len) : NULL;

    if (!at)
        return true;
    struct bytes secrets = {authority->at, (size_t)(at - authority->at)};
    *authority = bytes_from(*authority, secrets.len + 1);
    if (!memchr(secrets.at, ':', secrets.len))
        return complain(r, "write user:password@ or :password@ before the host");
    struct bytes user = cut(&secrets, ':');
    if (!decode(user, r->target->user, sizeof r->target->user) ||
        !decode(secrets, r->target->password, sizeof r->target->password))
        return complain(r, "user or password is too long, or has a % without two hex digits");
    if (!r->target->password[0])
        return complain(r, "the password before the @ is empty");
    return true;
}

static bool read_place(struct reading *r, struct bytes text, uint16_t port)
{
    struct redis_target *target = r->target;

    if (target->count == REDIS_PLACES_MAX)
        return complain(r, "16 Sentinels are the most");
    if (redis_place_parse(text, port, &target->place[target->count++]))
        return true;
    return complain(r,
                    "the host is none: write a name, 127.0.0.1 or [::1], with or without a :PORT");
}

static bool read_db(struct reading *r, struct bytes text)
{
    if (text.len && !read_number(text, DB_MAX, &r->target->db))
        return complain(r, "the database behind the last / is no number, such as 0");
    return true;
}

static bool read_server(struct reading *r)
{
    struct bytes authority = cut(&r->left, '/');

    return read_secrets(r, &authority) && read_place(r, authority, REDIS_PORT) &&
           read_db(r, r->left);
}

static bool read_socket(struct reading *r)
{
    struct bytes path = cut(&r->left, '?'), key = bytes_of("db=");
    struct endpoint *place = &r->target->place[r->target->count++].endpoint;

    if (!read_secrets(r, &path))
        return false;
    place->is_unix = true;
    place->path = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (!path.len || path.at[0] != '/' || path.len >= sizeof place->path.sun_path)
        return complain(r, "the path of the socket must begin with / and have 107 bytes at most");
    memcpy(place->path.sun_path, path.at, path.len);
    if (r->left.len && !bytes_equal(bytes_slice(r->left, 0, key.len), key))
        return complain(r, "only ?db=N may stand behind the path");
    return read_db(r, bytes_from(r->left, key.len));
}

static bool read_sentinels(struct reading *r)
{
    struct bytes authority = cut(&r->left, '/');
    struct bytes master = cut(&r->left, '/');

    if (!read_secrets(r, &authority))
        return false;
    while (authority.len)
        if (!read_place(r, cut(&authority, ','), SENTINEL_PORT))
            return false;
    if (!r->target->count)
        return complain(r,
                        "the Sentinels are missing: redis+sentinel://HOST:PORT,HOST:PORT/MASTER");
    if (!master.len || !decode(master, r->target->master, sizeof r->target->master))
        return complain(
            r, "behind the Sentinels a / and the master's name must stand, as they call it");
    r->target->is_sentinel = true;
    return read_db(r, r->left);
}

static bool is_plain(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] <= ' ' || text.at[i] == 0x7f)
            return false;
    return true;
}

int redis_target_parse(const char *url, struct redis_target *ret_target, char ret_words[256])
{
    struct redis_target target = {0};
    struct reading r = {.left = bytes_of(url), .target = &target, .words = ret_words};
    bool (*const read[])(struct reading *) = {[SCHEME_REDIS] = read_server,
                                              [SCHEME_UNIX] = read_socket,
                                              [SCHEME_SENTINEL] = read_sentinels};

    if (!is_plain(r.left)) {
        complain(&r, "blanks must be written as %20");
        return -EINVAL;
    }
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        struct bytes scheme = bytes_of(schemes[i].text);
        if (!bytes_equal(bytes_slice(r.left, 0, scheme.len), scheme))
            continue;
        r.left = bytes_from(r.left, scheme.len);
        if (!read[schemes[i].kind](&r))
            return -EINVAL;
        *ret_target = target;
        return 0;
    }
    complain(&r,
             "it must begin with redis://, redis+unix:// or redis+sentinel:// (TLS is not spoken)");
    return -EINVAL;
}

/* Strict: a name that only looks like an address is a name. */
#include "admin/guard.h"

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* Four decimal numbers up to 255. Shorter and other forms, which resolvers take too, are not
 * accepted: no one needs them. */
static bool is_ipv4(struct bytes name)
{
    unsigned parts = 0, digits = 0, value = 0;

    for (size_t i = 0; i <= name.len; i++) {
        if (i < name.len && is_digit(name.at[i])) {
            value = value * 10 + (unsigned)(name.at[i] - '0');
            if (++digits > 3 || value > 255)
                return false;
            continue;
        }
        if (!digits || (i < name.len && name.at[i] != '.'))
            return false;
        parts++;
        digits = value = 0;
    }
    return parts == 4;
}

bool guard_is_local_name(struct bytes name)
{
    if (name.len > 2 && name.at[0] == '[' && name.at[name.len - 1] == ']')
        return true; /* what is in brackets was parsed as an address, or the head would have been
                        refused */
    return is_ipv4(name) || bytes_equal_nocase(name, bytes_of("localhost"));
}

static bool begins_with(struct bytes text, const char *prefix)
{
    struct bytes wanted = bytes_of(prefix);

    return bytes_equal_nocase(bytes_slice(text, 0, wanted.len), wanted);
}

bool guard_is_same_host(struct bytes origin, struct bytes host)
{
    static const char *const schemes[] = {"http://", "https://"};

    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (begins_with(origin, schemes[i]))
            return host.len && bytes_equal_nocase(bytes_from(origin, strlen(schemes[i])), host);
    return false;
}

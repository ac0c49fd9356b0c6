/* The hash mixes well enough for everything that places by it, and is public: who may choose names
 * of rooms can choose them to meet on one server. Limits answer that, not the hash; one with a
 * secret would need the same secret on all nodes. */
#include "route/key.h"

#include "base/check.h"
#include "route/template.h"

static const struct {
    const char *name;
    enum key_kind kind;
} kinds[] = {
    {"header.", KEY_HEADER}, {"cookie.", KEY_COOKIE}, {"query.", KEY_QUERY},
    {"path.", KEY_PATH},     {"jwt.", KEY_JWT},
};

/* A claim's name may be anything that can be seen. */
static bool is_name(enum key_kind kind, struct bytes name)
{
    if (kind != KEY_JWT)
        return http1_is_token(name);
    for (size_t i = 0; i < name.len; i++)
        if (name.at[i] <= ' ' || name.at[i] == 0x7f)
            return false;
    return name.len;
}

bool key_parse(const char *text, struct key *ret_key)
{
    struct bytes whole = bytes_of(text);
    size_t dot = bytes_find(whole, bytes_of("."), 0);
    struct bytes head = bytes_slice(whole, 0, dot + 1), name = bytes_from(whole, dot + 1);

    if (strcmp(text, "client") == 0 || strcmp(text, "subprotocol") == 0) {
        *ret_key = (struct key){.kind = text[0] == 'c' ? KEY_CLIENT : KEY_SUBPROTOCOL};
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (!bytes_equal(head, bytes_of(kinds[i].name)) || !is_name(kinds[i].kind, name))
            continue;
        *ret_key = (struct key){kinds[i].kind, name};
        return true;
    }
    return false;
}

/* --- finding it ---------------------------------------------------------------------------------
 */

/* NAME=VALUE among pairs that `between` separates; blanks before a name are none of it. */
static struct bytes find_pair(struct bytes pairs, const char *between, struct bytes name)
{
    while (pairs.len) {
        size_t end = bytes_find(pairs, bytes_of(between), 0);
        struct bytes pair = bytes_slice(pairs, 0, end);
        while (pair.at && pair.len && pair.at[0] == ' ')
            pair = bytes_from(pair, 1);
        size_t equals = bytes_find(pair, bytes_of("="), 0);
        if (bytes_equal(bytes_slice(pair, 0, equals), name))
            return bytes_from(pair, equals + 1);
        pairs = bytes_from(pairs, end + 1);
    }
    return pairs;
}

static struct bytes find_field(const struct facts *facts, struct bytes name)
{
    for (size_t i = 0; facts->request && i < facts->request->field_count; i++)
        if (bytes_equal_nocase(facts->request->field[i].name, name))
            return facts->request->field[i].value;
    return (struct bytes){0};
}

static struct bytes find_cookie(const struct facts *facts, struct bytes name)
{
    for (size_t i = 0; facts->request && i < facts->request->field_count; i++) {
        const struct http1_field *field = &facts->request->field[i];
        if (!bytes_equal_nocase(field->name, bytes_of("cookie")))
            continue;
        struct bytes value = find_pair(field->value, ";", name);
        if (value.len)
            return value;
    }
    return (struct bytes){0};
}

static struct bytes find_param(const struct facts *facts, struct bytes name)
{
    for (size_t i = 0; facts->params && i < facts->params->count; i++)
        if (bytes_equal(facts->params->param[i].name, name))
            return facts->params->param[i].value;
    return (struct bytes){0};
}

static struct bytes find_subprotocol(const struct facts *facts)
{
    struct bytes offered = find_field(facts, bytes_of("sec-websocket-protocol")), first = {0};

    return http1_list_next(&offered, &first) ? first : (struct bytes){0};
}

struct bytes key_find(const struct key *key, const struct facts *facts)
{
    switch (key->kind) {
    case KEY_NONE:
        break;
    case KEY_CLIENT:
        return facts->client;
    case KEY_HEADER:
        return find_field(facts, key->name);
    case KEY_COOKIE:
        return find_cookie(facts, key->name);
    case KEY_QUERY:
        return find_pair(facts->query, "&", key->name);
    case KEY_PATH:
        return find_param(facts, key->name);
    case KEY_JWT:
        return facts->claim ? facts->claim(facts->claims, key->name) : (struct bytes){0};
    case KEY_SUBPROTOCOL:
        return find_subprotocol(facts);
    }
    return (struct bytes){0};
}

/* --- as it counts -------------------------------------------------------------------------------
 */

static bool is_hex(uint8_t c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static unsigned hex_of(uint8_t c)
{
    return c <= '9' ? c - (unsigned)'0' : (c | 0x20u) - 'a' + 10u;
}

static bool is_escape(struct bytes value, size_t at)
{
    return value.at[at] == '%' && at + 2 < value.len && is_hex(value.at[at + 1]) &&
           is_hex(value.at[at + 2]);
}

/* What is no escape after all stands for itself. */
static struct bytes decode(struct bytes value, uint8_t memory[KEY_BYTES_MAX])
{
    size_t len = 0;

    for (size_t i = 0; i < value.len && len < KEY_BYTES_MAX; i++) {
        uint8_t c = value.at[i] == '+' ? ' ' : value.at[i];
        if (is_escape(value, i)) {
            c = (uint8_t)(hex_of(value.at[i + 1]) << 4 | hex_of(value.at[i + 2]));
            i += 2;
        }
        memory[len++] = c;
    }
    return (struct bytes){memory, len};
}

struct bytes key_read(const struct key *key, const struct facts *facts,
                      uint8_t memory[KEY_BYTES_MAX])
{
    struct bytes value = key_find(key, facts);

    if (key->kind == KEY_QUERY && value.at)
        return decode(value, memory);
    return bytes_slice(value, 0, KEY_BYTES_MAX);
}

/* --- SipHash-2-4 --------------------------------------------------------------------------------
 */

static uint64_t turn_left(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = turn_left(v[1], 13) ^ v[0];
    v[0] = turn_left(v[0], 32);
    v[2] += v[3];
    v[3] = turn_left(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = turn_left(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = turn_left(v[1], 17) ^ v[2];
    v[2] = turn_left(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    sip_round(v);
    v[0] ^= word;
}

static uint64_t little_endian(const uint8_t *at, size_t count)
{
    uint64_t word = 0;

    for (size_t i = 0; i < count; i++)
        word |= (uint64_t)at[i] << (8 * i);
    return word;
}

uint64_t key_hash(struct bytes value)
{
    const uint64_t k0 = 0x0706050403020100u, k1 = 0x0f0e0d0c0b0a0908u;
    uint64_t v[4] = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
                     k1 ^ 0x7465646279746573u};
    size_t at = 0;

    for (; at + 8 <= value.len; at += 8)
        sip_word(v, little_endian(value.at + at, 8));
    uint64_t rest = at < value.len ? little_endian(value.at + at, value.len - at) : 0;
    sip_word(v, (uint64_t)value.len << 56 | rest);
    v[2] ^= 0xff;
    for (unsigned i = 0; i < 4; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* Values are compared and digested as they came: what percent-decoding or quotes would make equal
 * stays different, as no two clients' sessions may become one by our reading. */
#include "session/sticky.h"

#include "base/check.h"
#include "crypto/crypto.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define USEC_PER_SEC UINT64_C(1000000)
#define SID_MAX      128

static const struct {
    const char *name, *words;
} outcomes[] = {
#define OUTCOME(name, words) {#name, words},
    STICKY_OUTCOMES(OUTCOME)
#undef OUTCOME
};

const char *sticky_outcome_name(enum sticky_outcome outcome)
{
    return outcomes[outcome].name;
}

const char *sticky_outcome_words(enum sticky_outcome outcome)
{
    return outcomes[outcome].words;
}

const char *sticky_key_write(const struct sticky_key *key, char text[STICKY_KEY_TEXT_BYTES])
{
    for (size_t i = 0; i < STICKY_KEY_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", key->at[i]);
    return text;
}

/* "cookie.N", "header.N" */
static void split_learnt(struct sticky *sticky, struct bytes text)
{
    size_t dot = bytes_find(text, bytes_of("."), 0);

    sticky->is_cookie = bytes_equal(bytes_slice(text, 0, dot), bytes_of("cookie"));
    sticky->name = bytes_from(text, dot + 1);
}

void sticky_init(struct sticky *sticky, const struct sticky_settings *settings, const char *scope)
{
    *sticky = (struct sticky){0};
    if (settings->kind == STICKY_NONE)
        return;
    sticky->settings = settings;
    sticky->scope = scope;
    sticky->is_cookie = settings->kind == STICKY_COOKIE;
    if (settings->kind == STICKY_SOCKET_IO)
        sticky->name = bytes_of("sid");
    else if (settings->kind == STICKY_LEARN)
        split_learnt(sticky, bytes_of(settings->name));
    else if (settings->kind != STICKY_SOURCE)
        sticky->name = bytes_of(settings->name);
}

/* --- what a request says ------------------------------------------------------------------------
 */

static struct bytes without_blanks(struct bytes text)
{
    while (text.len && (text.at[0] == ' ' || text.at[0] == '\t'))
        text = bytes_from(text, 1);
    while (text.len && (text.at[text.len - 1] == ' ' || text.at[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/* NAME=VALUE, from the front of *rest on; false: there is none (more). */
static bool next_pair(struct bytes *rest, const char *between, struct bytes name,
                      struct bytes *ret_value)
{
    while (rest->len) {
        size_t end = bytes_find(*rest, bytes_of(between), 0);
        struct bytes pair = without_blanks(bytes_slice(*rest, 0, end));
        size_t equals = bytes_find(pair, bytes_of("="), 0);
        *rest = bytes_from(*rest, end + 1);
        *ret_value = bytes_from(pair, equals + 1);
        if (ret_value->len && bytes_equal(bytes_slice(pair, 0, equals), name))
            return true;
    }
    return false;
}

static struct bytes cookie_value(const struct http1_head *request, struct bytes name, unsigned nth)
{
    for (size_t i = 0; i < request->field_count; i++) {
        struct bytes rest = request->field[i].value, value;
        if (!bytes_equal_nocase(request->field[i].name, bytes_of("cookie")))
            continue;
        while (next_pair(&rest, ";", name, &value))
            if (nth-- == 0)
                return value;
    }
    return (struct bytes){0};
}

static struct bytes field_value(const struct http1_head *head, struct bytes name, unsigned nth)
{
    for (size_t i = 0; i < head->field_count; i++)
        if (head->field[i].value.len && bytes_equal_nocase(head->field[i].name, name) && nth-- == 0)
            return head->field[i].value;
    return (struct bytes){0};
}

static struct bytes source_value(const struct sticky *sticky, const struct sticky_ask *ask,
                                 unsigned nth, struct ip *memory)
{
    if (nth || ask->client.family == IP_UNIX)
        return (struct bytes){0};
    *memory = sticky_source(&ask->client, (unsigned)sticky->settings->source_bits);
    return (struct bytes){(const uint8_t *)memory, sizeof *memory};
}

struct bytes sticky_value(const struct sticky *sticky, const struct sticky_ask *ask, unsigned nth,
                          struct ip *memory)
{
    struct bytes rest = ask->query, value;

    if (sticky->settings->kind == STICKY_SOURCE)
        return source_value(sticky, ask, nth, memory);
    if (!ask->request || nth >= STICKY_VALUES_MAX)
        return (struct bytes){0};
    if (sticky->is_cookie)
        return cookie_value(ask->request, sticky->name, nth);
    if (sticky->settings->kind == STICKY_LEARN)
        return field_value(ask->request, sticky->name, nth);
    return nth == 0 && next_pair(&rest, "&", sticky->name, &value) ? value : (struct bytes){0};
}

int sticky_key_of(const struct sticky *sticky, struct bytes value, struct sticky_key *ret_key)
{
    const uint8_t kind = (uint8_t)sticky->settings->kind;
    const struct bytes parts[] = {
        {&kind, 1},   bytes_of(sticky->scope),  {(const uint8_t *)"", 1},
        sticky->name, {(const uint8_t *)"", 1}, value,
    };
    uint8_t digest[SHA256_LEN];

    if (value.len > STICKY_VALUE_MAX)
        return -EMSGSIZE;
    int error = crypto_sha256(parts, ARRAY_LEN(parts), digest);
    if (!error)
        memcpy(ret_key->at, digest, sizeof ret_key->at);
    return error;
}

struct ip sticky_source(const struct ip *client, unsigned bits)
{
    return ip_network(client, client->family == IP_V6 ? 2 * bits : bits);
}

/* --- what is made of it -------------------------------------------------------------------------
 */

static bool is_drained(const struct server *server)
{
    return atomic_load_explicit(&server->admin, memory_order_relaxed) == SERVER_DRAIN ||
           atomic_load_explicit(&server->check, memory_order_relaxed) == CHECK_DRAINING;
}

static bool is_full(const struct members *members, const struct server *server)
{
    for (size_t i = 0; i < members_count(members); i++) {
        uint32_t most = members_spec(members, i)->max_connections;
        if (members_server(members, i) == server)
            return most && atomic_load_explicit(&server->active, memory_order_relaxed) >= most;
    }
    return false;
}

/* A seat may be free in a moment, but more likely its tunnels last for hours. */
enum sticky_outcome sticky_judge_server(const struct members *members,
                                        const struct address *address, uint64_t now_usec,
                                        struct server **ret_server)
{
    struct server *server = members_find(members, address);

    *ret_server = server;
    if (!server)
        return OUTCOME_server_down;
    if (!server_is_usable(server, now_usec))
        return is_drained(server) ? OUTCOME_reassigned : OUTCOME_server_down;
    return is_full(members, server) ? OUTCOME_reassigned : OUTCOME_valid;
}

enum sticky_outcome sticky_settle(enum sticky_outcome before, bool is_home, bool was_tried)
{
    switch (before) {
    case OUTCOME_valid: /* it was there, but did not answer, or the request's shard is elsewhere */
        if (is_home)
            return OUTCOME_valid;
        return was_tried ? OUTCOME_server_down : OUTCOME_reassigned;
    case OUTCOME_server_down:
    case OUTCOME_reassigned: /* it was chosen all the same */
        return is_home ? OUTCOME_valid : before;
    default:
        return before;
    }
}

bool sticky_is_due(const struct sticky_settings *settings, uint64_t issued_sec, uint64_t now_sec)
{
    uint64_t life_sec = settings->max_age / USEC_PER_SEC;

    return life_sec && now_sec >= issued_sec + life_sec / 2;
}

int sticky_write_cookie(const struct sticky_settings *settings, const char *value, bool is_https,
                        struct buf *to)
{
    static const char *const same_site[] = {"Lax", "Strict", "None"};
    bool is_secure =
        settings->secure == SECURE_YES ||
        (settings->secure == SECURE_AUTO && (is_https || settings->same_site == SAME_SITE_NONE));
    char age[40] = "";

    if (settings->max_age)
        snprintf(age, sizeof age, "; Max-Age=%" PRIu64, settings->max_age / USEC_PER_SEC);
    const char *const parts[] = {
        "Set-Cookie: ",
        settings->name,
        "=",
        value,
        "; Path=",
        settings->path ? settings->path : "/",
        age,
        settings->http_only ? "; HttpOnly" : "",
        is_secure ? "; Secure" : "",
        "; SameSite=",
        same_site[settings->same_site],
        "\r\n",
    };
    int error = 0;
    for (size_t i = 0; !error && i < ARRAY_LEN(parts); i++)
        error = buf_append(to, bytes_of(parts[i]));
    return error;
}

/* --- what an answer teaches ---------------------------------------------------------------------
 */

/* Of several the last one, as browsers take it. */
static struct bytes set_cookie(const struct http1_head *answer, struct bytes name)
{
    struct bytes found = {0};

    for (size_t i = 0; i < answer->field_count; i++) {
        struct bytes rest = answer->field[i].value, value;
        if (!bytes_equal_nocase(answer->field[i].name, bytes_of("set-cookie")))
            continue;
        rest = bytes_slice(rest, 0, bytes_find(rest, bytes_of(";"), 0));
        if (next_pair(&rest, ";", name, &value))
            found = value;
    }
    return found;
}

struct bytes sticky_taught(const struct sticky *sticky, const struct http1_head *answer)
{
    if (sticky->settings->kind != STICKY_LEARN)
        return (struct bytes){0};
    return sticky->is_cookie ? set_cookie(answer, sticky->name)
                             : field_value(answer, sticky->name, 0);
}

bool sticky_begins_socket_io(const struct sticky *sticky, const struct sticky_ask *ask)
{
    struct bytes rest = ask->query, value;

    if (!sticky->settings || sticky->settings->kind != STICKY_SOCKET_IO || !ask->request)
        return false;
    bool has_sid = next_pair(&rest, "&", bytes_of("sid"), &value);
    rest = ask->query;
    return !has_sid && next_pair(&rest, "&", bytes_of("EIO"), &value) &&
           bytes_equal(ask->request->method, bytes_of("GET"));
}

static bool is_of_sid(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

/* In JSONP the text is a string of JavaScript, whose quotes are escaped. */
struct bytes sticky_socket_io_sid(struct bytes payload)
{
    static const char *const forms[] = {"\"sid\":\"", "\\\"sid\\\":\\\""};

    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        size_t at = bytes_find(payload, bytes_of(forms[i]), 0);
        struct bytes rest = bytes_from(payload, at + strlen(forms[i]));
        size_t len = 0;
        while (len < rest.len && is_of_sid(rest.at[len]))
            len++;
        if (len && len <= SID_MAX && len < rest.len &&
            (rest.at[len] == '"' || rest.at[len] == '\\'))
            return bytes_slice(rest, 0, len);
    }
    return (struct bytes){0};
}

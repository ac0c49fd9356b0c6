/* RFC 9110: conditions (section 13), methods (section 9). The resource is the state: an entry that
 * has a server but no state yet is 404, and says the server all the same, so that the first server
 * can create the state by If-None-Match: *. Deleting takes the whole entry. */
#include "proxy/sessions_judge.h"

#include "base/check.h"

#include <stdio.h>

#define PATH "/sessions/"

void sessions_refuse(unsigned status, const char *words, struct session_answer *ret_answer)
{
    *ret_answer = (struct session_answer){.status = status, .words = words};
}

static int digit(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The id, percent-decoded. 0: too long, empty, or malformed. */
static size_t decode(struct bytes from, uint8_t key[STORE_KEY_MAX])
{
    size_t len = 0;

    for (size_t i = 0; i < from.len; i++) {
        uint8_t c = from.at[i];
        if (c == '%') {
            int high = i + 2 < from.len ? digit(from.at[i + 1]) : -1;
            int low = i + 2 < from.len ? digit(from.at[i + 2]) : -1;
            if (high < 0 || low < 0)
                return 0;
            c = (uint8_t)(high << 4 | low);
            i += 2;
        }
        if (len == STORE_KEY_MAX)
            return 0;
        key[len++] = c;
    }
    return len;
}

static bool judge_method(const struct http1_head *head, struct session_request *r,
                         struct session_answer *ret_answer)
{
    static const struct {
        const char *name;
        enum store_op op;
    } rows[] = {{"GET", STORE_GET},
                {"HEAD", STORE_GET},
                {"PUT", STORE_PUT_STATE},
                {"DELETE", STORE_DELETE}};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (!bytes_equal(head->method, bytes_of(rows[i].name)))
            continue;
        r->question.op = rows[i].op;
        r->is_read = rows[i].op == STORE_GET;
        r->is_head = i == 1;
        return true;
    }
    sessions_refuse(405, "GET, HEAD, PUT and DELETE are served here\n", ret_answer);
    snprintf(ret_answer->lines, sizeof ret_answer->lines, "Allow: GET, HEAD, PUT, DELETE\r\n");
    return false;
}

static bool judge_path(const struct http1_head *head, struct session_request *r,
                       struct session_answer *ret_answer)
{
    struct bytes path = head->target, prefix = bytes_of(PATH);
    const uint8_t *query = memchr(path.at, '?', path.len);

    if (query)
        path = bytes_slice(path, 0, (size_t)(query - path.at));
    struct bytes id = bytes_from(path, prefix.len);
    if (!bytes_equal(bytes_slice(path, 0, prefix.len), prefix) || !id.len ||
        memchr(id.at, '/', id.len)) {
        sessions_refuse(404, "only /sessions/{id} is served here\n", ret_answer);
        return false;
    }
    r->question.key = (struct bytes){r->key, decode(id, r->key)};
    if (r->question.key.len)
        return true;
    sessions_refuse(400, "the id must have 1 to 256 bytes, percent-encoded\n", ret_answer);
    return false;
}

/* "\"v\"": v; anything else: nothing. */
static struct bytes unquoted(struct bytes tag)
{
    bool is_tag = tag.len >= 2 && tag.at[0] == '"' && tag.at[tag.len - 1] == '"';

    return is_tag ? bytes_slice(tag, 1, tag.len - 1) : (struct bytes){0};
}

static bool is_star(struct bytes value)
{
    return value.len == 1 && value.at[0] == '*';
}

/* One condition, and of that one tag: whoever compares and sets knows which state it has read. */
static bool judge_condition(const struct http1_head *head, struct session_request *r,
                            struct session_answer *ret_answer)
{
    struct bytes match = http1_find(head, "If-Match"), none = http1_find(head, "If-None-Match");
    struct bytes version = unquoted(match);

    if (r->is_read) {
        r->if_none_match = none;
        return true;
    }
    if (http1_count(head, "If-Match") + http1_count(head, "If-None-Match") > 1 ||
        (none.at && !is_star(none))) {
        sessions_refuse(
            400, "write one condition: If-Match: \"ETAG\", If-Match: * or If-None-Match: *\n",
            ret_answer);
        return false;
    }
    if (none.at)
        r->question.condition = STORE_IF_NONE;
    else if (is_star(match))
        r->question.condition = STORE_IF_ANY;
    else if (match.at)
        r->question.condition = STORE_IF_VERSION;
    if (r->question.condition == STORE_IF_VERSION && version.len != STORE_VERSION_LEN) {
        sessions_refuse(412, "the state is another by now\n", ret_answer); /* no ETag of ours */
        return false;
    }
    r->question.version = r->question.condition == STORE_IF_VERSION ? version : (struct bytes){0};
    return true;
}

static bool judge_body(const struct http1_head *head, struct session_request *r,
                       struct session_answer *ret_answer)
{
    enum reason why = http1_request_body(head, &r->framing);

    r->question.type = http1_find(head, "Content-Type");
    if (why != REASON_DONE)
        sessions_refuse(400, "the body's length is ambiguous\n", ret_answer);
    else if (r->question.op != STORE_PUT_STATE && r->framing.kind != BODY_NONE &&
             !(r->framing.kind == BODY_LENGTH && !r->framing.left))
        sessions_refuse(400, "only PUT has a body here\n", ret_answer);
    else if (r->framing.kind == BODY_LENGTH && r->framing.left > STORE_STATE_MAX)
        sessions_refuse(413, "a state has 8192 bytes at most\n", ret_answer);
    else if (r->question.type.len > STORE_TYPE_MAX)
        sessions_refuse(400, "Content-Type has more than 128 bytes\n", ret_answer);
    else if (http1_find(head, "Content-Encoding").at)
        sessions_refuse(415, "states are kept as they are, without Content-Encoding\n", ret_answer);
    else
        return true;
    return false;
}

/* A page that a browser shows could ask for what its user can reach. */
static bool is_from_browser(const struct http1_head *head)
{
    return http1_find(head, "Origin").at || http1_find(head, "Sec-Fetch-Site").at;
}

static bool is_expected(const struct http1_head *head)
{
    struct bytes expect = http1_find(head, "Expect");

    return !expect.at || bytes_equal_nocase(expect, bytes_of("100-continue"));
}

bool sessions_judge(const struct http1_head *head, struct session_request *ret_request,
                    struct session_answer *ret_answer)
{
    struct bytes host;
    uint16_t port;

    memset(ret_request, 0, sizeof *ret_request);
    if (http1_request_host(head, &host, &port) != REASON_DONE)
        sessions_refuse(400, "there must be one Host\n", ret_answer);
    else if (is_from_browser(head))
        sessions_refuse(403, "browsers are not served here\n", ret_answer);
    else if (!is_expected(head))
        sessions_refuse(417, "only 100-continue may be expected\n", ret_answer);
    else
        return judge_method(head, ret_request, ret_answer) &&
               judge_path(head, ret_request, ret_answer) &&
               judge_condition(head, ret_request, ret_answer) &&
               judge_body(head, ret_request, ret_answer);
    return false;
}

/* --- the store's answer --------------------------------------------------------------------------
 */

static void add_line(struct session_answer *answer, const char *name, const char *before,
                     const char *value, const char *behind)
{
    size_t len = strlen(answer->lines);

    if (value[0])
        snprintf(answer->lines + len, sizeof answer->lines - len, "%s: %s%s%s\r\n", name, before,
                 value, behind);
}

/* RFC 9110 section 13.1.2: weak comparison, any of the list. */
static bool is_known(struct bytes list, const char *version)
{
    struct bytes tag, weak = bytes_of("W/");

    if (is_star(list))
        return true;
    while (http1_list_next(&list, &tag)) {
        if (bytes_equal(bytes_slice(tag, 0, weak.len), weak))
            tag = bytes_from(tag, weak.len);
        if (bytes_equal(unquoted(tag), bytes_of(version)))
            return true;
    }
    return false;
}

static void read_state(const struct session_request *request, const struct store_ask *ask,
                       struct session_answer *answer)
{
    const struct store_entry *entry = &ask->entry;

    if (!entry->version[0]) {
        sessions_refuse(404, "the session has no state\n", answer);
    } else if (request->if_none_match.at && is_known(request->if_none_match, entry->version)) {
        answer->status = 304;
    } else {
        answer->status = 200;
        answer->type = bytes_of(entry->type[0] ? entry->type : "application/octet-stream");
        if (entry->state)
            answer->state = msg_bytes(entry->state);
    }
    add_line(answer, "ETag", "\"", entry->version, "\"");
    add_line(answer, "X-Turnout-Session-Server", "", entry->server, "");
    add_line(answer, "Cache-Control", "", "no-store", "");
}

void sessions_read(const struct session_request *request, const struct store_ask *ask,
                   struct session_answer *ret_answer)
{
    *ret_answer = (struct session_answer){.status = 204};
    switch (ask->outcome) {
    case STORE_OK:
        if (request->is_read)
            read_state(request, ask, ret_answer);
        else if (request->question.op == STORE_PUT_STATE)
            add_line(ret_answer, "ETag", "\"", ask->entry.version, "\"");
        return;
    case STORE_ABSENT:
        sessions_refuse(404, "there is no such session\n", ret_answer);
        return;
    case STORE_CONFLICT:
        sessions_refuse(412, "the state is another by now\n", ret_answer);
        return;
    case STORE_PENDING:
    case STORE_GO_WITHOUT:
    case STORE_GIVE_UP:
        break;
    }
    sessions_refuse(503, ask->words ? ask->words : "the store did not answer", ret_answer);
    add_line(ret_answer, "Retry-After", "", "1", "");
}

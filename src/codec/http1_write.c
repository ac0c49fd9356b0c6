/* One pass over the fields, each kept or left out by one question; then what we owe ourselves. */
#include "codec/http1_write.h"

#include "base/check.h"

#include <errno.h>
#include <stdio.h>

static int append_text(struct buf *to, const char *text)
{
    return buf_append(to, bytes_of(text));
}

static int append_field(struct buf *to, struct bytes name, struct bytes value)
{
    int error = buf_append(to, name);

    if (!error)
        error = append_text(to, ": ");
    if (!error)
        error = buf_append(to, value);
    return error ? error : append_text(to, "\r\n");
}

static bool is_one_of(struct bytes name, const char *const *names)
{
    for (; *names; names++)
        if (bytes_equal_nocase(name, bytes_of(*names)))
            return true;
    return false;
}

/* Never passed on, whoever sends them (RFC 9110 section 7.6.1; HTTP2-Settings is h2c smuggling). */
static const char *const hop_by_hop[] = {"connection", "keep-alive",      "proxy-connection", "te",
                                         "upgrade",    "http2-settings", NULL};

/* What Connection may not take away: framing and the handshake itself. */
static const char *const indispensable[] = {"host", "content-length", "transfer-encoding", NULL};

/* What it may name in vain: others rely on what we and proxies before us say. */
static const char *const trusted_names[] = {"via", "forwarded", NULL};

static bool begins_with(struct bytes name, const char *prefix)
{
    struct bytes wanted = bytes_of(prefix);

    return bytes_equal_nocase(bytes_slice(name, 0, wanted.len), wanted);
}

static bool is_named_by_connection(const struct http1_head *head, struct bytes name)
{
    for (size_t i = 0; i < head->field_count; i++)
        if (bytes_equal_nocase(head->field[i].name, bytes_of("connection")) &&
            http1_value_lists(head->field[i].value, name))
            return true;
    return false;
}

static bool connection_names_indispensable(const struct http1_head *head)
{
    for (size_t i = 0; i < head->field_count; i++) {
        struct bytes name = head->field[i].name;
        bool is_fixed = is_one_of(name, indispensable) || begins_with(name, "sec-websocket-");
        if (is_fixed && is_named_by_connection(head, name))
            return true;
    }
    return false;
}

static bool goes_no_further(const struct http1_head *head, struct bytes name)
{
    if (is_one_of(name, hop_by_hop))
        return true;
    if (is_one_of(name, trusted_names) || begins_with(name, "x-forwarded-"))
        return false;
    return is_named_by_connection(head, name);
}

/* --- the request --------------------------------------------------------------------------------- */

static int write_request_line(struct buf *to, const struct http1_head *request)
{
    int error = buf_append(to, request->method);

    if (!error)
        error = append_text(to, " ");
    if (!error)
        error = buf_append(to, request->target);
    return error ? error : append_text(to, " HTTP/1.1\r\n");
}

static bool keeps_in_request(const struct http1_head *request, const struct http1_field *field,
                             bool is_handshake)
{
    if (is_handshake && bytes_equal_nocase(field->name, bytes_of("content-length")))
        return false; /* it was 0: some servers refuse even that */
    return !goes_no_further(request, field->name);
}

int http1_write_request(struct buf *to, const struct http1_head *request, bool is_handshake,
                        struct bytes extra)
{
    if (connection_names_indispensable(request))
        return -EPERM;

    int error = write_request_line(to, request);
    for (size_t i = 0; !error && i < request->field_count; i++)
        if (keeps_in_request(request, &request->field[i], is_handshake))
            error = append_field(to, request->field[i].name, request->field[i].value);
    if (!error && http1_lists(request, "te", "trailers"))
        error = append_text(to, "TE: trailers\r\n");
    if (!error && is_handshake)
        error = append_text(to, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
    if (!error)
        error = buf_append(to, extra);
    return error ? error : append_text(to, "\r\n");
}

/* --- the answer ---------------------------------------------------------------------------------- */

static int write_status_line(struct buf *to, unsigned status, struct bytes words)
{
    char line[32];

    snprintf(line, sizeof line, "HTTP/1.1 %u ", status);
    int error = append_text(to, line);
    if (!error)
        error = buf_append(to, words);
    return error ? error : append_text(to, "\r\n");
}

static bool keeps_in_answer(const struct http1_head *answer, struct bytes name, bool is_handshake)
{
    static const char *const not_in_a_switch[] = {"content-length", "transfer-encoding", NULL};
    static const char *const only_in_a_switch[] = {"sec-websocket-accept", NULL};

    if (is_one_of(name, is_handshake ? not_in_a_switch : only_in_a_switch))
        return false;
    return !goes_no_further(answer, name);
}

static int write_persistence(struct buf *to, bool keeps, unsigned client_minor_version)
{
    if (!keeps)
        return append_text(to, "Connection: close\r\n");
    return client_minor_version == 0 ? append_text(to, "Connection: keep-alive\r\n") : 0;
}

int http1_write_answer(struct buf *to, const struct http1_head *answer, bool is_handshake, bool keeps,
                       unsigned client_minor_version, struct bytes date, struct bytes extra)
{
    bool is_interim = answer->status < 200;
    int error = write_status_line(to, answer->status, answer->words);

    for (size_t i = 0; !error && i < answer->field_count; i++)
        if (keeps_in_answer(answer, answer->field[i].name, is_handshake))
            error = append_field(to, answer->field[i].name, answer->field[i].value);
    if (!error && date.len && !is_interim && !http1_find(answer, "date").at)
        error = append_field(to, bytes_of("Date"), date);
    if (!error && is_handshake)
        error = append_text(to, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
    else if (!error && !is_interim)
        error = write_persistence(to, keeps, client_minor_version);
    if (!error)
        error = buf_append(to, extra);
    return error ? error : append_text(to, "\r\n");
}

/* --- our own ------------------------------------------------------------------------------------- */

const char *http1_status_words(unsigned status)
{
    static const struct {
        unsigned status;
        const char *words;
    } rows[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].status == status)
            return rows[i].words;
    return "";
}

int http1_write_own(struct buf *to, unsigned status, struct bytes body, bool keeps, struct bytes date,
                    struct bytes extra)
{
    char length[48];
    int error = write_status_line(to, status, bytes_of(http1_status_words(status)));

    snprintf(length, sizeof length, "Content-Length: %zu\r\n", body.len);
    if (!error)
        error = append_text(to, "Content-Type: text/plain; charset=utf-8\r\n");
    if (!error)
        error = append_text(to, length);
    if (!error && date.len)
        error = append_field(to, bytes_of("Date"), date);
    if (!error)
        error = write_persistence(to, keeps, 1);
    if (!error)
        error = buf_append(to, extra);
    if (!error)
        error = append_text(to, "\r\n");
    return error ? error : buf_append(to, body);
}

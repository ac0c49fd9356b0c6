/* A chain of proxies is read from its near end, since only the near end is known: each trusted
 * proxy vouches for the one address it added, and for no more.
 *
 * Both families of fields are written, because servers read either. Where the peer is trusted its
 * own X-Forwarded-Proto, -Host and -Port pass, for it knows better what the client saw. */
#include "http/forwarded.h"

#include "base/check.h"

#define REQUEST_ID_MAX    128
#define TRACEPARENT_CHARS 55

/* --- who it is from ------------------------------------------------------------------------------
 */

static struct bytes unquoted(struct bytes text)
{
    if (text.len >= 2 && text.at[0] == '"' && text.at[text.len - 1] == '"')
        return bytes_slice(text, 1, text.len - 1);
    return text;
}

/* "1.2.3.4", "1.2.3.4:5", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:5". */
static bool parse_node(struct bytes text, struct ip *ret_ip)
{
    text = unquoted(text);
    size_t colon = bytes_find(text, bytes_of(":"), 0);

    if (text.len && text.at[0] == '[')
        text = bytes_slice(text, 1, bytes_find(text, bytes_of("]"), 0));
    else if (bytes_find(text, bytes_of(":"), colon + 1) >= text.len) /* one colon: no IPv6 */
        text = bytes_slice(text, 0, colon);
    return ip_parse(text, ret_ip) == 0;
}

/* The element behind the last comma, taken off the end; commas in quotes are none in what we can
 * read, for an address has none. */
static bool take_last(struct bytes *list, struct bytes *ret_element)
{
    struct bytes element = {0};

    while (list->len && element.len == 0) {
        size_t from = list->len;
        while (from > 0 && list->at[from - 1] != ',')
            from--;
        struct bytes rest = bytes_from(*list, from);
        if (!http1_list_next(&rest, &element))
            element.len = 0;
        *list = bytes_slice(*list, 0, from ? from - 1 : 0);
    }
    *ret_element = element;
    return element.len > 0;
}

/* for= of one element of Forwarded. */
static struct bytes for_of(struct bytes element)
{
    while (element.len) {
        size_t end = bytes_find(element, bytes_of(";"), 0);
        struct bytes pair = bytes_slice(element, 0, end);
        while (pair.len && (pair.at[0] == ' ' || pair.at[0] == '\t'))
            pair = bytes_from(pair, 1);
        if (bytes_equal_nocase(bytes_slice(pair, 0, 4), bytes_of("for=")))
            return bytes_from(pair, 4);
        element = bytes_from(element, end + 1);
    }
    return element;
}

static bool is_trusted(const struct forwarded *from)
{
    const struct ip ip = address_ip(from->peer);

    return cidr_set_has(from->trust, &ip);
}

void forwarded_client(const struct http1_head *request, const struct forwarded *from,
                      struct address *ret_client)
{
    bool is_chain = http1_find(request, "x-forwarded-for").at;
    struct bytes name = bytes_of(is_chain ? "x-forwarded-for" : "forwarded");

    *ret_client = *from->peer;
    if (!is_trusted(from))
        return;
    for (size_t i = request->field_count; i-- > 0;) { /* the last line is the nearest */
        struct bytes list = request->field[i].value, element;
        if (!bytes_equal_nocase(request->field[i].name, name))
            continue;
        while (take_last(&list, &element)) {
            struct ip node;
            if (!parse_node(is_chain ? element : for_of(element), &node))
                return;
            *ret_client = address_of_ip(&node, 0);
            if (!cidr_set_has(from->trust, &node))
                return;
        }
    }
}

/* --- what is told --------------------------------------------------------------------------------
 */

static int append(struct buf *to, const char *text)
{
    return buf_append(to, bytes_of(text));
}

/* All values of the field, joined; "" when there is none. The caller writes the line's name. */
static int append_joined(struct buf *to, const struct http1_head *request, const char *name,
                         bool *ret_any)
{
    int error = 0;

    *ret_any = false;
    for (size_t i = 0; !error && i < request->field_count; i++) {
        const struct http1_field *field = &request->field[i];
        if (!field->value.len || !bytes_equal_nocase(field->name, bytes_of(name)))
            continue;
        if (*ret_any)
            error = append(to, ", ");
        if (!error)
            error = buf_append(to, field->value);
        *ret_any = true;
    }
    return error;
}

/* A line's beginning: its name, and what the trusted peer said, ready for what we add. */
static int begin_chain(struct buf *to, const char *line, const struct http1_head *request,
                       const char *name, bool trusted, bool adds)
{
    bool any = false;
    int error = append(to, line);

    if (!error && trusted)
        error = append_joined(to, request, name, &any);
    return error || !any || !adds ? error : append(to, ", ");
}

/* `for=1.2.3.4;host="x:80";proto=http`: a host of a good request needs no escapes in quotes. */
static int append_pairs(struct buf *to, const struct http1_head *request,
                        const struct forwarded *from, const struct ip *ip, struct bytes host)
{
    const char *before = ip->family == IP_V6 ? "for=\"[" : "for=";
    const char *behind = ip->family == IP_V6 ? "]\";host=\"" : ";host=\"";
    int error = append(to, before);

    if (!error)
        error = buf_append(to, ip->family == IP_UNIX ? bytes_of("unknown") : host);
    if (!error)
        error = append(to, behind);
    if (!error)
        error = buf_append(to, http1_find(request, "host"));
    return error ? error : append(to, from->is_tls ? "\";proto=https\r\n" : "\";proto=http\r\n");
}

static int write_forwarded(struct buf *to, const struct http1_head *request,
                           const struct forwarded *from, bool trusted)
{
    const struct ip ip = address_ip(from->peer);
    char text[IP_TEXT_BYTES];
    struct bytes host = bytes_of(ip.family == IP_UNIX ? "" : ip_write(&ip, text));
    int error = 0;

    if (host.len || trusted) {
        error = begin_chain(to, "X-Forwarded-For: ", request, "x-forwarded-for", trusted, host.len);
        if (!error)
            error = buf_append(to, host);
        if (!error)
            error = append(to, "\r\n");
    }
    if (!error)
        error = begin_chain(to, "Forwarded: ", request, "forwarded", trusted, true);
    return error ? error : append_pairs(to, request, from, &ip, host);
}

/* A line where the (trusted) peer has said nothing of that name. */
static int write_unless_said(struct buf *to, const struct http1_head *request, bool trusted,
                             const char *name, struct bytes value)
{
    if (!value.len || (trusted && http1_find(request, name).len))
        return 0;
    int error = append(to, name);
    if (!error)
        error = append(to, ": ");
    if (!error)
        error = buf_append(to, value);
    return error ? error : append(to, "\r\n");
}

struct bytes forwarded_request_id(const struct http1_head *request)
{
    struct bytes id = http1_find(request, "x-request-id");

    if (id.len > REQUEST_ID_MAX || http1_count(request, "x-request-id") != 1)
        return (struct bytes){0};
    for (size_t i = 0; i < id.len; i++)
        if (id.at[i] <= ' ' || id.at[i] > '~' || id.at[i] == '"' || id.at[i] == ',')
            return (struct bytes){0};
    return id;
}

static bool is_lower_hex(struct bytes text, bool *ret_all_zero)
{
    *ret_all_zero = true;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
            return false;
        *ret_all_zero = *ret_all_zero && c == '0';
    }
    return true;
}

/* W3C Trace Context level 1, section 3.2.2: version 00 exactly; a later one may have more behind.
 */
static bool is_traceparent(struct bytes text)
{
    bool zero;

    if (text.len < TRACEPARENT_CHARS || text.at[2] != '-' || text.at[35] != '-' ||
        text.at[52] != '-')
        return false;
    if (!is_lower_hex(bytes_slice(text, 0, 2), &zero) ||
        bytes_equal(bytes_slice(text, 0, 2), bytes_of("ff")))
        return false;
    if (zero ? text.len != TRACEPARENT_CHARS
             : text.len > TRACEPARENT_CHARS && text.at[TRACEPARENT_CHARS] != '-')
        return false;
    return is_lower_hex(bytes_slice(text, 3, 35), &zero) && !zero &&
           is_lower_hex(bytes_slice(text, 36, 52), &zero) && !zero &&
           is_lower_hex(bytes_slice(text, 53, 55), &zero);
}

/* A new trace begins here, sampled: whoever samples by its own rules lets it be made elsewhere. */
static int write_traceparent(struct buf *to, const struct forwarded *from)
{
    char line[] = "traceparent: 00-................................-................-01\r\n";
    char *id = strchr(line, '.');

    bytes_write_hex(from->random[0] | 1, id);
    bytes_write_hex(from->random[1], id + 16);
    bytes_write_hex(from->random[2] | 1, id + 33);
    return append(to, line);
}

static const struct bytes made_anew[] = {
    {(const uint8_t *)"x-request-id", 12},
    {(const uint8_t *)"traceparent", 11},
    {(const uint8_t *)"tracestate", 10},
};

static int write_ids(struct buf *to, const struct http1_head *request, const struct forwarded *from,
                     struct http1_edits *edits)
{
    bool has_id = forwarded_request_id(request).len;
    bool has_trace =
        !from->makes_traceparent || (http1_count(request, "traceparent") == 1 &&
                                     is_traceparent(http1_find(request, "traceparent")));
    size_t first = has_id ? 1 : 0;
    int error = 0;

    edits->dropped = made_anew + first;
    edits->dropped_count = (has_trace ? 1 : ARRAY_LEN(made_anew)) - first;
    if (!has_id) {
        error = append(to, "X-Request-Id: ");
        if (!error)
            error = append(to, from->request_id);
        if (!error)
            error = append(to, "\r\n");
    }
    return error || has_trace ? error : write_traceparent(to, from);
}

static struct bytes port_text(unsigned port, char digits[8])
{
    size_t from = 8;

    for (; port; port /= 10)
        digits[--from] = (char)('0' + port % 10);
    return (struct bytes){(const uint8_t *)digits + from, 8 - from};
}

int forwarded_write(struct buf *to, const struct http1_head *request, const struct forwarded *from,
                    struct http1_edits *edits)
{
    bool trusted = is_trusted(from);
    char digits[8];
    edits->forwarded = trusted ? FORWARDED_CHAIN_DROPPED : FORWARDED_DROPPED;
    int error = write_forwarded(to, request, from, trusted);
    if (!error)
        error = write_unless_said(to, request, trusted, "X-Forwarded-Proto",
                                  bytes_of(from->is_tls ? "https" : "http"));
    if (!error)
        error = write_unless_said(to, request, trusted, "X-Forwarded-Host",
                                  http1_find(request, "host"));
    if (!error && from->port)
        error = write_unless_said(to, request, trusted, "X-Forwarded-Port",
                                  port_text(from->port, digits));
    if (!error)
        error = write_ids(to, request, from, edits);
    return error ? error : forwarded_write_via(to, request->minor_version);
}

int forwarded_write_via(struct buf *to, unsigned minor_version)
{
    return append(to, minor_version ? "Via: 1.1 turnout\r\n" : "Via: 1.0 turnout\r\n");
}

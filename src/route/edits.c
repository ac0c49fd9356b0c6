/* The fields of others are left out by whoever writes the head (http1_edits.dropped); here only
 * lines of our own are at hand. So a configuration has the last word on what we add ourselves
 * (X-Forwarded-*, X-Request-Id), too. */
#include "route/edits.h"

#include "route/teller.h"

#include "base/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define SHOWN 60

/* --- which names -------------------------------------------------------------------------------
 */

enum side { REQUEST = 1, ANSWER = 2, BOTH = 3 };

#define HOP     "belongs to one connection, and turnout says it itself"
#define FRAMING "says how long the message is; a wrong one would let requests be smuggled"

static const struct {
    const char *name; /* ending in '-': what begins so */
    enum side side;
    const char *why;
} refused[] = {
    {"connection", BOTH, HOP},
    {"keep-alive", BOTH, HOP},
    {"proxy-connection", BOTH, HOP},
    {"te", BOTH, HOP},
    {"upgrade", BOTH, HOP},
    {"http2-settings", BOTH, HOP},
    {"via", BOTH, HOP},
    {"content-length", BOTH, FRAMING},
    {"transfer-encoding", BOTH, FRAMING},
    {"trailer", BOTH, FRAMING},
    {"expect", REQUEST, "is between the client and the server, and turnout passes it on"},
    {"max-forwards", REQUEST, "is counted by turnout itself"},
    {"host", BOTH, "is what the client asked for; servers are told it as it came"},
    {"date", ANSWER, "is said by the server, or by turnout"},
};

static const char *why_refused(struct bytes name, enum side side, enum edit_op op)
{
    struct bytes ws = bytes_of("sec-websocket-");
    bool is_offer = bytes_equal_nocase(name, bytes_of("sec-websocket-extensions")) ||
                    bytes_equal_nocase(name, bytes_of("sec-websocket-protocol"));

    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        if ((refused[i].side & side) && bytes_equal_nocase(name, bytes_of(refused[i].name)))
            return refused[i].why;
    if (!bytes_equal_nocase(bytes_slice(name, 0, ws.len), ws))
        return NULL;
    if (is_offer && side == REQUEST && op == EDIT_REMOVE)
        return NULL; /* what the server does not see it cannot accept */
    return "is agreed between the client and the server; of a request, Sec-WebSocket-Extensions "
           "and -Protocol may be removed, and no more";
}

static int check_name(const struct teller *teller, const struct edit_settings *settings,
                      enum side side)
{
    struct bytes name = bytes_of(settings->name);
    const char *why = why_refused(name, side, settings->op);

    if (!http1_is_token(name) || name.len > 128)
        return teller_complain(teller,
                               "\"%.*s\" is no name of a field; it has letters, digits and \"-\"",
                               SHOWN, settings->name);
    return why ? teller_complain(teller, "%.*s %s", SHOWN, settings->name, why) : 0;
}

/* --- compiling ---------------------------------------------------------------------------------
 */

static int add_edit(struct edits *edits, const struct edit_settings *settings,
                    enum template_use use, struct teller *teller)
{
    struct edit *edit = &edits->edit[edits->count];
    char words[256];

    teller->mark = settings->mark;
    int error = check_name(teller, settings, use == TEMPLATE_REQUEST ? REQUEST : ANSWER);
    if (error)
        return error;
    *edit = (struct edit){.op = settings->op, .name = bytes_of(settings->name)};
    if (settings->op != EDIT_REMOVE)
        error = settings->is_literal ? template_new_literal(settings->value, &edit->value, words)
                                     : template_new(settings->value, use, &edit->value, words);
    if (error == -EINVAL)
        return teller_complain(teller, "%.*s: %s", SHOWN, settings->name, words);
    if (error)
        return error;
    edits->count++;
    if (edit->op != EDIT_ADD)
        edits->dropped[edits->dropped_count++] = edit->name;
    return 0;
}

static bool is_named_twice(const struct edits_settings *settings, size_t number)
{
    const struct edit_settings *edit = &settings->at[number];

    for (size_t i = 0; i < number && edit->op != EDIT_ADD; i++)
        if (settings->at[i].op != EDIT_ADD &&
            bytes_equal_nocase(bytes_of(settings->at[i].name), bytes_of(edit->name)))
            return true;
    return false;
}

int edits_init(struct edits *edits, const struct edits_settings *settings, enum template_use use,
               edits_tell_fn *tell, void *to)
{
    struct teller teller = {tell, to, {0}};
    int result = 0;

    *edits = (struct edits){0};
    if (!settings->count)
        return 0;
    edits->edit = calloc(settings->count, sizeof *edits->edit);
    edits->dropped = calloc(settings->count, sizeof *edits->dropped);
    for (size_t i = 0; edits->edit && edits->dropped && i < settings->count; i++) {
        int error = add_edit(edits, &settings->at[i], use, &teller);
        if (!error && is_named_twice(settings, i))
            error = teller_complain(&teller, "%.*s is set or removed twice; leave one out", SHOWN,
                                    settings->at[i].name);
        if (error && result != -ENOMEM)
            result = error;
    }
    if (!edits->edit || !edits->dropped)
        result = -ENOMEM;
    if (!result && settings->count > EDITS_MAX) {
        teller.mark = settings->at[EDITS_MAX].mark;
        result =
            teller_complain(&teller, "more than %d changes of one head are too many", EDITS_MAX);
    }
    if (result)
        edits_done(edits);
    return result;
}

void edits_done(struct edits *edits)
{
    for (size_t i = 0; i < edits->count; i++)
        template_free(edits->edit[i].value);
    free(edits->edit);
    free(edits->dropped);
    *edits = (struct edits){0};
}

/* --- writing -----------------------------------------------------------------------------------
 */

static bool is_field(struct bytes line, struct bytes name)
{
    return line.len > name.len && line.at[name.len] == ':' &&
           bytes_equal_nocase(bytes_slice(line, 0, name.len), name);
}

static struct bytes take_line(struct bytes *lines)
{
    size_t end = bytes_find(*lines, bytes_of("\r\n"), 0);
    struct bytes line = bytes_slice(*lines, 0, end + 2);

    *lines = bytes_from(*lines, end + 2);
    return line;
}

bool edits_lines_have(struct bytes lines, struct bytes name)
{
    while (lines.len)
        if (is_field(take_line(&lines), name))
            return true;
    return false;
}

static bool is_dropped(const struct edits *edits, struct bytes line)
{
    for (size_t i = 0; i < edits->dropped_count; i++)
        if (is_field(line, edits->dropped[i]))
            return true;
    return false;
}

/* In place: what stays moves to the front. */
static void drop_lines(const struct edits *edits, struct buf *lines)
{
    struct bytes rest = buf_bytes(lines);
    uint32_t to = lines->from;

    while (rest.len) {
        struct bytes line = take_line(&rest);
        if (is_dropped(edits, line))
            continue;
        memmove(lines->memory + to, line.at, line.len);
        to += (uint32_t)line.len;
    }
    lines->to = to;
}

static int write_edit(const struct edit *edit, const struct facts *facts, struct buf *lines)
{
    uint32_t before = lines->to;
    int error = buf_append(lines, edit->name);

    if (!error)
        error = buf_append(lines, bytes_of(": "));
    uint32_t empty = lines->to;
    if (!error)
        error = template_write(edit->value, facts, lines);
    if (!error && lines->to == empty) {
        lines->to = before;
        return 0;
    }
    return error ? error : buf_append(lines, bytes_of("\r\n"));
}

int edits_apply(const struct edits *edits, const struct facts *facts, struct buf *lines)
{
    int error = 0;

    if (edits->dropped_count)
        drop_lines(edits, lines);
    for (size_t i = 0; !error && i < edits->count; i++)
        if (edits->edit[i].op != EDIT_REMOVE)
            error = write_edit(&edits->edit[i], facts, lines);
    return error;
}

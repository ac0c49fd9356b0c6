/* The target is copied, since the client may leave, and its bytes with it, while another thread
 * still reads what it asked for. */
#include "admin/call.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct call *call_new(struct bytes target)
{
    struct call *call = calloc(1, sizeof *call + target.len + 1);

    if (!call)
        return NULL;
    if (target.len)
        memcpy(call->target, target.at, target.len);
    call->status = 200;
    return call;
}

struct call *call_free(struct call *call)
{
    if (!call)
        return NULL;
    json_decref(call->body);
    free(call);
    return NULL;
}

static bool is_utf8(const char *text)
{
    struct bytes rest = bytes_of(text);
    size_t len = 1;

    while (rest.len && (len = utf8_len(rest)))
        rest = bytes_from(rest, len);
    return len;
}

void call_make_utf8(char *text)
{
    while (*text) {
        size_t len = utf8_len(bytes_of(text));
        if (!len)
            *text = '?';
        text += len ? len : 1;
    }
}

static bool take_param(struct call *call, struct bytes name, struct bytes segment)
{
    char *value = call->param[call->param_count].value;

    if (call->param_count == CALL_PARAMS_MAX || !segment.len ||
        !query_decode(segment, QUERY_PLUS_IS_PLUS, value, CALL_PARAM_BYTES) || !is_utf8(value))
        return false;
    call->param[call->param_count++].name = bytes_slice(name, 1, name.len - 1);
    return true;
}

bool call_matches(struct call *call, const char *pattern)
{
    struct bytes wanted = bytes_of(pattern), path = call->query.path, slash = bytes_of("/");

    call->param_count = 0;
    while (wanted.len && path.len) {
        size_t wanted_end = bytes_find(wanted, slash, 1), path_end = bytes_find(path, slash, 1);
        struct bytes name = bytes_slice(wanted, 1, wanted_end),
                     segment = bytes_slice(path, 1, path_end);
        if (wanted.at[0] != path.at[0])
            return false;
        if (name.len && name.at[0] == '{' ? !take_param(call, name, segment)
                                          : !bytes_equal(name, segment))
            return false;
        wanted = bytes_from(wanted, wanted_end);
        path = bytes_from(path, path_end);
    }
    return !wanted.len && !path.len;
}

const char *call_text(const struct call *call, const char *name)
{
    for (size_t i = 0; i < call->param_count; i++)
        if (bytes_equal(call->param[i].name, bytes_of(name)))
            return call->param[i].value;
    return query_find(&call->query, name);
}

bool call_take_body(struct call *call, struct bytes text, char ret_error[256])
{
    json_error_t error;

    call->body =
        json_loadb(text.len ? (const char *)text.at : "", text.len, JSON_REJECT_DUPLICATES, &error);
    if (json_is_object(call->body))
        return true;
    if (!text.len)
        snprintf(ret_error, 256, "a body is missing");
    else if (call->body)
        snprintf(ret_error, 256, "the body is no JSON object");
    else
        snprintf(ret_error, 256, "the body cannot be read as JSON: line %d, column %d: %s",
                 error.line, error.column, error.text);
    return false;
}

json_t *call_refuse(struct call *call, unsigned status, const char *what_to_do, const char *format,
                    ...)
{
    char error[512], words[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(error, sizeof error, format, args);
    va_end(args);
    snprintf(words, sizeof words, "%s", what_to_do);
    call_make_utf8(error);
    call_make_utf8(words);
    call->status = status;
    return json_pack("{s:s, s:s}", "error", error, "what_to_do", words);
}

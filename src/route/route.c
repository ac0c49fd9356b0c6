/* A rule is compiled once: host lower-cased, path templates cut into segments and decoded, so that
 * matching is comparing bytes. */
#include "route/route.h"

#include "route/teller.h"

#include "base/check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define HOST_BYTES_MAX 253 /* RFC 1035 section 2.3.4, as text */
#define PATH_BYTES_MAX 4096
#define HOST_SHOWN     120 /* of what is wrong, so that the rest of the words fits */
#define PATH_SHOWN     120

enum path_kind { PATH_ANY, PATH_WHOLE, PATH_PREFIX };

struct part {
    struct bytes text; /* decoded literal, or a parameter's name */
    bool is_param;
};

struct route_rule {
    struct bytes host;   /* lower case; empty: any */
    bool host_is_suffix; /* ".example.com", of "*.example.com" */
    enum path_kind path_kind;
    const char *path_text; /* as written: borrowed, for describing */
    size_t count;
    struct part *part;
    uint8_t *memory;                   /* of host and literals */
    const struct match_settings *more; /* borrowed; never NULL */
};

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

/* --- compiling
 * ------------------------------------------------------------------------------------- */

/* "example.com." is the same name as without the dot. */
static struct bytes without_last_dot(struct bytes host)
{
    if (host.len > 1 && host.at[host.len - 1] == '.')
        host.len--;
    return host;
}

static bool has_empty_label(struct bytes name)
{
    return name.len == 0 || name.at[0] == '.' || bytes_find(name, bytes_of(".."), 0) < name.len;
}

static int compile_host(struct route_rule *rule, const char *host, uint8_t *memory, char words[256])
{
    bool is_suffix = host[0] == '*' && host[1] == '.';
    const char *name = is_suffix ? host + 2 : host;
    const char *compared = host + is_suffix; /* ".example.com" */
    size_t len = strlen(host);
    struct bytes found;
    uint16_t port;

    if (len > HOST_BYTES_MAX)
        return teller_words(words, "host \"%.40s...\" is longer than a name can be (%d bytes)",
                            host, HOST_BYTES_MAX);
    if (strchr(name, '*'))
        return teller_words(words,
                            "host \"%.*s\": \"*\" may stand only as the first label, as in "
                            "\"*.example.com\"",
                            HOST_SHOWN, host);
    if (has_empty_label(bytes_of(name)) || !url_host_parse(bytes_of(name), &found, &port) ||
        (is_suffix && name[0] == '['))
        return teller_words(words,
                            "host \"%.*s\" is no host name; write one such as chat.example.com, "
                            "*.example.com or \"[::1]\"",
                            HOST_SHOWN, host);
    if (found.len != strlen(name))
        return teller_words(words,
                            "host \"%.*s\": leave the port out (write \"%s%.*s\"); a route matches "
                            "whatever the port",
                            HOST_SHOWN / 2, host, is_suffix ? "*." : "",
                            (int)(found.len < HOST_SHOWN / 2 ? found.len : HOST_SHOWN / 2),
                            (const char *)found.at);
    for (size_t i = 0; compared[i]; i++)
        memory[i] = lower((uint8_t)compared[i]);
    rule->host = without_last_dot((struct bytes){memory, strlen(compared)});
    rule->host_is_suffix = is_suffix;
    return 0;
}

static bool is_name(struct bytes b)
{
    for (size_t i = 0; i < b.len; i++) {
        uint8_t c = lower(b.at[i]);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-'))
            return false;
    }
    return b.len > 0;
}

static int compile_param(struct route_rule *rule, struct bytes segment, const char *path,
                         char words[256])
{
    struct bytes name = bytes_slice(segment, 1, segment.len - 1);
    size_t params = 0;

    if (segment.len < 2 || segment.at[0] != '{' || segment.at[segment.len - 1] != '}')
        return teller_words(
            words,
            "\"%.*s\": braces stand around a whole segment, as in /rooms/{room}; write "
            "%%7B and %%7D for braces that are meant",
            PATH_SHOWN, path);
    if (!is_name(name))
        return teller_words(
            words,
            "\"%.*s\": a name in braces has letters, digits, \"_\" and \"-\", as in "
            "/rooms/{room}",
            PATH_SHOWN, path);
    for (size_t i = 0; i < rule->count; i++) {
        params += rule->part[i].is_param;
        if (rule->part[i].is_param && bytes_equal(rule->part[i].text, name))
            return teller_words(
                words, "\"%.*s\" names {%.*s} twice; give each segment its own name", PATH_SHOWN,
                path, (int)(name.len < 40 ? name.len : 40), (const char *)name.at);
    }
    if (params == ROUTE_PARAMS_MAX)
        return teller_words(words, "\"%.*s\" has more than %d names in braces", PATH_SHOWN, path,
                            ROUTE_PARAMS_MAX);
    rule->part[rule->count++] = (struct part){name, true};
    return 0;
}

static bool has_brace(struct bytes segment)
{
    return memchr(segment.at, '{', segment.len) || memchr(segment.at, '}', segment.len);
}

/* One segment of the template with the '/' before it, decoded the way requests are. */
static int compile_segment(struct route_rule *rule, struct bytes slashed, uint8_t **memory,
                           const char *path, char words[256])
{
    struct bytes segment = bytes_from(slashed, 1);
    struct url_path one;

    if (segment.len && has_brace(segment))
        return compile_param(rule, segment, path, words);
    if (!url_path_normalise(slashed, *memory, &one))
        return teller_words(words, "\"%.*s\" holds \"..\", %%00 or an escape that is none",
                            PATH_SHOWN, path);
    if (segment.len && one.segment[0].len == 0)
        return teller_words(words, "\"%.*s\" holds \".\"; requests are matched without it",
                            PATH_SHOWN, path);
    *memory += one.segment[0].len;
    rule->part[rule->count++] = (struct part){one.segment[0], false};
    return 0;
}

static int compile_path(struct route_rule *rule, const char *path, uint8_t *memory, char words[256])
{
    struct bytes rest = bytes_of(path);

    rule->path_text = path;
    if (rest.len > PATH_BYTES_MAX)
        return teller_words(words, "\"%.*s...\" is longer than %d bytes", PATH_SHOWN / 2, path,
                            PATH_BYTES_MAX);
    if (rest.len == 0 || rest.at[0] != '/')
        return teller_words(words, "\"%.*s\" must begin with a slash, as in /rooms", PATH_SHOWN,
                            path);
    if (memchr(rest.at, '?', rest.len) || memchr(rest.at, '#', rest.len))
        return teller_words(words,
                            "\"%.*s\": a path has no query; leave it out from \"?\" or \"#\" on",
                            PATH_SHOWN, path);
    while (rest.len) {
        size_t end = bytes_find(rest, bytes_of("/"), 1);
        if (rule->count == URL_SEGMENTS_MAX)
            return teller_words(words, "\"%.*s\" has more than %d segments", PATH_SHOWN, path,
                                URL_SEGMENTS_MAX);
        int error = compile_segment(rule, bytes_slice(rest, 0, end), &memory, path, words);
        if (error)
            return error;
        rest = bytes_from(rest, end);
    }
    if (rule->path_kind == PATH_PREFIX && rule->part[rule->count - 1].text.len == 0)
        rule->count--; /* "/a/" and "/a" are one prefix, and "/" is every path's */
    return 0;
}

static size_t segments_in(const char *path)
{
    size_t count = 1;

    for (; *path; path++)
        count += *path == '/';
    return count;
}

static const struct match_settings any;

static int compile(struct route_rule *rule, const struct route_match *match, char words[256])
{
    const char *path = match->path ? match->path : match->prefix;
    size_t host_len = match->host ? strlen(match->host) : 0;

    rule->more = match->more ? match->more : &any;
    rule->path_kind = match->path ? PATH_WHOLE : match->prefix ? PATH_PREFIX : PATH_ANY;
    rule->memory = malloc(host_len + (path ? strlen(path) : 0) + 1);
    rule->part = calloc(path ? segments_in(path) : 1, sizeof *rule->part);
    if (!rule->memory || !rule->part)
        return -ENOMEM;
    if (match->path && match->prefix)
        return teller_words(
            words, "a route has `path` (the whole path) or `prefix`, not both: leave one out");
    int error = match->host ? compile_host(rule, match->host, rule->memory, words) : 0;
    if (!error && path)
        error = compile_path(rule, path, rule->memory + host_len, words);
    return error;
}

int route_rule_new(const struct route_match *match, struct route_rule **ret_rule,
                   char ret_words[256])
{
    struct route_rule *rule = calloc(1, sizeof *rule);

    if (!rule)
        return -ENOMEM;
    int error = compile(rule, match, ret_words);
    if (error)
        route_rule_free(rule);
    else
        *ret_rule = rule;
    return error;
}

struct route_rule *route_rule_free(struct route_rule *rule)
{
    if (!rule)
        return NULL;
    free(rule->memory);
    free(rule->part);
    free(rule);
    return NULL;
}

/* --- matching
 * -------------------------------------------------------------------------------------- */

static bool host_matches(const struct route_rule *rule, struct bytes host)
{
    if (!rule->host.len)
        return true;
    host = without_last_dot(host);
    if (!rule->host_is_suffix)
        return bytes_equal_nocase(host, rule->host);
    return host.len > rule->host.len &&
           bytes_equal_nocase(bytes_from(host, host.len - rule->host.len), rule->host);
}

static bool part_matches(const struct part *part, struct bytes segment)
{
    return part->is_param ? segment.len > 0 : bytes_equal(part->text, segment);
}

static bool path_matches(const struct route_rule *rule, const struct url_path *path)
{
    if (rule->path_kind == PATH_WHOLE ? path->count != rule->count : path->count < rule->count)
        return false;
    for (size_t i = 0; i < rule->count; i++)
        if (!part_matches(&rule->part[i], path->segment[i]))
            return false;
    return true;
}

static void read_params(const struct route_rule *rule, const struct url_path *path,
                        struct route_params *ret_params)
{
    ret_params->count = 0;
    for (size_t i = 0; i < rule->count; i++) {
        if (!rule->part[i].is_param)
            continue;
        ret_params->param[ret_params->count].name = rule->part[i].text;
        ret_params->param[ret_params->count++].value = path->segment[i];
    }
}

static bool method_matches(const struct match_settings *more, const struct http1_head *head)
{
    struct bytes get = bytes_of("GET");

    if (!more->method_count)
        return true;
    for (size_t i = 0; head && i < more->method_count; i++) {
        struct bytes method = bytes_of(more->methods[i]);
        if (bytes_equal(head->method, method) ||
            (bytes_equal(method, get) && bytes_equal(head->method, bytes_of("HEAD"))))
            return true;
    }
    return false;
}

static bool field_matches(const struct field_match_settings *field, const struct http1_head *head)
{
    bool is_there = false;

    for (size_t i = 0; i < head->field_count; i++) {
        if (!bytes_equal_nocase(head->field[i].name, bytes_of(field->name)))
            continue;
        if (field->kind == FIELD_IS && bytes_equal(head->field[i].value, bytes_of(field->value)))
            return true;
        is_there = true;
    }
    return field->kind == FIELD_IS ? false : is_there == (field->kind == FIELD_PRESENT);
}

static bool fields_match(const struct match_settings *more, const struct http1_head *head)
{
    for (size_t i = 0; i < more->field_count; i++)
        if (!head || !field_matches(&more->fields[i], head))
            return false;
    return true;
}

bool route_rule_matches(const struct route_rule *rule, const struct route_asked *asked,
                        struct route_params *ret_params)
{
    const struct match_settings *more = rule->more;

    if (more->scheme != SCHEME_ANY && asked->is_https != (more->scheme == SCHEME_HTTPS))
        return false;
    if (!host_matches(rule, asked->host) || !path_matches(rule, asked->path) ||
        !method_matches(more, asked->head) || !fields_match(more, asked->head))
        return false;
    if (ret_params)
        read_params(rule, asked->path, ret_params);
    return true;
}

size_t route_rule_segments(const struct route_rule *rule)
{
    return rule->count;
}

/* --- describing
 * ------------------------------------------------------------------------------------ */

struct words {
    char *text;
    size_t size, used;
};

__attribute__((format(printf, 2, 3))) static void say(struct words *to, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int len = vsnprintf(to->text + to->used, to->size - to->used, format, args);
    va_end(args);
    if (len > 0)
        to->used += (size_t)len < to->size - to->used ? (size_t)len : to->size - to->used - 1;
}

static const char *between(const struct words *to)
{
    return to->used ? ", " : "";
}

static void describe_more(const struct match_settings *more, struct words *to)
{
    static const char *const kinds[] = {"", " is there", " is not there"};

    if (more->scheme != SCHEME_ANY)
        say(to, "%sscheme %s", between(to), more->scheme == SCHEME_HTTPS ? "https" : "http");
    for (size_t i = 0; i < more->method_count; i++)
        say(to, "%s%s", i == 0 ? between(to) : " or ", more->methods[i]);
    for (size_t i = 0; i < more->field_count; i++) {
        const struct field_match_settings *field = &more->fields[i];
        bool is_secret = field->is_secret;
        say(to, "%sfield %s%s%s", between(to), field->name,
            field->kind == FIELD_IS ? ": " : kinds[field->kind],
            field->kind != FIELD_IS ? ""
            : is_secret             ? "***"
                                    : field->value);
    }
}

const char *route_rule_describe(const struct route_rule *rule, char *text, size_t size)
{
    const char *kinds[] = {"", "path ", "prefix "};
    struct words to = {text, size, 0};

    text[0] = '\0';
    if (rule->host.len)
        say(&to, "host %s%.*s", rule->host_is_suffix ? "*" : "", (int)rule->host.len,
            (const char *)rule->host.at);
    if (rule->path_kind != PATH_ANY)
        say(&to, "%s%s%s", between(&to), kinds[rule->path_kind], rule->path_text);
    describe_more(rule->more, &to);
    if (!to.used)
        say(&to, "everything");
    return text;
}

/* A rule is compiled once: host lower-cased, path templates cut into segments and decoded, so that matching
 * is comparing bytes. */
#include "route/route.h"

#include "base/check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

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
    uint8_t *memory; /* of host and literals */
};

__attribute__((format(printf, 2, 3))) static int complain(char words[256], const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(words, 256, format, args);
    va_end(args);
    return -EINVAL;
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

/* --- compiling ------------------------------------------------------------------------------------- */

static int compile_host(struct route_rule *rule, const char *host, uint8_t *memory, char words[256])
{
    bool is_suffix = host[0] == '*' && host[1] == '.';
    const char *rest = is_suffix ? host + 1 : host;
    struct bytes name;
    uint16_t port;

    if (strchr(rest, '*'))
        return complain(words, "host \"%s\": \"*\" may stand only as the first label, as in \"*.example.com\"", host);
    if (!url_host_parse(bytes_of(is_suffix ? rest + 1 : rest), &name, &port))
        return complain(words, "host \"%s\" is no host name; write it as in \"chat.example.com\"", host);
    if (name.len + is_suffix != strlen(rest))
        return complain(words, "host \"%s\": leave the port out; a route matches every port", host);
    rule->host = (struct bytes){memory, strlen(rest)};
    rule->host_is_suffix = is_suffix;
    for (size_t i = 0; rest[i]; i++)
        memory[i] = lower((uint8_t)rest[i]);
    if (rule->host.len > 1 && rule->host.at[rule->host.len - 1] == '.')
        rule->host.len--;
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

static int compile_param(struct route_rule *rule, struct bytes segment, const char *path, char words[256])
{
    struct bytes name = bytes_slice(segment, 1, segment.len - 1);

    if (segment.len < 3 || segment.at[0] != '{' || segment.at[segment.len - 1] != '}' || !is_name(name))
        return complain(words, "\"%s\": \"{name}\" must be a whole segment, as in /rooms/{room}", path);
    for (size_t i = 0; i < rule->count; i++)
        if (rule->part[i].is_param && bytes_equal(rule->part[i].text, name))
            return complain(words, "\"%s\" names {%.*s} twice", path, (int)name.len, (const char *)name.at);
    rule->part[rule->count++] = (struct part){name, true};
    return 0;
}

static bool has_brace(struct bytes segment)
{
    return memchr(segment.at, '{', segment.len) || memchr(segment.at, '}', segment.len);
}

/* One segment of the template, decoded the way requests are. */
static int compile_segment(struct route_rule *rule, struct bytes segment, uint8_t **memory, const char *path,
                           char words[256])
{
    char text[1024];
    struct url_path one;

    if (segment.len && has_brace(segment))
        return compile_param(rule, segment, path, words);
    if (segment.len + 2 > sizeof text)
        return complain(words, "\"%s\": a segment is too long", path);
    int len = snprintf(text, sizeof text, "/%.*s", (int)segment.len, (const char *)segment.at);
    bool is_dots = (segment.len == 1 && segment.at[0] == '.') ||
                   (segment.len == 2 && segment.at[0] == '.' && segment.at[1] == '.');
    if (is_dots || !url_path_normalise((struct bytes){(const uint8_t *)text, (size_t)len}, *memory, &one) ||
        one.count != 1)
        return complain(words, "\"%s\": a segment holds a dot segment, %%00 or a malformed escape", path);
    *memory += one.segment[0].len;
    rule->part[rule->count++] = (struct part){one.segment[0], false};
    return 0;
}

static int compile_path(struct route_rule *rule, const char *path, uint8_t *memory, char words[256])
{
    struct bytes rest = bytes_of(path);

    rule->path_text = path;
    if (rest.len == 0 || rest.at[0] != '/')
        return complain(words, "\"%s\" must begin with a slash, as in /rooms", path);
    if (memchr(rest.at, '?', rest.len) || memchr(rest.at, '#', rest.len))
        return complain(words, "\"%s\": a path has no query; leave it out from \"?\" on", path);
    while (rest.len) {
        size_t end = bytes_find(rest, bytes_of("/"), 1);
        if (rule->count == URL_SEGMENTS_MAX)
            return complain(words, "\"%s\" has more than %d segments", path, URL_SEGMENTS_MAX);
        int error = compile_segment(rule, bytes_slice(rest, 1, end), &memory, path, words);
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

static int compile(struct route_rule *rule, const struct route_match *match, char words[256])
{
    const char *path = match->path ? match->path : match->prefix;
    size_t host_len = match->host ? strlen(match->host) : 0;

    rule->path_kind = match->path ? PATH_WHOLE : match->prefix ? PATH_PREFIX : PATH_ANY;
    rule->memory = malloc(host_len + (path ? strlen(path) : 0) + 1);
    rule->part = calloc(path ? segments_in(path) : 1, sizeof *rule->part);
    if (!rule->memory || !rule->part)
        return -ENOMEM;
    if (match->path && match->prefix)
        return complain(words, "a route has `path` or `prefix`, not both");
    int error = match->host ? compile_host(rule, match->host, rule->memory, words) : 0;
    if (!error && path)
        error = compile_path(rule, path, rule->memory + host_len, words);
    return error;
}

int route_rule_new(const struct route_match *match, struct route_rule **ret_rule, char ret_words[256])
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

/* --- matching -------------------------------------------------------------------------------------- */

static bool host_matches(const struct route_rule *rule, struct bytes host)
{
    if (!rule->host.len)
        return true;
    if (host.len && host.at[host.len - 1] == '.') /* "example.com." is the same name */
        host.len--;
    if (!rule->host_is_suffix)
        return bytes_equal_nocase(host, rule->host);
    return host.len > rule->host.len && bytes_equal_nocase(bytes_from(host, host.len - rule->host.len), rule->host);
}

static void add_param(struct route_params *params, struct bytes name, struct bytes value)
{
    if (!params || params->count == ROUTE_PARAMS_MAX)
        return;
    params->param[params->count].name = name;
    params->param[params->count++].value = value;
}

static bool path_matches(const struct route_rule *rule, const struct url_path *path, struct route_params *params)
{
    if (rule->path_kind == PATH_WHOLE ? path->count != rule->count : path->count < rule->count)
        return false;
    for (size_t i = 0; i < rule->count; i++) {
        const struct part *part = &rule->part[i];
        if (!part->is_param && !bytes_equal(part->text, path->segment[i]))
            return false;
        if (part->is_param && path->segment[i].len == 0)
            return false;
        if (part->is_param)
            add_param(params, part->text, path->segment[i]);
    }
    return true;
}

bool route_rule_matches(const struct route_rule *rule, struct bytes host, const struct url_path *path,
                        struct route_params *ret_params)
{
    if (ret_params)
        ret_params->count = 0;
    return host_matches(rule, host) && (rule->path_kind == PATH_ANY || path_matches(rule, path, ret_params));
}

const char *route_rule_describe(const struct route_rule *rule, char *text, size_t size)
{
    const char *kinds[] = {"", "path ", "prefix "};
    bool has_host = rule->host.len, has_path = rule->path_kind != PATH_ANY;

    if (!has_host && !has_path)
        snprintf(text, size, "everything");
    else
        snprintf(text, size, "%s%s%.*s%s%s%s", has_host ? "host " : "", rule->host_is_suffix ? "*" : "",
                 (int)rule->host.len, rule->host.at ? (const char *)rule->host.at : "",
                 has_host && has_path ? ", " : "", kinds[rule->path_kind], has_path ? rule->path_text : "");
    return text;
}

/* A template is a list of pieces: a literal, or one row of the table below with the name behind its
 * dot. What it may name depends on where it stands, and that is asked when it is compiled, so that
 * writing needs no questions. */
#include "route/template.h"

#include "route/key.h"
#include "route/teller.h"

#include "base/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT_BYTES_MAX 8192
#define PIECES_MAX     64
#define SHOWN          60 /* of what is wrong, so that the rest of the words fits */

enum kind {
    LITERAL,
    METHOD,
    SCHEME,
    HOST,
    PATH,
    REST,
    QUERY,
    CLIENT,
    SERVER,
    POOL,
    ROUTE,
    REQUEST_ID,
    HEADER_N, /* from here on with a name behind a dot */
    COOKIE_N,
    QUERY_N,
    PATH_N,
    JWT_N,
};

#define FIELDS (1u << TEMPLATE_REQUEST | 1u << TEMPLATE_RESPONSE | 1u << TEMPLATE_OWN)
#define ALL    (FIELDS | 1u << TEMPLATE_URL)

static const struct {
    const char *name;
    enum kind kind;
    unsigned uses;
    const char *elsewhere; /* why it is not known there */
} known[] = {
    {"method", METHOD, ALL, NULL},
    {"scheme", SCHEME, ALL, NULL},
    {"host", HOST, ALL, NULL},
    {"path", PATH, ALL, NULL},
    {"rest", REST, ALL, NULL},
    {"query", QUERY, ALL, NULL},
    {"client", CLIENT, ALL, NULL},
    {"server", SERVER, 1u << TEMPLATE_RESPONSE, "no server has been chosen"},
    {"pool", POOL, 1u << TEMPLATE_REQUEST | 1u << TEMPLATE_RESPONSE, "no pool is asked"},
    {"route", ROUTE, ALL, NULL},
    {"request_id", REQUEST_ID, ALL, NULL},
    {"header.", HEADER_N, ALL, NULL},
    {"cookie.", COOKIE_N, ALL, NULL},
    {"query.", QUERY_N, ALL, NULL},
    {"path.", PATH_N, ALL, NULL},
    {"jwt.", JWT_N, ALL, NULL},
};

struct piece {
    enum kind kind;
    struct bytes text; /* of a literal; or the name behind the dot */
};

struct template
{
    bool is_url;
    size_t count;
    uint8_t *memory; /* of all texts */
    struct piece piece[PIECES_MAX];
};

/* --- compiling ---------------------------------------------------------------------------------
 */

static bool is_printable(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] < ' ' || text.at[i] == 0x7f)
            return false;
    return true;
}

/* What may stand in a URL as it is (RFC 3986 sections 2.2 and 2.3), and '%'. */
static bool is_url_byte(uint8_t c)
{
    bool is_alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');

    return is_alnum || (c && strchr("-._~!$&'()*+,;=:@/?#[]%", c));
}

static int add_piece(struct template *template, enum kind kind, struct bytes text, char words[256])
{
    if (template->count == PIECES_MAX)
        return teller_words(words, "more than %d pieces are too many for one text", PIECES_MAX);
    template->piece[template->count++] = (struct piece){kind, text};
    return 0;
}

static int unknown_name(struct bytes name, char words[256])
{
    return teller_words(
        words,
        "there is no {%.*s}; known are method, scheme, host, path, rest, query, client, "
        "server, pool, route, request_id, header.N, cookie.N, query.N, path.N, jwt.N; "
        "write {{ for a brace that is meant",
        (int)(name.len < SHOWN ? name.len : SHOWN), (const char *)name.at);
}

static int compile_name(struct template *template, struct bytes name, enum template_use use,
                        char words[256])
{
    size_t dot = bytes_find(name, bytes_of("."), 0);
    struct bytes head = bytes_slice(name, 0, dot + 1), tail = bytes_from(name, dot + 1);

    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (!bytes_equal(head, bytes_of(known[i].name)))
            continue;
        if (!(known[i].uses & 1u << use))
            return teller_words(words, "{%s} is not known here: %s", known[i].name,
                                known[i].elsewhere);
        if (known[i].kind >= HEADER_N && known[i].kind != JWT_N && !http1_is_token(tail))
            return teller_words(words, "{%.*s}: a name is wanted behind the dot", (int)dot + 1,
                                (const char *)name.at);
        if (known[i].kind == JWT_N && (!tail.len || !is_printable(tail)))
            return teller_words(words, "{jwt.}: a claim's name is wanted behind the dot");
        return add_piece(template, known[i].kind, tail, words);
    }
    return unknown_name(name, words);
}

/* A literal up to the next brace that means something; "{{" and "}}" become one byte each. */
static int compile_literal(struct template *template, struct bytes *rest, uint8_t **memory,
                           char words[256])
{
    uint8_t *from = *memory;

    while (rest->len) {
        bool is_brace = rest->at[0] == '{' || rest->at[0] == '}';
        bool is_twice = is_brace && rest->len > 1 && rest->at[1] == rest->at[0];
        if (is_brace && !is_twice)
            break;
        *(*memory)++ = rest->at[0];
        *rest = bytes_from(*rest, is_twice ? 2 : 1);
    }
    struct bytes text = {from, (size_t)(*memory - from)};
    for (size_t i = 0; template->is_url && i < text.len; i++)
        if (!is_url_byte(text.at[i]))
            return teller_words(words,
                                "byte %zu of a literal part may not stand in a URL: write it as "
                                "%%%02X",
                                i + 1, text.at[i]);
    return text.len ? add_piece(template, LITERAL, text, words) : 0;
}

static int compile(struct template *template, struct bytes rest, enum template_use use,
                   char words[256])
{
    uint8_t *memory = template->memory;
    int error = 0;

    while (!error && rest.len) {
        if (rest.at[0] == '}' && (rest.len < 2 || rest.at[1] != '}'))
            return teller_words(words, "a \"}\" without \"{\"; write }} for one that is meant");
        if (rest.at[0] != '{' || (rest.len > 1 && rest.at[1] == '{')) {
            error = compile_literal(template, &rest, &memory, words);
            continue;
        }
        size_t end = bytes_find(rest, bytes_of("}"), 0);
        if (end == rest.len)
            return teller_words(words, "a \"{\" without \"}\"; write {{ for one that is meant");
        memcpy(memory, rest.at + 1, end - 1);
        error = compile_name(template, (struct bytes){memory, end - 1}, use, words);
        memory += end - 1;
        rest = bytes_from(rest, end + 1);
    }
    return error;
}

static int make(struct bytes text, struct template **ret_template, char words[256])
{
    if (text.len > TEXT_BYTES_MAX)
        return teller_words(words, "more than %d bytes are too many for one text", TEXT_BYTES_MAX);
    if (!is_printable(text))
        return teller_words(words,
                            "a control character (a line break, perhaps) may not stand here");
    struct template *template = calloc(1, sizeof *template);
    if (!template)
        return -ENOMEM;
    template->memory = malloc(text.len + 1);
    if (!template->memory) {
        template_free(template);
        return -ENOMEM;
    }
    *ret_template = template;
    return 0;
}

int template_new(const char *text, enum template_use use, struct template **ret_template,
                 char ret_words[256])
{
    struct template *template = NULL;
    int error = make(bytes_of(text), &template, ret_words);

    if (error)
        return error;
    template->is_url = use == TEMPLATE_URL;
    error = compile(template, bytes_of(text), use, ret_words);
    if (error)
        template_free(template);
    else
        *ret_template = template;
    return error;
}

int template_new_literal(const char *text, struct template **ret_template, char ret_words[256])
{
    struct template *template = NULL;
    size_t len = strlen(text);
    int error = make(bytes_of(text), &template, ret_words);

    if (error)
        return error;
    memcpy(template->memory, text, len);
    template->piece[template->count++] =
        (struct piece){LITERAL, (struct bytes){template->memory, len}};
    *ret_template = template;
    return 0;
}

struct template *template_free(struct template *template)
{
    if (!template)
        return NULL;
    free(template->memory);
    free(template);
    return NULL;
}

bool template_names(const struct template *template, const char *name)
{
    for (size_t i = 0; i < template->count; i++) {
        const struct piece *piece = &template->piece[i];
        for (size_t k = 0; piece->kind != LITERAL && k < ARRAY_LEN(known); k++)
            if (known[k].kind == piece->kind && strcmp(known[k].name, name) == 0)
                return true;
    }
    return false;
}

/* --- values ------------------------------------------------------------------------------------
 */

static struct bytes rooted(struct bytes path)
{
    return path.len && path.at[0] == '/' ? path : bytes_of("/");
}

static struct bytes value_of(const struct piece *piece, const struct facts *facts)
{
    switch (piece->kind) {
    case LITERAL:
        return piece->text;
    case METHOD:
        return facts->method;
    case SCHEME:
        return facts->scheme;
    case HOST:
        return facts->host;
    case PATH:
        return rooted(facts->path);
    case REST:
        return rooted(facts->rest);
    case QUERY:
        return facts->query;
    case CLIENT:
        return facts->client;
    case SERVER:
        return facts->server;
    case POOL:
        return facts->pool;
    case ROUTE:
        return facts->route;
    case REQUEST_ID:
        return facts->request_id;
    case HEADER_N:
        return key_find(&(struct key){KEY_HEADER, piece->text}, facts);
    case COOKIE_N:
        return key_find(&(struct key){KEY_COOKIE, piece->text}, facts);
    case QUERY_N:
        return key_find(&(struct key){KEY_QUERY, piece->text}, facts);
    case PATH_N:
        return key_find(&(struct key){KEY_PATH, piece->text}, facts);
    case JWT_N:
        return key_find(&(struct key){KEY_JWT, piece->text}, facts);
    }
    return (struct bytes){0};
}

/* --- writing -----------------------------------------------------------------------------------
 */

static bool is_hex(uint8_t c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* Of a URL's own parts what is encoded stays so; of other values everything is that means
 * something. */
static bool passes(struct bytes value, size_t at, bool is_of_url)
{
    uint8_t c = value.at[at];

    if (c == '%')
        return is_of_url && at + 2 < value.len && is_hex(value.at[at + 1]) &&
               is_hex(value.at[at + 2]);
    if (c == '#' || c == '[' || c == ']')
        return false;
    return is_url_byte(c) && (is_of_url || !strchr("!$&'()*+,;=:@/?", c));
}

static int write_encoded(struct buf *to, struct bytes value, bool is_of_url)
{
    size_t from = 0;
    char escape[4];

    for (size_t i = 0; i < value.len; i++) {
        if (passes(value, i, is_of_url))
            continue;
        snprintf(escape, sizeof escape, "%%%02X", value.at[i]);
        int error = buf_append(to, bytes_slice(value, from, i));
        if (!error)
            error = buf_append(to, bytes_of(escape));
        if (error)
            return error;
        from = i + 1;
    }
    return buf_append(to, bytes_from(value, from));
}

static int write_piece(const struct template *template, const struct piece *piece,
                       const struct facts *facts, struct buf *to)
{
    struct bytes value = value_of(piece, facts);
    bool is_of_url = piece->kind == PATH || piece->kind == REST || piece->kind == QUERY ||
                     piece->kind == QUERY_N;
    int error = 0;

    if (piece->kind == QUERY && value.at)
        error = buf_append(to, bytes_of("?"));
    if (error || !value.len)
        return error;
    if (!template->is_url)
        return is_printable(value) ? buf_append(to, value) : 0;
    if (piece->kind == LITERAL || piece->kind == HOST || piece->kind == SCHEME)
        return buf_append(to, value); /* checked where they were read */
    return write_encoded(to, value, is_of_url);
}

int template_write(const struct template *template, const struct facts *facts, struct buf *to)
{
    int error = 0;

    for (size_t i = 0; !error && i < template->count; i++)
        error = write_piece(template, &template->piece[i], facts, to);
    return error;
}

/* libfyaml reads, we build. Its events carry their marks, and a tree built from them is bounded as
 * it grows: depth, nodes, keys, aliases. An alias shares the node it names, so nothing is ever
 * copied; a merge key (<<) copies entries, which count as nodes. What libfyaml is not made for
 * (NUL, bad UTF-8, abysses of brackets) is refused before it sees it. */
#include "conf/tree.h"

#include "base/check.h"
#include "base/utf8.h"

#include <libfyaml.h>
#include <stdio.h>
#include <stdlib.h>

#define DEPTH_MAX   16
#define NODES_MAX   200000
#define KEYS_MAX    4096 /* of one map: every key is compared with those before it */
#define ANCHORS_MAX 100

struct anchor {
    const char *name;
    struct tree *node;
};

struct builder {
    struct arena *arena;
    const char *file;
    struct report *report;
    struct fy_parser *parser;
    struct mark last; /* where the last thing stood: an empty value stands nowhere, so there */
    unsigned nodes;
    size_t anchor_count;
    struct anchor anchor[ANCHORS_MAX];
};

char *arena_text(struct arena *arena, struct bytes text)
{
    char *copy = arena_alloc(arena, text.len + 1);

    if (copy && text.len)
        memcpy(copy, text.at, text.len);
    return copy;
}

struct tree_entry *tree_find(const struct tree *map, const char *key)
{
    for (struct tree_entry *entry = map->first; entry; entry = entry->next)
        if (entry->key && strcmp(entry->key, key) == 0)
            return entry;
    return NULL;
}

void tree_add(struct tree *to, struct tree_entry *entry)
{
    entry->next = NULL;
    if (to->last)
        to->last->next = entry;
    else
        to->first = entry;
    to->last = entry;
}

static struct mark mark_of(struct builder *b, struct fy_event *event)
{
    const struct fy_mark *mark = fy_event_start_mark(event);

    if (mark)
        b->last = (struct mark){b->file, (uint32_t)mark->line + 1, (uint32_t)mark->column + 1};
    return b->last;
}

static struct tree *complain(struct builder *b, struct mark mark, const char *words)
{
    char *hint = report_quote_hint(b->report, mark);

    report_add(b->report, mark, hint, "%s", words);
    free(hint);
    return NULL;
}

/* What is behind a token, piece by piece: fy_token_get_text of 0.7.12 loses memory over long quoted
 * text, and the ends of text with folded lines. Returns the length; `at` NULL: only that. */
static size_t copy_pieces(struct fy_token *token, char *at)
{
    struct fy_token_iter *iter = token ? fy_token_iter_create(token) : NULL;
    const struct fy_iter_chunk *piece = NULL;
    size_t len = 0;
    int error = 0;

    while (iter && (piece = fy_token_iter_chunk_next(iter, piece, &error))) {
        if (at && piece->len)
            memcpy(at + len, piece->str, piece->len);
        len += piece->len;
    }
    fy_token_iter_destroy(iter);
    return len;
}

/* NULL: no memory. */
static char *text_of(struct builder *b, struct fy_token *token, size_t *ret_len)
{
    char *text;

    *ret_len = copy_pieces(token, NULL);
    text = arena_alloc(b->arena, *ret_len + 1);
    if (text)
        copy_pieces(token, text);
    return text;
}

/* Memory for a node or an entry, of which a file may have so many. */
static void *alloc_counted(struct builder *b, size_t size, struct mark mark)
{
    void *memory = ++b->nodes > NODES_MAX ? NULL : arena_alloc(b->arena, size);

    if (!memory)
        complain(b, mark,
                 b->nodes > NODES_MAX ? "the file is too large: more than 200000 values"
                                      : "out of memory");
    return memory;
}

static struct tree *new_node(struct builder *b, enum tree_kind kind, struct mark mark)
{
    struct tree *node = alloc_counted(b, sizeof *node, mark);

    if (node)
        *node = (struct tree){.kind = kind, .mark = mark, .text = ""};
    return node;
}

static bool keep_anchor(struct builder *b, struct fy_token *token, struct tree *node)
{
    size_t len;

    if (!token)
        return true;
    if (b->anchor_count == ANCHORS_MAX) {
        complain(b, node->mark, "more than 100 anchors");
        return false;
    }
    b->anchor[b->anchor_count++] = (struct anchor){text_of(b, token, &len), node};
    return true;
}

static struct tree *find_anchor(struct builder *b, struct fy_event *event)
{
    size_t len;
    const char *name = text_of(b, event->alias.anchor, &len);
    struct mark mark = mark_of(b, event);

    mark.column -= mark.column > 1; /* libfyaml's begins behind the star */

    for (size_t i = b->anchor_count; name && i-- > 0;)
        if (b->anchor[i].name && strcmp(b->anchor[i].name, name) == 0)
            return b->anchor[i].node;
    return complain(b, mark,
                    "a \"*\" begins an alias in YAML, and there is no anchor of that name");
}

static struct tree *build(struct builder *b, struct fy_event *take_event, unsigned depth);

/* The next event's node; NULL at `end` (then *ret_ended) or on error. */
static struct tree *build_next(struct builder *b, enum fy_event_type end, unsigned depth,
                               bool *ret_ended)
{
    struct fy_event *event = fy_parser_parse(b->parser);

    *ret_ended = event && event->type == end;
    if (!event || *ret_ended) {
        fy_parser_event_free(b->parser, event);
        return NULL;
    }
    return build(b, event, depth);
}

static bool add(struct builder *b, struct tree *to, struct tree_entry entry)
{
    struct tree_entry *new = alloc_counted(b, sizeof *new, entry.mark);

    if (!new)
        return false;
    *new = entry;
    tree_add(to, new);
    return true;
}

static struct tree *build_list(struct builder *b, struct tree *list, unsigned depth)
{
    bool has_ended;
    struct tree *item;

    while ((item = build_next(b, FYET_SEQUENCE_END, depth + 1, &has_ended)))
        if (!add(b, list, (struct tree_entry){.mark = item->mark, .value = item}))
            return NULL;
    return has_ended ? list : NULL;
}

/* A key given twice is an error, and the first one stays. */
static bool add_pair(struct builder *b, struct tree *map, const struct tree *key,
                     struct tree *value)
{
    struct tree_entry *before;

    if (key->kind != TREE_SCALAR) {
        complain(b, key->mark, "a key must be a word");
        return true;
    }
    before = tree_find(map, key->text);
    if (before) {
        report_add(b->report, key->mark, "leave one of the two out",
                   "\"%s\" is given twice; first in %u:%u", key->text, before->mark.line,
                   before->mark.column);
        return true;
    }
    return add(b, map, (struct tree_entry){.key = key->text, .mark = key->mark, .value = value});
}

/* <<: what the map does not say itself, it takes from there. */
static bool merge_map(struct builder *b, struct tree *map, const struct tree *from,
                      struct mark mark)
{
    if (from->kind != TREE_MAP) {
        complain(b, mark, "a merge key (<<) takes a map, or a list of maps");
        return true;
    }
    for (const struct tree_entry *entry = from->first; entry; entry = entry->next)
        if (!tree_find(map, entry->key) && !add(b, map, *entry))
            return false;
    return true;
}

static bool merge(struct builder *b, struct tree *map, const struct tree *from, struct mark mark)
{
    if (from->kind != TREE_LIST)
        return merge_map(b, map, from, mark);
    for (const struct tree_entry *entry = from->first; entry; entry = entry->next)
        if (!merge_map(b, map, entry->value, mark))
            return false;
    return true;
}

static bool is_merge_key(const struct tree *key)
{
    return key->kind == TREE_SCALAR && !key->is_quoted && strcmp(key->text, "<<") == 0;
}

static struct tree *build_map(struct builder *b, struct tree *map, unsigned depth)
{
    bool has_ended;
    struct tree *key, *value, *merged = NULL;
    struct mark merge_mark = {0};
    unsigned keys = 0;

    while ((key = build_next(b, FYET_MAPPING_END, depth + 1, &has_ended))) {
        value = build_next(b, FYET_NONE, depth + 1, &has_ended);
        if (!value)
            return NULL;
        if (++keys > KEYS_MAX)
            return complain(b, key->mark, "more than 4096 keys in one map");
        if (is_merge_key(key) && !merged) {
            merged = value;
            merge_mark = key->mark;
        } else if (!add_pair(b, map, key, value)) {
            return NULL;
        }
    }
    if (merged && has_ended && !merge(b, map, merged, merge_mark))
        return NULL;
    return has_ended ? map : NULL;
}

/* What cannot be taken as it stands; NULL: nothing. */
static const char *what_is_refused(const struct fy_event *event, const struct tree *node,
                                   size_t len, enum fy_scalar_style style)
{
    if (event->scalar.tag)
        return "tags (\"!\") mean nothing here; a value that begins with one wants quotes";
    if (!node->text)
        return "out of memory";
    if (strlen(node->text) < len)
        return "a value cannot hold a NUL";
    if (style == FYSS_SINGLE_QUOTED &&
        memmem(node->text, len, "''", 2)) /* 0.7.12 makes three of two */
        return "two quotes in a row are misread; put this value in double quotes";
    return NULL;
}

static struct tree *build_scalar(struct builder *b, struct fy_event *event)
{
    struct fy_token *token = event->scalar.value;
    enum fy_scalar_style style = token ? fy_token_scalar_style(token) : FYSS_PLAIN;
    bool is_in_quotes = style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED;
    struct mark mark = mark_of(b, event);
    size_t len;

    mark.column -= is_in_quotes && mark.column > 1; /* libfyaml's is behind the quote */
    struct tree *node = new_node(b, TREE_SCALAR, mark);
    if (!node)
        return NULL;
    node->text = text_of(b, token, &len);
    node->is_quoted = style != FYSS_PLAIN;
    const char *refused = what_is_refused(event, node, len, style);
    if (refused)
        return complain(b, mark, refused);
    return keep_anchor(b, event->scalar.anchor, node) ? node : NULL;
}

/* A list or a map is anchored when it is whole, so that it cannot hold itself. */
static struct tree *build_collection(struct builder *b, struct fy_event *event, unsigned depth)
{
    bool is_map = event->type == FYET_MAPPING_START;
    struct fy_token *anchor = is_map ? event->mapping_start.anchor : event->sequence_start.anchor;
    struct fy_token *tag = is_map ? event->mapping_start.tag : event->sequence_start.tag;
    struct tree *node = new_node(b, is_map ? TREE_MAP : TREE_LIST, mark_of(b, event));

    if (node && tag)
        node = complain(b, node->mark, "tags (\"!\") mean nothing here");
    if (node && depth >= DEPTH_MAX)
        node = complain(b, node->mark, "nested more than 16 deep");
    if (node)
        node = is_map ? build_map(b, node, depth) : build_list(b, node, depth);
    return node && keep_anchor(b, anchor, node) ? node : NULL;
}

static struct tree *build(struct builder *b, struct fy_event *take_event, unsigned depth)
{
    struct tree *node = NULL;

    switch (take_event->type) {
    case FYET_SCALAR:
        node = build_scalar(b, take_event);
        break;
    case FYET_ALIAS:
        node = find_anchor(b, take_event);
        break;
    case FYET_MAPPING_START:
    case FYET_SEQUENCE_START:
        node = build_collection(b, take_event, depth);
        break;
    default:
        complain(b, mark_of(b, take_event), "this is no configuration");
        break;
    }
    fy_parser_event_free(b->parser, take_event);
    return node;
}

/* The type of the next event, and where it stands; FYET_NONE on error. */
static enum fy_event_type skip(struct builder *b, struct mark *ret_mark)
{
    struct fy_event *event = fy_parser_parse(b->parser);
    enum fy_event_type type = event ? event->type : FYET_NONE;

    if (event)
        *ret_mark = mark_of(b, event);
    fy_parser_event_free(b->parser, event);
    return type;
}

static struct tree *build_document(struct builder *b)
{
    struct mark mark, whole = {b->file, 1, 1};
    bool has_ended;

    if (skip(b, &mark) != FYET_STREAM_START)
        return NULL;
    enum fy_event_type type = skip(b, &mark);
    if (type != FYET_DOCUMENT_START)
        return type == FYET_STREAM_END ? new_node(b, TREE_MAP, whole) : NULL;
    struct tree *tree = build_next(b, FYET_NONE, 0, &has_ended);
    if (!tree || skip(b, &mark) != FYET_DOCUMENT_END)
        return NULL;
    type = skip(b, &mark);
    if (type != FYET_STREAM_END)
        return type == FYET_NONE ? NULL
                                 : complain(b, mark, "a second document (\"---\") in one file");
    if (tree->kind == TREE_SCALAR && tree->text[0] == '\0' && !tree->is_quoted)
        return new_node(b, TREE_MAP, whole);
    return tree;
}

/* What libfyaml has collected, in our words and places. */
static void take_errors(struct builder *b, struct fy_diag *diag)
{
    struct fy_diag_error *error;
    void *at = NULL;

    while ((error = fy_diag_errors_iterate(diag, &at))) {
        struct mark mark = {b->file, error->line > 0 ? (uint32_t)error->line : 1,
                            error->column > 0 ? (uint32_t)error->column : 1};
        char words[256];
        snprintf(words, sizeof words, "YAML: %s", error->msg ? error->msg : "malformed");
        complain(b, mark, words);
        return; /* the others follow from the first */
    }
}

/* --- before libfyaml sees it
 * ----------------------------------------------------------------------- */

/* len: of the character, 0 if it is none. A directive is no use here, and hangs libfyaml 0.7.12
 * when malformed. */
static const char *what_is_wrong(struct bytes text, size_t at, size_t len)
{
    uint8_t c = text.at[at];

    if (c == '%' && (at == 0 || text.at[at - 1] == '\n'))
        return "a line cannot begin with \"%\"";
    if (c == 0)
        return "a NUL byte: this is no text file";
    if (len == 0)
        return "this is no UTF-8";
    if ((c < ' ' && c != '\n' && c != '\r' && c != '\t') || c == 0x7f)
        return "a control character";
    return NULL;
}

/* How deep brackets are open behind this byte; what stands in a comment does not count. */
static unsigned depth_behind(unsigned depth, uint8_t c, uint8_t before, bool *is_comment)
{
    if (c == '\n')
        *is_comment = false;
    else if (c == '#' && (before == '\n' || before == ' ' || before == '\t'))
        *is_comment = true;
    if (*is_comment)
        return depth;
    return depth + (c == '[' || c == '{') - (depth && (c == ']' || c == '}'));
}

static bool is_text(struct builder *b, struct bytes text)
{
    struct mark mark = {b->file, 1, 1};
    unsigned depth = 0;
    bool is_comment = false;
    size_t len;

    for (size_t i = 0; i < text.len; i += len) {
        uint8_t c = text.at[i];
        len = utf8_len(bytes_from(text, i));
        const char *wrong = what_is_wrong(text, i, len);
        depth = depth_behind(depth, c, i ? text.at[i - 1] : '\n', &is_comment);
        if (!wrong && depth > 4 * DEPTH_MAX)
            wrong = "nested more than 16 deep";
        if (wrong) {
            report_add(b->report, mark, NULL, "%s", wrong);
            return false;
        }
        mark.column = c == '\n' ? 1 : mark.column + 1;
        mark.line += c == '\n';
    }
    return true;
}

struct tree *yaml_parse(struct arena *arena, const char *file, struct bytes text,
                        struct report *report)
{
    struct fy_diag_cfg diag_cfg;
    size_t errors = report_count(report);
    struct builder b = {.arena = arena, .file = file, .report = report, .last = {file, 1, 1}};
    struct tree *tree = NULL;

    report_know(report, file, text);
    if (!is_text(&b, text))
        return NULL;
    fy_diag_cfg_default(&diag_cfg);
    diag_cfg.fp = NULL;
    struct fy_diag *diag = fy_diag_create(&diag_cfg);
    if (!diag)
        return complain(&b, (struct mark){file, 1, 1}, "out of memory");
    fy_diag_set_collect_errors(diag, true);
    const struct fy_parse_cfg cfg = {.flags = FYPCF_QUIET | FYPCF_DISABLE_MMAP_OPT, .diag = diag};
    b.parser = fy_parser_create(&cfg);
    if (b.parser && fy_parser_set_string(b.parser, (const char *)text.at, text.len) == 0)
        tree = build_document(&b);
    if (!tree && report_count(report) == errors)
        take_errors(&b, diag);
    if (!tree && report_count(report) == errors)
        complain(&b, (struct mark){file, 1, 1}, "YAML: this file cannot be read as YAML");
    fy_parser_destroy(b.parser);
    fy_diag_destroy(diag);
    return report_count(report) == errors ? tree : NULL;
}

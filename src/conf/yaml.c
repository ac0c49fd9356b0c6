/* libfyaml reads, we build. Its events carry their marks, and a tree built from them is bounded as it grows:
 * depth, nodes, aliases. An alias shares the node it names, so nothing is ever copied. */
#include "conf/tree.h"

#include "base/check.h"

#include <libfyaml.h>
#include <stdio.h>
#include <stdlib.h>

#define DEPTH_MAX   16
#define NODES_MAX   200000
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

static struct mark mark_of(const struct builder *b, struct fy_event *event)
{
    const struct fy_mark *mark = fy_event_start_mark(event);

    return (struct mark){b->file, mark ? (uint32_t)mark->line + 1 : 0, mark ? (uint32_t)mark->column + 1 : 0};
}

static struct tree *complain(struct builder *b, struct mark mark, const char *words)
{
    char *hint = report_quote_hint(b->report, mark);

    report_add(b->report, mark, hint, "%s", words);
    free(hint);
    return NULL;
}

static char *text_of(struct builder *b, struct fy_token *token)
{
    size_t len = 0;
    const char *at = token ? fy_token_get_text(token, &len) : NULL;

    return arena_text(b->arena, (struct bytes){(const uint8_t *)at, at ? len : 0});
}

static struct tree *new_node(struct builder *b, enum tree_kind kind, struct mark mark)
{
    struct tree *node = arena_alloc(b->arena, sizeof *node);

    if (++b->nodes > NODES_MAX)
        return complain(b, mark, "the file is too large: more than 200000 values");
    if (!node)
        return complain(b, mark, "out of memory");
    *node = (struct tree){.kind = kind, .mark = mark, .text = ""};
    return node;
}

static bool keep_anchor(struct builder *b, struct fy_token *token, struct tree *node)
{
    if (!token)
        return true;
    if (b->anchor_count == ANCHORS_MAX) {
        complain(b, node->mark, "more than 100 anchors");
        return false;
    }
    b->anchor[b->anchor_count++] = (struct anchor){text_of(b, token), node};
    return true;
}

static struct tree *find_anchor(struct builder *b, struct fy_event *event)
{
    const char *name = text_of(b, event->alias.anchor);

    for (size_t i = b->anchor_count; name && i-- > 0;)
        if (b->anchor[i].name && strcmp(b->anchor[i].name, name) == 0)
            return b->anchor[i].node;
    return complain(b, mark_of(b, event), "a \"*\" begins an alias in YAML, and there is no anchor of that name");
}

static struct tree *build(struct builder *b, struct fy_event *take_event, unsigned depth);

/* The next event's node; NULL at `end` (then *ret_ended) or on error. */
static struct tree *build_next(struct builder *b, enum fy_event_type end, unsigned depth, bool *ret_ended)
{
    struct fy_event *event = fy_parser_parse(b->parser);

    *ret_ended = event && event->type == end;
    if (!event || *ret_ended) {
        fy_parser_event_free(b->parser, event);
        return NULL;
    }
    return build(b, event, depth);
}

static struct tree *build_list(struct builder *b, struct tree *list, unsigned depth)
{
    bool has_ended;
    struct tree *item;

    while ((item = build_next(b, FYET_SEQUENCE_END, depth + 1, &has_ended))) {
        struct tree_entry *entry = arena_alloc(b->arena, sizeof *entry);
        if (!entry)
            return complain(b, item->mark, "out of memory");
        *entry = (struct tree_entry){.mark = item->mark, .value = item};
        tree_add(list, entry);
    }
    return has_ended ? list : NULL;
}

static bool add_pair(struct builder *b, struct tree *map, struct tree *key, struct tree *value)
{
    struct tree_entry *entry = arena_alloc(b->arena, sizeof *entry), *before;

    if (!entry) {
        complain(b, key->mark, "out of memory");
        return false;
    }
    if (key->kind != TREE_SCALAR) {
        complain(b, key->mark, "a key must be a word");
        return true;
    }
    before = tree_find(map, key->text);
    if (before) {
        report_add(b->report, key->mark, "leave one of the two out", "\"%s\" is given twice; first in line %u",
                   key->text, before->mark.line);
        return true;
    }
    *entry = (struct tree_entry){.key = key->text, .mark = key->mark, .value = value};
    tree_add(map, entry);
    return true;
}

static struct tree *build_map(struct builder *b, struct tree *map, unsigned depth)
{
    bool has_ended;
    struct tree *key, *value;

    while ((key = build_next(b, FYET_MAPPING_END, depth + 1, &has_ended))) {
        value = build_next(b, FYET_NONE, depth + 1, &has_ended);
        if (!value || !add_pair(b, map, key, value))
            return NULL;
    }
    return has_ended ? map : NULL;
}

static struct tree *build_scalar(struct builder *b, struct fy_event *event)
{
    struct tree *node = new_node(b, TREE_SCALAR, mark_of(b, event));

    if (!node)
        return NULL;
    node->text = text_of(b, event->scalar.value);
    node->is_quoted = event->scalar.value && fy_token_scalar_style(event->scalar.value) != FYSS_PLAIN;
    if (!node->text)
        return complain(b, node->mark, "out of memory");
    return keep_anchor(b, event->scalar.anchor, node) ? node : NULL;
}

/* A list or a map is anchored when it is whole, so that it cannot hold itself. */
static struct tree *build_collection(struct builder *b, struct fy_event *event, unsigned depth)
{
    bool is_map = event->type == FYET_MAPPING_START;
    struct fy_token *anchor = is_map ? event->mapping_start.anchor : event->sequence_start.anchor;
    struct tree *node = new_node(b, is_map ? TREE_MAP : TREE_LIST, mark_of(b, event));

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

static bool skip_to(struct builder *b, enum fy_event_type wanted, enum fy_event_type *ret_type)
{
    struct fy_event *event = fy_parser_parse(b->parser);

    *ret_type = event ? event->type : FYET_NONE;
    fy_parser_event_free(b->parser, event);
    return *ret_type == wanted;
}

static struct tree *build_document(struct builder *b)
{
    const struct mark whole = {b->file, 1, 1};
    enum fy_event_type type;
    bool has_ended;

    if (!skip_to(b, FYET_STREAM_START, &type))
        return NULL;
    if (!skip_to(b, FYET_DOCUMENT_START, &type))
        return type == FYET_STREAM_END ? new_node(b, TREE_MAP, whole) : NULL;
    struct tree *tree = build_next(b, FYET_NONE, 0, &has_ended);
    if (!tree)
        return NULL;
    if (!skip_to(b, FYET_DOCUMENT_END, &type))
        return NULL;
    if (!skip_to(b, FYET_STREAM_END, &type))
        return type == FYET_NONE ? NULL : complain(b, whole, "more than one document (\"---\") in one file");
    if (tree->kind == TREE_SCALAR && tree->text[0] == '\0')
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

/* Before libfyaml sees it: what it is not made for. */
static bool is_text(struct builder *b, struct bytes text)
{
    struct mark mark = {b->file, 1, 1};
    unsigned depth = 0;

    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i];
        if (c == 0) {
            complain(b, mark, "a NUL byte: this is no text file");
            return false;
        }
        depth += c == '[' || c == '{';
        depth -= depth && (c == ']' || c == '}');
        if (depth > 4 * DEPTH_MAX) {
            complain(b, mark, "nested more than 16 deep");
            return false;
        }
        mark.column = c == '\n' ? 1 : mark.column + 1;
        mark.line += c == '\n';
    }
    return true;
}

struct tree *yaml_parse(struct arena *arena, const char *file, struct bytes text, struct report *report)
{
    struct fy_diag_cfg diag_cfg;
    size_t errors = report_count(report);
    struct builder b = {.arena = arena, .file = file, .report = report};
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

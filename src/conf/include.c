/* Files are read one after the other, each whole, and merged into the one that names them. Merging
 * never touches what was read: a map or list that grows is copied first, once, since an alias may
 * share it. So the work is bounded by the entries that are copied, whatever aliases weave. */
#include "conf/include.h"

#include <stdio.h>
#include <stdlib.h>

#define FILES_MAX       1000
#define INCLUDE_DEPTH   8
#define ALL_FILES_BYTES (16u << 20)
#define COPIES_MAX      1000000
#define CHAIN_BYTES     512

struct reading {
    struct loader *loader;
    const char *chain[INCLUDE_DEPTH + 1]; /* the files that include one another, from the first */
    unsigned depth, files, copies;
    size_t bytes;
};

static struct tree *read_text(struct reading *r, const char *name, struct bytes text);
static void merge(struct reading *r, struct tree *into, const struct tree *from);

/* --- merging
 * --------------------------------------------------------------------------------------- */

static void add_copy(struct reading *r, struct tree *into, const struct tree_entry *entry)
{
    struct tree_entry *copy =
        ++r->copies < COPIES_MAX ? loader_alloc(r->loader, sizeof *copy) : NULL;

    if (r->copies == COPIES_MAX)
        report_add(r->loader->report, entry->mark, NULL,
                   "the configuration is too large: more than 1000000 values");
    if (!copy)
        return;
    *copy = *entry;
    tree_add(into, copy);
}

/* The same, but nobody else's, so that it may grow. */
static struct tree *own(struct reading *r, struct tree *shared)
{
    if (shared->is_own)
        return shared;
    struct tree *copy = loader_alloc(r->loader, sizeof *copy);
    if (!copy)
        return NULL;
    *copy = *shared;
    copy->is_own = true;
    copy->first = copy->last = NULL;
    for (const struct tree_entry *entry = shared->first; entry; entry = entry->next)
        add_copy(r, copy, entry);
    return copy;
}

static void merge_entry(struct reading *r, struct tree *into, const struct tree_entry *entry)
{
    struct tree_entry *there = tree_find(into, entry->key);

    if (!there) {
        add_copy(r, into, entry);
        return;
    }
    if (there->value->kind != entry->value->kind || entry->value->kind == TREE_SCALAR) {
        report_add(r->loader->report, entry->mark, "leave one of the two out",
                   "\"%s\" is set here and in %s:%u:%u", entry->key, there->mark.file,
                   there->mark.line, there->mark.column);
        return;
    }
    struct tree *grown = own(r, there->value);
    if (!grown)
        return;
    there->value = grown;
    merge(r, grown, entry->value);
}

/* `into` is own. */
static void merge(struct reading *r, struct tree *into, const struct tree *from)
{
    for (const struct tree_entry *entry = from->first; entry && r->copies < COPIES_MAX;
         entry = entry->next) {
        r->copies++; /* looking counts as well */
        if (into->kind == TREE_LIST)
            add_copy(r, into, entry);
        else
            merge_entry(r, into, entry);
    }
}

/* --- reading
 * --------------------------------------------------------------------------------------- */

static struct tree *read_file(struct reading *r, const char *path, struct mark from)
{
    struct bytes text = {0};
    struct loader *loader = r->loader;
    int error = loader->source->read(loader->source, path, &text);

    if (error) {
        report_add(loader->report, from.file ? from : (struct mark){path, 0, 0}, NULL,
                   "cannot read %s: %s", path, strerror(-error));
        return NULL;
    }
    r->bytes += text.len;
    const char *name = loader_text(loader, bytes_of(path));
    struct tree *tree = NULL;
    if (++r->files > FILES_MAX || r->bytes > ALL_FILES_BYTES)
        report_add(loader->report, from, NULL, "more than %d files, or 16 MiB, of configuration",
                   FILES_MAX);
    else if (name)
        tree = read_text(r, name, text);
    free((void *)(uintptr_t)text.at);
    return tree;
}

/* Says so if the path is among those that are being read, with the way it came. */
static bool is_in_chain(struct reading *r, const char *path, struct mark mark)
{
    char chain[CHAIN_BYTES] = "";
    size_t used = 0;

    for (unsigned i = 0; i < r->depth; i++) {
        if (!used && strcmp(r->chain[i], path) != 0)
            continue;
        used +=
            (size_t)snprintf(chain + used, sizeof chain - used, "%s, which includes ", r->chain[i]);
        if (used >= sizeof chain)
            used = sizeof chain - 1;
    }
    if (used)
        report_add(r->loader->report, mark, "take one of the includes out",
                   "a file includes itself: %s%s", chain, path);
    return used;
}

static void include_one(struct reading *r, struct tree *into, const char *path, struct mark mark)
{
    if (is_in_chain(r, path, mark))
        return;
    if (r->depth > INCLUDE_DEPTH) {
        report_add(r->loader->report, mark, NULL, "includes are nested more than %d deep",
                   INCLUDE_DEPTH);
        return;
    }
    if (r->files > FILES_MAX || r->bytes > ALL_FILES_BYTES)
        return; /* said already */
    const struct tree *tree = read_file(r, path, mark);
    if (tree)
        merge(r, into, tree);
}

static void include_pattern(struct reading *r, struct tree *into, const struct tree *pattern)
{
    struct loader *loader = r->loader;
    char **paths = NULL;
    size_t count = 0;
    bool is_secret;
    const char *text = value_text(loader, pattern, "include", &is_secret);
    const char *path = text ? path_beside(loader, pattern->mark.file, text) : NULL;

    if (!path)
        return;
    int error = loader->source->expand(loader->source, path, &paths, &count);
    const char *shown = is_secret ? "***" : path;
    if (error)
        complain_at(loader, pattern->mark, NULL, "include: cannot look for %s: %s", shown,
                    strerror(-error));
    else if (count == 0 && !strpbrk(path, "*?["))
        complain_at(loader, pattern->mark, "is the path right?", "include: there is no file %s",
                    shown);
    for (size_t i = 0; i < count; i++) {
        include_one(r, into, paths[i], pattern->mark);
        free(paths[i]);
    }
    free(paths);
}

static void follow_includes(struct reading *r, struct tree *into, const struct tree *include)
{
    if (include->kind != TREE_LIST) {
        include_pattern(r, into, include);
        return;
    }
    for (const struct tree_entry *entry = include->first; entry; entry = entry->next)
        include_pattern(r, into, entry->value);
}

/* `include` is followed here, and is no key of the whole. */
static struct tree *read_text(struct reading *r, const char *name, struct bytes text)
{
    const struct tree *tree = yaml_parse(r->loader->arena, name, text, r->loader->report);
    struct tree *whole = tree ? loader_alloc(r->loader, sizeof *whole) : NULL;

    if (!whole || !value_is_map(r->loader, tree, "a configuration"))
        return NULL;
    *whole = (struct tree){.kind = TREE_MAP, .mark = tree->mark, .text = "", .is_own = true};
    for (const struct tree_entry *entry = tree->first; entry; entry = entry->next)
        if (strcmp(entry->key, "include") != 0)
            add_copy(r, whole, entry);
    const struct tree_entry *include = tree_find(tree, "include");
    r->chain[r->depth++] = name;
    if (include)
        follow_includes(r, whole, include->value);
    r->depth--;
    return whole;
}

struct tree *include_file(struct loader *loader, const char *name)
{
    struct reading reading = {.loader = loader};

    return read_file(&reading, name, (struct mark){0});
}

struct tree *include_text(struct loader *loader, const char *name, struct bytes text)
{
    struct reading reading = {.loader = loader};

    return read_text(&reading, name, text);
}

/* What stands at a place of the tree: the text itself, or what { file } or { env } names. */
#include "conf/directive.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define VALUE_FILE_BYTES 65536

const char *path_beside(struct loader *loader, const char *file, const char *path)
{
    const char *slash = file ? memrchr(file, '/', strlen(file)) : NULL;
    size_t directory = slash ? (size_t)(slash - file) + 1 : 0;

    if (path[0] == '/' || !directory)
        return path;
    char *joined = loader_alloc(loader, directory + strlen(path) + 1);
    if (!joined)
        return NULL;
    memcpy(joined, file, directory);
    memcpy(joined + directory, path, strlen(path) + 1);
    return joined;
}

static const char *text_of_file(struct loader *loader, const struct tree *name)
{
    const char *path = path_beside(loader, name->mark.file, name->text);
    struct bytes text = {0};
    int error = path ? loader->source->read(loader->source, path, &text) : -ENOMEM;

    if (error) {
        complain_at(loader, name->mark, "is the path right, and may this user read it?",
                    "cannot read \"%s\": %s", name->text, strerror(-error));
        return NULL;
    }
    while (text.len && (text.at[text.len - 1] == '\n' || text.at[text.len - 1] == '\r'))
        text.len--;
    bool is_text = text.len <= VALUE_FILE_BYTES &&
                   !memchr(text.at ? text.at : (const uint8_t *)"", 0, text.len);
    char *copy = is_text ? loader_text(loader, text) : NULL;
    free((void *)(uintptr_t)text.at);
    if (!is_text)
        complain_at(loader, name->mark, NULL, "\"%s\" is no value: too large, or with a NUL",
                    name->text);
    return copy;
}

static const char *text_of_environment(struct loader *loader, const struct tree *name)
{
    const char *value = loader->source->environment(loader->source, name->text);

    if (!value) {
        complain_at(loader, name->mark, "set it before turnout is started",
                    "the environment has no variable \"%s\"", name->text);
        return NULL;
    }
    return loader_text(loader, bytes_of(value));
}

bool value_is_elsewhere(const struct tree *value)
{
    const struct tree_entry *only = value->kind == TREE_MAP ? value->first : NULL;

    return only && !only->next && only->value->kind == TREE_SCALAR &&
           (strcmp(only->key, "file") == 0 || strcmp(only->key, "env") == 0);
}

const char *value_text(struct loader *loader, const struct tree *value, const char *what,
                       bool *ret_is_secret)
{
    *ret_is_secret = value_is_elsewhere(value);
    if (value->kind == TREE_SCALAR)
        return value->text;
    if (*ret_is_secret && strcmp(value->first->key, "file") == 0)
        return text_of_file(loader, value->first->value);
    if (*ret_is_secret)
        return text_of_environment(loader, value->first->value);
    complain_at(loader, value->mark, NULL, "%s: a single value is wanted here, not a %s", what,
                value->kind == TREE_MAP ? "map" : "list");
    return NULL;
}

bool value_is_map(struct loader *loader, const struct tree *value, const char *what)
{
    if (value->kind == TREE_MAP)
        return true;
    complain_at(loader, value->mark, NULL, "%s: a map (key: value) is wanted here, not a %s", what,
                value->kind == TREE_LIST ? "list" : "single value");
    return false;
}

bool value_is_list(struct loader *loader, const struct tree *value, const char *what)
{
    if (value->kind == TREE_LIST)
        return true;
    complain_at(loader, value->mark, NULL,
                "%s: a list (lines with \"- \", or [ a, b ]) is wanted here, not a %s", what,
                value->kind == TREE_MAP ? "map" : "single value");
    return false;
}

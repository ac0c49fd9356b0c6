/* One loop over the rows of a section: which key is which row, and what no row is. */
#include "conf/types.h"

#include <stdio.h>

#define TEXTS_MAX 10000

void section_preset(struct loader *loader, const struct section *section, void *fields)
{
    for (size_t i = 0; i < section->count; i++) {
        const struct directive *row = &section->rows[i];
        const struct value v = {loader, section, row, {0}, row->preset, row->preset};
        if (row->preset)
            load_value(&v, fields);
    }
}

static const struct directive *find_row(const struct section *section, const char *name)
{
    for (size_t i = 0; i < section->count; i++)
        if (strcmp(section->rows[i].name, name) == 0)
            return &section->rows[i];
    return NULL;
}

static bool is_handled_elsewhere(const struct section *section, const char *name)
{
    for (const char *const *other = section->others; other && *other; other++)
        if (strcmp(*other, name) == 0)
            return true;
    return false;
}

static void complain_unknown(struct loader *loader, const struct section *section,
                             const struct tree_entry *entry)
{
    const char *names[64];
    char hint[WORDS_BYTES] = "known here: ";
    size_t count = 0;

    for (size_t i = 0; i < section->count && count < 63; i++)
        names[count++] = section->rows[i].name;
    for (const char *const *other = section->others; other && *other && count < 63; other++)
        names[count++] = *other;
    names[count] = NULL;
    const char *near =
        report_count(loader->report) < ERRORS_TOLD ? nearest_word(entry->key, names) : NULL;
    if (near)
        snprintf(hint, sizeof hint, "did you mean \"%s\"?", near);
    else
        list_words(hint, sizeof hint, names);
    complain_at(loader, entry->mark, hint, "unknown key \"%s\"%s%s", entry->key,
                section->name[0] ? " in " : "", section->name);
}

/* The field whose text came from elsewhere. */
static const void *secret_of(const struct directive *row, void *fields)
{
    void *field = (char *)fields + row->offset;

    return row->type == TYPE_TEXTS ? (const void *)((struct texts *)field)->at : field;
}

static void load_single(struct loader *loader, const struct section *section,
                        const struct directive *row, const struct tree_entry *entry, void *fields)
{
    bool is_secret;
    const char *text = value_text(loader, entry->value, row->name, &is_secret);
    const struct value v = {
        loader, section, row, entry->value->mark, text, is_secret ? "***" : text};

    if (!text)
        return;
    load_value(&v, fields);
    if (is_secret)
        settings_keep_secret(loader, secret_of(row, fields));
}

/* What is no text leaves an empty one, beside its error. */
static void load_texts(struct loader *loader, const struct section *section,
                       const struct directive *row, const struct tree *list, struct texts *field)
{
    size_t count = 0;

    for (const struct tree_entry *entry = list->first; entry; entry = entry->next)
        count++;
    if (count == 0 || count > TEXTS_MAX)
        complain_at(loader, list->mark,
                    count ? "10000 is the most" : "write something, or leave the key out",
                    "%s.%s: %s", section->name, row->name, count ? "too many" : "an empty list");
    if (count == 0 || count > TEXTS_MAX || !begin_texts(loader, count, field))
        return;
    const char **at = field->at;
    struct mark *mark = field->marks;
    for (const struct tree_entry *entry = list->first; entry; entry = entry->next, at++, mark++) {
        bool is_secret;
        const char *text = value_text(loader, entry->value, row->name, &is_secret);
        const struct value v = {
            loader, section, row, entry->value->mark, text, is_secret ? "***" : text};
        *at = "";
        *mark = entry->value->mark;
        if (text)
            load_text(&v, at);
        if (is_secret)
            settings_keep_secret(loader, at);
    }
}

static void load_entry(struct loader *loader, const struct section *section,
                       const struct directive *row, const struct tree_entry *entry, void *fields)
{
    void *field = (char *)fields + row->offset;
    bool is_list = row->type == TYPE_TEXTS && entry->value->kind == TREE_LIST;

    if (is_list)
        load_texts(loader, section, row, entry->value, field);
    else
        load_single(loader, section, row, entry, fields);
}

void section_load_one(struct loader *loader, const struct section *section,
                      const struct tree_entry *entry, void *fields)
{
    const struct directive *row = find_row(section, entry->key);

    if (row)
        load_entry(loader, section, row, entry, fields);
}

void section_load(struct loader *loader, const struct section *section, const struct tree *map,
                  void *fields)
{
    if (!map || !value_is_map(loader, map, section->name))
        return;
    for (const struct tree_entry *entry = map->first; entry; entry = entry->next) {
        const struct directive *row = find_row(section, entry->key);
        if (row)
            load_entry(loader, section, row, entry, fields);
        else if (!is_handled_elsewhere(section, entry->key))
            complain_unknown(loader, section, entry);
    }
}

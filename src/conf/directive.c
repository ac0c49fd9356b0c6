/* One function per type, each saying what it wants when it does not get it; one loop over rows. */
#include "conf/directive.h"

#include "base/check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define WORDS_BYTES      512
#define USEC_PER_SEC     UINT64_C(1000000)
#define NEAR_ENOUGH      3
#define VALUE_FILE_BYTES 65536
#define ERRORS_TOLD      100
#define TEXTS_MAX        10000

void complain_at(struct loader *loader, struct mark mark, const char *hint, const char *format, ...)
{
    char words[WORDS_BYTES];
    bool is_told = report_count(loader->report) >=
                   ERRORS_TOLD; /* only counted, so nothing is made up for it */
    char *quote = hint || is_told ? NULL : report_quote_hint(loader->report, mark);
    va_list args;

    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    report_add(loader->report, mark, hint ? hint : quote, "%s", words);
    free(quote);
}

/* --- words
 * ----------------------------------------------------------------------------------------- */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edit distance (insert, delete, replace), over words of at most 63 letters. */
static size_t distance(const char *a, const char *b)
{
    size_t row[64], len = strlen(b);

    if (len > 63 || strlen(a) > 63)
        return SIZE_MAX;
    for (size_t k = 0; k <= len; k++)
        row[k] = k;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t k = 1; k <= len; k++) {
            size_t replaced = diagonal + (a[i - 1] != b[k - 1]);
            diagonal = row[k];
            row[k] = least(replaced, least(row[k], row[k - 1]) + 1);
        }
    }
    return row[len];
}

const char *nearest_word(const char *text, const char *const *words)
{
    const char *best = NULL;
    size_t best_distance = NEAR_ENOUGH;

    for (; words && *words; words++) {
        size_t d = distance(text, *words);
        if (d < best_distance && d < strlen(*words)) {
            best = *words;
            best_distance = d;
        }
    }
    return best;
}

void list_words(char *text, size_t size, const char *const *words)
{
    size_t used = strlen(text);

    for (bool is_first = true; words && *words; words++, is_first = false) {
        if (used + strlen(", ") + strlen(*words) + sizeof ", ..." > size) {
            snprintf(text + used, size - used, ", ...");
            return;
        }
        used += (size_t)snprintf(text + used, size - used, "%s%s", is_first ? "" : ", ", *words);
    }
}

/* --- values
 * ---------------------------------------------------------------------------------------- */

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

/* --- types
 * ----------------------------------------------------------------------------------------- */

/* Digits, then letters. False: not that. Too large is very large. */
static bool split_number(const char *text, uint64_t *ret_number, const char **ret_unit)
{
    uint64_t number = 0;
    const char *at = text;

    for (; *at >= '0' && *at <= '9'; at++)
        number = number > UINT64_MAX / 10 - 1 ? UINT64_MAX : number * 10 + (uint64_t)(*at - '0');
    *ret_number = number;
    *ret_unit = at;
    return at != text;
}

struct unit {
    const char *name;
    uint64_t factor;
};

static bool parse_with_units(const char *text, const struct unit *units, uint64_t *ret_value)
{
    const char *unit;
    uint64_t number;

    if (!split_number(text, &number, &unit))
        return false;
    for (; units->name; units++)
        if (strcmp(unit, units->name) == 0) {
            *ret_value = number <= UINT64_MAX / units->factor ? number * units->factor : UINT64_MAX;
            return true;
        }
    *ret_value = 0;
    return number == 0 && *unit == '\0';
}

static const struct unit time_units[] = {{"us", 1},
                                         {"ms", 1000},
                                         {"s", USEC_PER_SEC},
                                         {"m", 60 * USEC_PER_SEC},
                                         {"h", 3600 * USEC_PER_SEC},
                                         {"d", 86400 * USEC_PER_SEC},
                                         {NULL, 0}};
static const struct unit size_units[] = {{"", 1},        {"b", 1},       {"k", 1024},
                                         {"K", 1024},    {"m", 1048576}, {"M", 1048576},
                                         {"g", 1 << 30}, {"G", 1 << 30}, {NULL, 0}};
static const struct unit no_units[] = {{"", 1}, {NULL, 0}};
static const struct unit percent_units[] = {{"%", 1}, {NULL, 0}};

static const struct {
    const struct unit *units;
    const char *wanted;
    uint64_t scale; /* of the bounds */
} numeric[] = {
    [TYPE_NUMBER] = {no_units, "write a whole number", 1},
    [TYPE_TIME] = {time_units, "write a time such as 3s, 500ms, 2m or 1h", USEC_PER_SEC},
    [TYPE_SIZE] = {size_units, "write a size such as 32k, 64m or 1g", 1},
    [TYPE_PERCENT] = {percent_units, "write a share such as 10%", 1},
};

void value_write(enum directive_type type, uint64_t value, char ret_text[VALUE_CHARS])
{
    const struct unit *best = numeric[type].units;

    for (const struct unit *unit = best; unit->name; unit++)
        if (value % unit->factor == 0 && unit->factor > best->factor)
            best = unit;
    if (value == 0 && type != TYPE_PERCENT)
        snprintf(ret_text, VALUE_CHARS, "0");
    else
        snprintf(ret_text, VALUE_CHARS, "%llu%s", (unsigned long long)(value / best->factor),
                 best->name);
}

struct value {
    struct loader *loader;
    const struct section *section;
    const struct directive *row;
    struct mark mark;
    const char *text;
    const char *shown; /* in errors: the text, or *** for a secret */
};

static void wrong(const struct value *v, const char *why, const char *wanted)
{
    complain_at(v->loader, v->mark, wanted, "%s%s%s: \"%s\" %s", v->section->name,
                v->section->name[0] ? "." : "", v->row->name, v->shown, why);
}

static void out_of_bounds(const struct value *v, uint64_t number)
{
    enum directive_type type = v->row->type;
    uint64_t scale = numeric[type].scale;
    char hint[WORDS_BYTES], min[VALUE_CHARS], max[VALUE_CHARS];

    value_write(type, v->row->min * scale, min);
    value_write(type, v->row->max * scale, max);
    if (v->row->max)
        snprintf(hint, sizeof hint, "write a value from %s to %s", min, max);
    else
        snprintf(hint, sizeof hint, "write a smaller one");
    wrong(v, number < v->row->min * scale ? "is too small" : "is too large", hint);
}

static void load_numeric(const struct value *v, uint64_t *field)
{
    enum directive_type type = v->row->type;
    uint64_t scale = numeric[type].scale, number;
    bool is_bare = v->text[0] && v->text[strspn(v->text, "0123456789")] == '\0';
    bool may_be_none = (type == TYPE_TIME || type == TYPE_SIZE) && v->row->min == 0;
    char hint[WORDS_BYTES];

    if (!parse_with_units(v->text, numeric[type].units, &number)) {
        snprintf(hint, sizeof hint, "%s%s", numeric[type].wanted,
                 may_be_none ? " (0 means none)" : "");
        wrong(v, is_bare ? "has no unit" : "will not do", hint);
    } else if (number < v->row->min * scale ||
               number > (v->row->max ? v->row->max * scale : UINT64_MAX / 2)) {
        out_of_bounds(v, number);
    } else {
        *field = number;
    }
}

static void load_flag(const struct value *v, bool *field)
{
    static const char *const yes[] = {"yes", "true", "on", NULL}, *const no[] = {"no", "false",
                                                                                 "off", NULL};

    for (size_t i = 0; yes[i]; i++) {
        if (strcmp(v->text, yes[i]) == 0 || strcmp(v->text, no[i]) == 0) {
            *field = strcmp(v->text, yes[i]) == 0;
            return;
        }
    }
    wrong(v, "will not do", "write yes or no");
}

static void load_mode(const struct value *v, uint64_t *field)
{
    uint64_t mode = 0;
    size_t len = strlen(v->text);

    if (len == 0 || len > 4 || v->text[strspn(v->text, "01234567")]) {
        wrong(v, "will not do", "write permissions in octal, such as \"0660\"");
        return;
    }
    for (size_t i = 0; i < len; i++)
        mode = mode << 3 | (uint64_t)(v->text[i] - '0');
    *field = mode;
}

const char *const *directive_words(const struct directive *row)
{
    static const char *const level[] = {"debug", "info", "warning", "error", NULL};
    static const char *const format[] = {"json", "text", NULL};
    static const char *const mode[] = {"none", "terminate", "passthrough", NULL};
    static const char *const on_removed[] = {"keep", "close", NULL};
    static const char *const traceparent[] = {"make", "pass", NULL};
    static const char *const proxy_in[] = {"no", "optional", "required", NULL};
    static const char *const proxy_out[] = {"no", "v1", "v2", "v2_crc32c", NULL};
    static const char *const scheme[] = {"any", "http", "https", NULL};
    static const char *const encoded_slashes[] = {"keep", "refuse", NULL};
    static const char *const fail[] = {"closed", "open", NULL};
    static const struct {
        const char *name; /* of the row, or of its field */
        const char *const *words;
    } rows[] = {
        {"level", level},
        {"format", format},
        {"mode", mode},
        {"on_removed", on_removed},
        {"encoded_slashes", encoded_slashes},
        {"scheme", scheme},
        {"fail", fail},
        {"traceparent", traceparent},
        {"proxy_in", proxy_in},
        {"proxy_out", proxy_out},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strcmp(rows[i].name, row->name) == 0 || strcmp(rows[i].name, row->field) == 0)
            return rows[i].words;
    return NULL;
}

static void load_word(const struct value *v, int *field)
{
    const char *const *words = directive_words(v->row);
    char hint[WORDS_BYTES] = "write one of: ";

    for (int i = 0; words[i]; i++)
        if (strcmp(v->text, words[i]) == 0) {
            *field = i;
            return;
        }
    list_words(hint, sizeof hint, words);
    wrong(v, "will not do", hint);
}

static void load_text(const struct value *v, const char **field)
{
    if (v->text[0] == '\0')
        wrong(v, "is empty", "write something, or leave the key out");
    else
        *field = v->text;
}

static void load_path(const struct value *v, const char **field)
{
    load_text(v, field);
    if (*field == v->text)
        *field = path_beside(v->loader, v->mark.file, v->text);
}

/* "10/s": so many in a second, a minute or an hour. */
static void load_rate(const struct value *v, struct rate *field)
{
    static const struct unit per[] = {
        {"/s", USEC_PER_SEC}, {"/m", 60 * USEC_PER_SEC}, {"/h", 3600 * USEC_PER_SEC}, {NULL, 0}};
    const char *unit;
    uint64_t count;

    if (!split_number(v->text, &count, &unit)) {
        wrong(v, "will not do", "write a rate such as 10/s, 30/m or 100/h (0 means no limit)");
        return;
    }
    if (count > v->row->max) {
        wrong(v, "is too large", "write a smaller one, or 0 for no limit");
        return;
    }
    for (const struct unit *p = per; p->name; p++)
        if (strcmp(unit, p->name) == 0) {
            *field = (struct rate){count, p->factor};
            return;
        }
    if (count == 0 && !*unit)
        *field = (struct rate){0, USEC_PER_SEC};
    else
        wrong(v, *unit ? "will not do" : "has no unit",
              "write a rate such as 10/s, 30/m or 100/h (0 means no limit)");
}

static bool begin_texts(struct loader *loader, size_t count, struct texts *field)
{
    field->at = loader_alloc(loader, count * sizeof *field->at);
    field->marks = loader_alloc(loader, count * sizeof *field->marks);
    field->count = field->at && field->marks ? count : 0;
    return field->count > 0;
}

/* A single text is a list of one. */
static void load_one_text(const struct value *v, struct texts *field)
{
    const char *text = NULL;

    load_text(v, &text);
    if (!text || !begin_texts(v->loader, 1, field))
        return;
    field->at[0] = text;
    field->marks[0] = v->mark;
}

static void load_value(const struct value *v, void *fields)
{
    void *field = (char *)fields + v->row->offset;

    switch ((enum directive_type)v->row->type) {
    case TYPE_FLAG:
        load_flag(v, field);
        return;
    case TYPE_NUMBER:
    case TYPE_TIME:
    case TYPE_SIZE:
    case TYPE_PERCENT:
        load_numeric(v, field);
        return;
    case TYPE_MODE:
        load_mode(v, field);
        return;
    case TYPE_TEXT:
        load_text(v, field);
        return;
    case TYPE_PATH:
        load_path(v, field);
        return;
    case TYPE_WORD:
        load_word(v, field);
        return;
    case TYPE_TEXTS:
        load_one_text(v, field);
        return;
    case TYPE_RATE:
        load_rate(v, field);
        return;
    }
}

/* --- sections
 * -------------------------------------------------------------------------------------- */

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

/* One function per type, each saying what it wants when it does not get it. */
#include "conf/types.h"

#include "base/check.h"

#include <stdio.h>

#define USEC_PER_SEC UINT64_C(1000000)

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

bool value_read(enum directive_type type, const char *text, uint64_t *ret_value)
{
    return parse_with_units(text, numeric[type].units, ret_value);
}

const char *value_wanted(enum directive_type type)
{
    return numeric[type].wanted;
}

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
    static const char *const auth_fail[] = {"closed", "open", NULL};
    static const char *const store_fail[] = {"open", "closed", NULL};
    static const char *const on_down[] = {"keep", "close", "drain", NULL};
    static const char *const on_move[] = {"leave", "drain", NULL};
    static const char *const same_site[] = {"lax", "strict", "none", NULL};
    static const char *const secure[] = {"auto", "yes", "no", NULL};
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
        {"access.auth_fail", auth_fail},
        {"fail", store_fail},
        {"on_down", on_down},
        {"on_move", on_move},
        {"same_site", same_site},
        {"secure", secure},
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

void load_text(const struct value *v, const char **field)
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
bool rate_read(const char *text, struct rate *ret_rate)
{
    static const struct unit per[] = {
        {"/s", USEC_PER_SEC}, {"/m", 60 * USEC_PER_SEC}, {"/h", 3600 * USEC_PER_SEC}, {NULL, 0}};
    const char *unit;
    uint64_t count;

    if (!split_number(text, &count, &unit))
        return false;
    for (const struct unit *p = per; p->name; p++)
        if (strcmp(unit, p->name) == 0) {
            *ret_rate = (struct rate){count, p->factor};
            return true;
        }
    *ret_rate = (struct rate){0, USEC_PER_SEC};
    return count == 0 && *unit == '\0';
}

static void load_rate(const struct value *v, struct rate *field)
{
    bool is_bare = v->text[0] && v->text[strspn(v->text, "0123456789")] == '\0';
    struct rate rate;

    if (!rate_read(v->text, &rate))
        wrong(v, is_bare ? "has no unit" : "will not do",
              "write a rate such as 10/s, 30/m or 100/h (0 means no limit)");
    else if (rate.count > v->row->max)
        wrong(v, "is too large", "write a smaller one, or 0 for no limit");
    else
        *field = rate;
}

bool begin_texts(struct loader *loader, size_t count, struct texts *field)
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

void load_value(const struct value *v, void *fields)
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

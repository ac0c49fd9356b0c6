/* Values are judged by the configuration's own rules where it has them, so that a time is written
 * one way everywhere. */
#include "admin/form.h"

#include "conf/directive.h"

#include <stdarg.h>
#include <stdio.h>

void form_complain(struct form *form, const char *field, const char *what_to_do, const char *format,
                   ...)
{
    va_list args;

    if (form->wrong)
        return;
    form->wrong = field;
    snprintf(form->what_to_do, sizeof form->what_to_do, "%s", what_to_do);
    va_start(args, format);
    vsnprintf(form->error, sizeof form->error, format, args);
    va_end(args);
}

static bool is_known(const char *key, const char *const *fields)
{
    for (; *fields; fields++)
        if (strcmp(key, *fields) == 0)
            return true;
    return false;
}

struct form form_of(struct call *call, const char *const *fields)
{
    struct form form = {.call = call};
    const char *key;
    json_t *value;
    char known[200] = "";

    list_words(known, sizeof known, fields);
    json_object_foreach(call->body, key, value)
    {
        const char *nearest = is_known(key, fields) ? NULL : nearest_word(key, fields);
        if (!is_known(key, fields))
            form_complain(&form, key, nearest ? nearest : known, "there is no field \"%.60s\"%s",
                          key, nearest ? "; did you mean the one named in what_to_do?" : "");
    }
    return form;
}

bool form_has(const struct form *form, const char *field)
{
    return json_object_get(form->call->body, field);
}

/* NULL: the field is not there, or is no text, which was said then. */
static const char *text_of(struct form *form, const char *field, const char *what_to_do)
{
    const json_t *value = json_object_get(form->call->body, field);

    if (value && !json_is_string(value))
        form_complain(form, field, what_to_do, "%s is no text", field);
    return json_string_value(value);
}

void form_text(struct form *form, const char *field, const char **text)
{
    const char *value = text_of(form, field, "write it in quotes");

    if (value && !*value)
        form_complain(form, field, "write something, or leave it out", "%s is empty", field);
    else if (value)
        *text = value;
}

void form_flag(struct form *form, const char *field, bool *flag)
{
    const json_t *value = json_object_get(form->call->body, field);

    if (value && !json_is_boolean(value))
        form_complain(form, field, "write true or false", "%s is neither true nor false", field);
    else if (value)
        *flag = json_is_true(value);
}

void form_number(struct form *form, const char *field, uint64_t least, uint64_t most,
                 uint64_t *number)
{
    const json_t *value = json_object_get(form->call->body, field);
    char what_to_do[120];

    if (!value)
        return;
    json_int_t given = json_integer_value(value);
    if (json_is_integer(value) && given >= 0 && (uint64_t)given >= least &&
        (uint64_t)given <= most) {
        *number = (uint64_t)given;
        return;
    }
    snprintf(what_to_do, sizeof what_to_do, "write a whole number from %llu to %llu",
             (unsigned long long)least, (unsigned long long)most);
    form_complain(form, field, what_to_do, "%s will not do", field);
}

/* Of a type that the configuration knows, with the unit that it wants. */
static void read_value(struct form *form, const char *field, enum directive_type type,
                       uint64_t most, uint64_t *number)
{
    const char *text = text_of(form, field, value_wanted(type));
    uint64_t given;
    char words[80], limit[VALUE_CHARS];

    if (!text)
        return;
    if (!value_read(type, text, &given)) {
        form_complain(form, field, value_wanted(type), "%s: \"%.60s\" will not do", field, text);
    } else if (given > most) {
        value_write(type, most, limit);
        snprintf(words, sizeof words, "write at most %s", limit);
        form_complain(form, field, words, "%s: \"%.60s\" is too large", field, text);
    } else {
        *number = given;
    }
}

void form_time(struct form *form, const char *field, uint64_t most_usec, uint64_t *usec)
{
    read_value(form, field, TYPE_TIME, most_usec, usec);
}

void form_percent(struct form *form, const char *field, uint64_t most, uint64_t *percent)
{
    read_value(form, field, TYPE_PERCENT, most, percent);
}

void form_rate(struct form *form, const char *field, uint64_t most, struct rate *rate)
{
    const char *wanted = "write a rate such as 50/s, 30/m or 100/h",
               *text = text_of(form, field, wanted);
    struct rate given;

    if (!text)
        return;
    if (!rate_read(text, &given) || !given.count)
        form_complain(form, field, wanted, "%s: \"%.60s\" will not do", field, text);
    else if (given.count > most)
        form_complain(form, field, "write a smaller one", "%s: \"%.60s\" is too large", field,
                      text);
    else
        *rate = given;
}

void form_word(struct form *form, const char *field, const char *const *words, unsigned *index)
{
    char what_to_do[200] = "write one of: ";

    list_words(what_to_do, sizeof what_to_do, words);
    const char *text = text_of(form, field, what_to_do);
    if (!text)
        return;
    for (unsigned i = 0; words[i]; i++)
        if (strcmp(text, words[i]) == 0) {
            *index = i;
            return;
        }
    form_complain(form, field, what_to_do, "%s: \"%.60s\" will not do", field, text);
}

json_t *form_refuse(struct form *form)
{
    form->call->status = 422;
    call_make_utf8(form->error);
    call_make_utf8(form->what_to_do);
    return json_pack("{s:s, s:s, s:s}", "error", form->error, "what_to_do", form->what_to_do,
                     "field", form->wrong);
}

/* Errors are collected as they are found and sorted when they are shown: by file, line, column. */
#include "conf/text.h"
#include "conf/tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ERRORS_MAX 100
#define WORDS_MAX  512
#define LINE_MAX   160 /* characters of a line that are shown */

struct known {
    char *file;
    char *text;
    size_t len;
};

struct error {
    struct mark mark;
    size_t file_number; /* in the order in which files were read; what is in no file comes first */
    size_t number;      /* as found */
    char *words, *hint;
};

struct report {
    struct known *known;
    size_t known_count;
    struct error *error;
    size_t count; /* all that were found */
    size_t kept;
};

struct report *report_new(void)
{
    return calloc(1, sizeof(struct report));
}

struct report *report_free(struct report *report)
{
    if (!report)
        return NULL;
    for (size_t i = 0; i < report->known_count; i++) {
        free(report->known[i].file);
        free(report->known[i].text);
    }
    for (size_t i = 0; i < report->kept; i++) {
        free(report->error[i].words);
        free(report->error[i].hint);
    }
    free(report->known);
    free(report->error);
    free(report);
    return NULL;
}

size_t report_count(const struct report *report)
{
    return report->count;
}

static size_t number_of(const struct report *report, const char *file)
{
    for (size_t i = 0; file && i < report->known_count; i++)
        if (strcmp(report->known[i].file, file) == 0)
            return i;
    return report->known_count;
}

/* What is printed is text for a terminal, whatever the file holds. */
static char *clean_copy(const char *text)
{
    char *copy = text ? strdup(text) : NULL;

    for (char *at = copy; at && *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
    return copy;
}

/* The number of that file, which is known from now on; known_count: no memory, or no file. Names
 * are the report's own, since it outlives what it reports on. */
static size_t know(struct report *report, const char *file)
{
    size_t number = number_of(report, file);

    if (!file || number < report->known_count)
        return number;
    struct known *more = realloc(report->known, (report->known_count + 1) * sizeof *more);
    char *name = more ? strdup(file) : NULL;
    if (more)
        report->known = more;
    if (name)
        more[report->known_count++] = (struct known){.file = name};
    return number;
}

void report_know(struct report *report, const char *file, struct bytes text)
{
    size_t number = know(report, file);
    char *copy = malloc(text.len + 1);

    if (number == report->known_count || report->known[number].text || !copy) {
        free(copy);
        return; /* errors are shown without their line */
    }
    if (text.len)
        memcpy(copy, text.at, text.len);
    report->known[number].text = copy;
    report->known[number].len = text.len;
}

struct bytes report_line(const struct report *report, const char *file, uint32_t line)
{
    size_t number = number_of(report, file);
    struct bytes rest;

    if (number == report->known_count || line == 0 || !report->known[number].text)
        return (struct bytes){0};
    rest = (struct bytes){(const uint8_t *)report->known[number].text, report->known[number].len};
    for (uint32_t i = 1; i < line; i++)
        rest = bytes_from(rest, bytes_find(rest, bytes_of("\n"), 0) + 1);
    struct bytes found = bytes_slice(rest, 0, bytes_find(rest, bytes_of("\n"), 0));
    while (found.len && found.at[found.len - 1] == '\r')
        found.len--;
    return found;
}

void report_add(struct report *report, struct mark mark, const char *hint, const char *format, ...)
{
    char words[WORDS_MAX];
    va_list args;

    report->count++;
    if (report->kept == ERRORS_MAX)
        return;
    struct error *more = realloc(report->error, (report->kept + 1) * sizeof *more);
    if (!more)
        return;
    report->error = more;
    size_t number = know(report, mark.file), order = mark.file ? number + 1 : 0;
    mark.file = number < report->known_count ? report->known[number].file : NULL;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    more[report->kept] =
        (struct error){mark, order, report->kept, clean_copy(words), clean_copy(hint)};
    report->kept++;
}

/* --- advice to quote
 * ------------------------------------------------------------------------------- */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static bool is_end(uint8_t c)
{
    return c == ' ' || c == '\t' || c == ',';
}

static bool holds(struct bytes word, const char *text)
{
    return bytes_find(word, bytes_of(text), 0) < word.len;
}

/* Closing brackets that the word does not open belong to what is around it. */
static struct bytes trim_closers(struct bytes word)
{
    for (;;) {
        int depth = 0;
        for (size_t i = 0; i < word.len; i++)
            depth +=
                (word.at[i] == '{' || word.at[i] == '[') - (word.at[i] == '}' || word.at[i] == ']');
        if (depth >= 0 || !word.len)
            return word;
        word.len--;
    }
}

static bool begins_as_other(uint8_t first)
{
    return first == '*' || first == '@' || first == '%' || first == '`' || first == '&' ||
           first == '!';
}

/* What looks like a path template or an address in brackets wants quotes wherever the error is;
 * what could as well be meant (an alias, a map) only where it is the error. */
static bool wants_quotes(struct bytes word, bool is_here)
{
    uint8_t first = word.len ? word.at[0] : 0;

    if (first == '"' || first == '\'')
        return false;
    if (holds(word, "/{") || holds(word, "}/") || (first == '[' && holds(word, "]:")))
        return true;
    if (!is_here || word.len < 2)
        return false;
    return begins_as_other(first) || (first == '{' && word.at[word.len - 1] == '}');
}

char *report_quote_hint(const struct report *report, struct mark mark)
{
    struct bytes line = report_line(report, mark.file, mark.line);
    char hint[WORDS_MAX];

    for (size_t at = 0; at < line.len && line.at[at] != '#';) {
        size_t end = at;
        while (end < line.len && !is_end(line.at[end]))
            end++;
        struct bytes word = trim_closers(bytes_slice(line, at, end));
        if (wants_quotes(word, at < mark.column && mark.column <= end + 1)) {
            snprintf(hint, sizeof hint,
                     "YAML reads this as something else than text; put it in quotes: \"%.*s\"",
                     (int)least(word.len, LINE_MAX), (const char *)word.at);
            return strdup(hint);
        }
        at = end + 1;
    }
    return NULL;
}

/* --- showing
 * --------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    const struct error *x = a, *y = b;

    if (x->file_number != y->file_number)
        return x->file_number < y->file_number ? -1 : 1;
    if (x->mark.line != y->mark.line)
        return x->mark.line < y->mark.line ? -1 : 1;
    if (x->mark.column != y->mark.column)
        return x->mark.column < y->mark.column ? -1 : 1;
    return x->number < y->number ? -1 : 1;
}

static void sort(const struct report *report)
{
    if (report->kept)
        qsort(report->error, report->kept, sizeof *report->error, compare);
}

/* The bytes of `len` characters of UTF-8, from `at` on. */
static size_t after_characters(struct bytes line, size_t at, size_t len)
{
    while (at < line.len && len-- > 0)
        do
            at++;
        while (at < line.len && (line.at[at] & 0xc0) == 0x80);
    return at;
}

/* Where user and password of a URL stand: from behind "://" up to the last '@' before a blank, a
 * quote or the end. Empty where there are none. */
static struct bytes secrets_of(struct bytes line, size_t from)
{
    struct bytes slashes = bytes_of("://");
    size_t begin = bytes_find(line, slashes, from) + slashes.len, end = begin;

    for (size_t i = begin; i < line.len && !strchr(" \t\"'", line.at[i]); i++)
        end = line.at[i] == '@' ? i : end;
    return bytes_slice(line, begin, end);
}

static void say_character(struct text *text, struct bytes line, struct bytes secrets, size_t at)
{
    uint8_t c = line.at[at];
    bool is_secret = line.at + at >= secrets.at && line.at + at < secrets.at + secrets.len;

    if (is_secret && (c & 0xc0) == 0x80)
        return; /* one * for each character */
    text_say(text, "%c", is_secret ? '*' : (c < ' ' && c != '\t') || c == 0x7f ? '?' : c);
}

/* The line, or the part of a long one around the column, and a caret under the column. Tabs are
 * kept in both, so that the caret stands right whatever they are wide. */
static void say_line(struct text *text, const struct report *report, struct mark mark)
{
    struct bytes line = report_line(report, mark.file, mark.line);
    uint32_t skipped = mark.column > LINE_MAX / 2 ? mark.column - LINE_MAX / 2 : 0;

    if (!line.len)
        return;
    size_t from = after_characters(line, 0, skipped);
    size_t to = after_characters(line, from, LINE_MAX),
           caret = after_characters(line, from, mark.column - skipped - 1);
    struct bytes secrets = secrets_of(line, 0);
    text_say(text, "    ");
    for (size_t i = from; i < to; i++) {
        if (secrets.at && line.at + i == secrets.at + secrets.len)
            secrets = secrets_of(line, i); /* of the next URL */
        say_character(text, line, secrets, i);
    }
    text_say(text, "\n    ");
    for (size_t i = from; i < caret; i++)
        if ((line.at[i] & 0xc0) != 0x80)
            text_say(text, "%c", line.at[i] == '\t' ? '\t' : ' ');
    text_say(text, "^\n");
}

static void say_error(struct text *text, const struct report *report, const struct error *error)
{
    if (error->mark.file && error->mark.line)
        text_say(text, "%s:%u:%u: ", error->mark.file, error->mark.line, error->mark.column);
    else if (error->mark.file)
        text_say(text, "%s: ", error->mark.file);
    text_say(text, "error: %s\n", error->words ? error->words : "out of memory");
    if (error->mark.file && error->mark.line)
        say_line(text, report, error->mark);
    if (error->hint)
        text_say(text, "  %s\n", error->hint);
}

char *report_text(const struct report *report)
{
    struct text text = {0};

    sort(report);
    for (size_t i = 0; i < report->kept; i++)
        say_error(&text, report, &report->error[i]);
    if (report->count > report->kept)
        text_say(&text, "and %zu more\n", report->count - report->kept);
    text_say(&text, "%zu error%s\n", report->count, report->count == 1 ? "" : "s");
    return text_take(&text);
}

void report_each(const struct report *report,
                 void (*tell)(void *to, struct mark mark, const char *words, const char *hint),
                 void *to)
{
    sort(report);
    for (size_t i = 0; i < report->kept; i++)
        tell(to, report->error[i].mark,
             report->error[i].words ? report->error[i].words : "out of memory",
             report->error[i].hint);
}

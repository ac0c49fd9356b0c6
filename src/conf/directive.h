/* The interpreter of the directive tables: a map of the file becomes the fields of a struct. */
#pragma once

#include "conf/tree.h"

#define WORDS_BYTES 512 /* of an error or a hint */
#define ERRORS_TOLD 100 /* those that follow are only counted */

enum directive_type {
    TYPE_FLAG,    /* bool: yes or no */
    TYPE_NUMBER,  /* uint64_t */
    TYPE_TIME,    /* uint64_t, microseconds: "3s"; 0 needs no unit */
    TYPE_SIZE,    /* uint64_t, bytes: "32k" */
    TYPE_PERCENT, /* uint64_t: "10%" */
    TYPE_MODE,    /* uint64_t: permissions, "0660" */
    TYPE_TEXT,    /* const char * */
    TYPE_PATH,    /* const char *, joined to the directory of the file that names it */
    TYPE_WORD,    /* an enum, in the order of directive_words */
    TYPE_TEXTS,   /* struct texts: a list, or a single text */
    TYPE_RATE     /* struct rate: "10/s" */
};
enum reload_rule { RELOAD_LIVE, RELOAD_START };

struct directive {
    const char *name;
    uint8_t type, reload;
    size_t offset;      /* of the field */
    const char *preset; /* NULL: none */
    uint64_t min, max;  /* max 0: no bound */
    const char *help;
    const char *field; /* its name in the struct */
};

struct section {
    const char *name; /* as it stands in errors: "timeouts" */
    const struct directive *rows;
    size_t count;
    const char *const *others; /* keys that are handled elsewhere; ends in NULL; may be NULL */
};

struct loader {
    struct arena *arena;
    struct conf_source *source;
    struct report *report;
    struct settings *settings;
    const char **pool_names; /* for routes; ends in NULL */
    size_t secrets_room;
    bool has_no_memory; /* something is missing from the settings: they cannot be used */
};

/* Zeroed memory that lives as long as the settings. NULL: none, and the loader remembers. */
void *loader_alloc(struct loader *loader, size_t size);
char *loader_text(struct loader *loader, struct bytes text); /* a copy with a NUL */

/* Remembers that the field's value came from { file } or { env }, so that it is never shown. */
void settings_keep_secret(struct loader *loader, const void *field);
bool settings_is_secret(const struct settings *settings, const void *field);
/* The field's text, or *** when it must not be shown. */
const char *settings_shown(const struct settings *settings, const char *const *field);

/* Sets every field that has a default. */
void section_preset(struct loader *loader, const struct section *section, void *fields);
/* Reads what the map says; unknown keys and wrong values are errors. `map` may be NULL. */
void section_load(struct loader *loader, const struct section *section, const struct tree *map,
                  void *fields);

/* One entry of a map that belongs to another section. */
void section_load_one(struct loader *loader, const struct section *section,
                      const struct tree_entry *entry, void *fields);
/* The words that a TYPE_WORD row may take, in the order of its enum; ends in NULL. */
const char *const *directive_words(const struct directive *row);

/* A value in the largest unit in which it is a whole number: "90s", "64k", "10%"; for numeric
 * types. */
#define VALUE_CHARS 32
void value_write(enum directive_type type, uint64_t value, char ret_text[VALUE_CHARS]);
/* The way back, without bounds. False: that is none, and value_wanted says what is. */
bool value_read(enum directive_type type, const char *text, uint64_t *ret_value);
const char *value_wanted(enum directive_type type);
bool rate_read(const char *text, struct rate *ret_rate); /* "10/s", or "0" */

/* { file: PATH } or { env: NAME }. */
bool value_is_elsewhere(const struct tree *value);
/* The text of a scalar, or of what { file: } or { env: } names. NULL: an error, which is reported.
 */
const char *value_text(struct loader *loader, const struct tree *value, const char *what,
                       bool *ret_is_secret);
bool value_is_map(struct loader *loader, const struct tree *value, const char *what);
bool value_is_list(struct loader *loader, const struct tree *value, const char *what);

/* An error at a place of the tree, with the advice to quote where it helps. hint may be NULL. */
__attribute__((format(printf, 4, 5))) void complain_at(struct loader *loader, struct mark mark,
                                                       const char *hint, const char *format, ...);
/* Adds "a, b, c" to the text; cut short with "..." where there are too many. */
void list_words(char *text, size_t size, const char *const *words);
/* The nearest of the words, when it is near enough to be meant; NULL: none. */
const char *nearest_word(const char *text, const char *const *words);
/* `path`, made absolute against the directory of the file that names it. NULL: no memory. */
const char *path_beside(struct loader *loader, const char *file, const char *path);

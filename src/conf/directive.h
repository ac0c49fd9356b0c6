/* The interpreter of the directive tables: a map of the file becomes the fields of a struct. */
#pragma once

#include "conf/tree.h"

enum directive_type { TYPE_FLAG, TYPE_NUMBER, TYPE_TIME, TYPE_SIZE, TYPE_PERCENT, TYPE_MODE, TYPE_TEXT, TYPE_PATH, TYPE_WORD };
enum reload_rule { RELOAD_LIVE, RELOAD_START };

struct directive {
    const char *name;
    uint8_t type, reload;
    size_t offset;               /* of the field */
    const char *preset;          /* NULL: none */
    uint64_t min, max;           /* max 0: no bound */
    const char *help;
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
};

/* Remembers that the field's value came from { file } or { env }, so that it is never shown. */
void settings_keep_secret(struct loader *loader, const void *field);

/* Sets every field that has a default. */
void section_preset(struct loader *loader, const struct section *section, void *fields);
/* Reads what the map says; unknown keys and wrong values are errors. `map` may be NULL. */
void section_load(struct loader *loader, const struct section *section, const struct tree *map, void *fields);

/* One entry of a map that belongs to another section. */
void section_load_one(struct loader *loader, const struct section *section, const struct tree_entry *entry,
                      void *fields);
/* The words that a TYPE_WORD row may take, in the order of its enum; ends in NULL. */
const char *const *directive_words(const struct directive *row);

/* The text of a scalar, or of what { file: } or { env: } names. NULL: an error, which is reported. */
const char *value_text(struct loader *loader, const struct tree *value, const char *what, bool *ret_is_secret);
bool value_is_map(struct loader *loader, const struct tree *value, const char *what);
bool value_is_list(struct loader *loader, const struct tree *value, const char *what);

/* An error at a place of the tree, with the advice to quote where it helps. hint may be NULL. */
__attribute__((format(printf, 4, 5))) void complain_at(struct loader *loader, struct mark mark, const char *hint,
                                                       const char *format, ...);
/* The nearest of the words, when it is near enough to be meant; NULL: none. */
const char *nearest_word(const char *text, const char *const *words);
/* `path`, made absolute against the directory of the file that names it. NULL: no memory. */
const char *path_beside(struct arena *arena, const char *file, const char *path);

/* A configuration file as a tree that knows where everything stands: what YAML is turned into, and
 * the only thing the tables see. All of it lies in the arena it was made in. */
#pragma once

#include "conf/settings.h"

enum tree_kind { TREE_SCALAR, TREE_MAP, TREE_LIST };

struct tree_entry {
    const char *key;  /* of a map; NULL in a list */
    struct mark mark; /* of the key */
    struct tree *value;
    struct tree_entry *next;
};

struct tree {
    enum tree_kind kind;
    struct mark mark;
    const char *text; /* of a scalar; "" for an empty one */
    bool is_quoted;
    bool is_own; /* made by include.c, for itself: it may grow */
    struct tree_entry *first, *last;
};

/* NULL when it is no YAML we take; the report says why. An empty file is an empty map. */
struct tree *yaml_parse(struct arena *arena, const char *file, struct bytes text,
                        struct report *report);

struct tree_entry *tree_find(const struct tree *map, const char *key); /* NULL: none */
void tree_add(struct tree *to, struct tree_entry *entry);

/* --- within conf
 * ------------------------------------------------------------------------------------ */

char *arena_text(struct arena *arena, struct bytes text); /* with a NUL; NULL: no memory */

/* The report keeps a copy of the text, for the lines it shows. */
void report_know(struct report *report, const char *file, struct bytes text);
/* The line of a known file; empty when it is not known. */
struct bytes report_line(const struct report *report, const char *file, uint32_t line);
/* If the line holds a word that YAML reads as something else than the text it looks like ({room},
 * [::1]:80,
 * *.example.com), the advice to put it in quotes, with the word; else NULL. Malloc'ed. */
char *report_quote_hint(const struct report *report, struct mark mark);

/* Between the loop over rows (directive.c) and the types of their values (types.c). */
#pragma once

#include "conf/directive.h"

struct value {
    struct loader *loader;
    const struct section *section;
    const struct directive *row;
    struct mark mark;
    const char *text;
    const char *shown; /* in errors: the text, or *** for a secret */
};

/* Reads the value into the row's field of the struct `fields`; an error leaves it as it was. */
void load_value(const struct value *v, void *fields);
void load_text(const struct value *v, const char **field);
/* Room for so many texts. False: no memory. */
bool begin_texts(struct loader *loader, size_t count, struct texts *field);

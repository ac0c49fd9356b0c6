/* Between show.c (the whole, listeners, stores, pools) and show_route.c. */
#pragma once

#include "conf/sections.h"
#include "conf/text.h"

struct out {
    const struct settings *settings;
    struct text text;
};

void say_text(struct out *out, const char *text);         /* in quotes */
void say_shown(struct out *out, const char *const *text); /* the same, or *** */
void say_value(struct out *out, const struct directive *row, const void *field);
/* "key: value" of each row that has one, separated by `between`. */
void say_rows(struct out *out, const struct section *section, const void *fields,
              const char *between);
/* Whether one of the rows has a value. */
bool has_any(const struct section *section, const void *fields);
void say_relay(struct out *out, const struct relay_settings *relay, const char *indent);
void say_route(struct out *out, const struct route_settings *route);

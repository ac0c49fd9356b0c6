/* What a body says, field by field. What a field leaves out stays as it was; the first thing that
 * is wrong is kept with its field's name, and the rest is still read, harmlessly. Times, rates and
 * shares are written as in the configuration: "30s", "50/s", "10%". */
#pragma once

#include "admin/call.h"
#include "conf/settings.h"

struct form {
    struct call *call;
    const char *wrong; /* the field that is; NULL: all is well so far */
    char error[256], what_to_do[256];
};

/* `fields` ends in NULL: what it does not name is wrong. */
struct form form_of(struct call *call, const char *const *fields);
bool form_has(const struct form *form, const char *field);

void form_text(struct form *form, const char *field, const char **text); /* not empty; borrowed */
void form_flag(struct form *form, const char *field, bool *flag);
void form_number(struct form *form, const char *field, uint64_t least, uint64_t most,
                 uint64_t *number);
void form_time(struct form *form, const char *field, uint64_t most_usec, uint64_t *usec);
void form_percent(struct form *form, const char *field, uint64_t most, uint64_t *percent);
void form_rate(struct form *form, const char *field, uint64_t most, struct rate *rate);
/* One of the words, which end in NULL: its index. */
void form_word(struct form *form, const char *field, const char *const *words, unsigned *index);

/* Says that a field is wrong for a reason of the caller's; an earlier complaint stands. */
__attribute__((format(printf, 4, 5))) void form_complain(struct form *form, const char *field,
                                                         const char *what_to_do, const char *format,
                                                         ...);
/* 422, with the field that is wrong as `field`. NULL: no memory. */
json_t *form_refuse(struct form *form);

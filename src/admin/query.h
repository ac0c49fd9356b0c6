/* What a request asks for: its path, and its query's parameters, decoded. Pure. */
#pragma once

#include "base/bytes.h"

#define QUERY_PARAMS_MAX 8

struct query {
    struct bytes path; /* as received, without the query */
    size_t count;
    struct {
        struct bytes name;
        char value[160];
    } param[QUERY_PARAMS_MAX];
};

/* Resolves %-escapes into a text that ends in NUL. False: a malformed escape, one of NUL, or more
 * than `size` holds. In a query '+' is a blank; in a path it is itself. */
enum query_plus { QUERY_PLUS_IS_BLANK, QUERY_PLUS_IS_PLUS };
bool query_decode(struct bytes text, enum query_plus plus, char *to, size_t size);

/* False: a malformed escape, too many parameters, or one that is too long. */
bool query_parse(struct bytes target, struct query *ret_query);
const char *query_find(const struct query *query, const char *name); /* NULL: not given */
/* Decimal digits only; `otherwise` when it is not given. False: it is no number, or above `most`.
 */
bool query_number(const struct query *query, const char *name, uint64_t otherwise, uint64_t most,
                  uint64_t *ret_number);

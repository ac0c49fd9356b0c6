/* A file of servers: one `ADDRESS [weight=N] [max_connections=N] [backup]` a line; blank lines and
 * what follows a # are nothing. Pure. */
#pragma once

#include "base/bytes.h"
#include "pool/pool.h"

#define LIST_BYTES_MAX (4u << 20)

/* `words` say what is wrong in that line, and are borrowed. */
typedef void list_tell_fn(void *to, unsigned line, const char *words);

/* Servers in file order; what a line leaves out is as in `preset`. 0; -EINVAL: something is wrong,
 * and was told, at most 20 times; -ENOMEM. The array is malloc'ed and the caller's; none at all is
 * no error. */
int list_parse(struct bytes text, const struct pool_member_spec *preset, list_tell_fn *tell,
               void *to, struct pool_member_spec **ret_servers, size_t *ret_count);

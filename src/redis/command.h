/* A command for a Redis server, as RESP wants it: an array of bulk strings. */
#pragma once

#include "base/buf.h"

/* Appends it whole, or nothing: 0, -ENOMEM, or -EMSGSIZE beyond the limit of `to`. */
int redis_command(struct buf *to, const struct bytes *words, size_t count);

/* A path without its first segments, as a server is asked that does not know of them. */
#pragma once

#include "base/buf.h"
#include "route/route.h"

/* Appends the path behind the segments of `prefix` (a rule with a prefix alone), as received but
 * without dot segments. It begins with one '/', also where nothing or a '/' follows, so that no
 * server reads a host in it. False: the path does not begin so, and nothing was appended, or
 * *ret_error is set: -ENOMEM or -EMSGSIZE. `normal` is the same path by url_path_normalise. */
bool strip_write(const struct route_rule *prefix, struct bytes path, const struct url_path *normal,
                 struct buf *to, int *ret_error);

/* Changes to the fields of a head: what goes, what replaces, what is added. */
#pragma once

#include "conf/settings.h"
#include "route/template.h"

#define EDITS_MAX 64 /* of one head */

struct edit {
    enum edit_op op;
    struct bytes name;
    struct template *value; /* NULL for EDIT_REMOVE */
};

struct edits {
    size_t count;
    struct edit *edit;
    struct bytes *dropped; /* names that go before lines are added: removed and set ones */
    size_t dropped_count;
};

typedef void edits_tell_fn(void *to, struct mark mark, const char *words);

/* 0; -ENOMEM; or -EINVAL, and each error was told. Names are borrowed from the settings. Refused:
 * hop-by-hop and framing fields, Host, Sec-WebSocket-* and what else is ours to say (RFC 9110
 * section 7.6.1). A zeroed `edits` changes nothing, and is what edits_done leaves. */
int edits_init(struct edits *edits, const struct edits_settings *settings, enum template_use use,
               edits_tell_fn *tell, void *to);
void edits_done(struct edits *edits);

/* Takes the lines of the names that go out of `lines` (whole lines, ours), then appends what is set
 * and added. A field whose value comes out empty is not written. 0, -ENOMEM or -EMSGSIZE. */
int edits_apply(const struct edits *edits, const struct facts *facts, struct buf *lines);

/* Whether whole lines hold a field of that name. */
bool edits_lines_have(struct bytes lines, struct bytes name);

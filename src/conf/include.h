/* A configuration file with all that it includes, as one tree. */
#pragma once

#include "conf/directive.h"

/* NULL when anything cannot be read or put together: the report says what. Of the files, lists are
 * appended in the order of reading, maps merged, and a plain value may be set only once. */
struct tree *include_file(struct loader *loader, const char *name);
struct tree *include_text(struct loader *loader, const char *name, struct bytes text);

/* What is UTF-8, for whoever reads text from outside and for whoever writes it out. Pure. */
#pragma once

#include "base/bytes.h"

/* The bytes, 1 to 4, of the character with which the text begins (RFC 3629 section 4); 0: it begins
 * with none, or is empty. */
size_t utf8_len(struct bytes text);

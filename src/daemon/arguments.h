/* `turnout proxy`: a configuration out of arguments. */
#pragma once

#include "daemon/options.h"

/* The configuration, as YAML, that the arguments amount to; malloc'ed. NULL: no memory. */
char *arguments_to_yaml(const struct options *options);

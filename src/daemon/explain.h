/* Commands over a configuration file, without serving. */
#pragma once

#include "daemon/options.h"

int explain_check(const struct options *options);   /* turnout check FILE */
int explain_request(const struct options *options); /* turnout explain FILE URL */

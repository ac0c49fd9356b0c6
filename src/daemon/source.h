/* The configuration's way to files and environment, and to the judgements of the floors above it.
 */
#pragma once

#include "conf/settings.h"

struct conf_source *source_of_files(void); /* constant, shared */

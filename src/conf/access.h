/* What a route asks of who wants to come in, from the tree. */
#pragma once

#include "conf/directive.h"

void access_preset(struct loader *loader, struct route_settings *route);
/* `access` and `rate` of a route's map. */
void access_load(struct loader *loader, const struct tree *element, struct route_settings *route);

/* Checks a text that names a network; the set is made of it later. */
void complain_network(struct loader *loader, struct mark mark, const char *what,
                      const char *const *text);

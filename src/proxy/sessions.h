/* The servers' own door to their sessions' state (`listeners: [ { sessions: NAME } ]`): GET, PUT
 * and DELETE of /sessions/{id} by HTTP/1.1, with the state's version as ETag. Whoever reaches the
 * listener may read and change everything in the store, so it belongs on the loopback or behind
 * TLS in a network of one's own; browsers are turned away by the Origin that they send. */
#pragma once

#include "proxy/proxy.h"

#define SESSIONS_CLIENTS_MAX 1024 /* of one worker, at once */

/* Takes the descriptor, whatever happens. */
void sessions_start(struct proxy *proxy, unsigned gate, int take_fd);

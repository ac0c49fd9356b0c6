/* Whether a request may come in: the rates and the access of its route, put to the connection that
 * it came by. Used inside the flows' own steps. */
#pragma once

#include "proxy/exchange.h"

/* What can be said at once: rates, addresses, origins, tokens. DONE: the request counts until
 * connection_release_hold, and h->claims is what its token said. Else the reason, and what belongs
 * into the answer is in h->own. */
enum reason admission_judge(struct exchange *h, struct connection *c);

/* Begins to ask the server of `auth` as a child of c's flow: h->auth, when there is one to be
 * asked. DONE, or why that cannot be. */
enum reason admission_ask(struct exchange *h, struct connection *c);
/* When h->auth is over. DONE: it may come in. AUTH_DENIED: h->own is what the client is told. */
enum reason admission_hear(struct exchange *h);

/* For a connection that is no HTTP: rates and addresses. */
enum reason admission_judge_connection(struct connection *c);

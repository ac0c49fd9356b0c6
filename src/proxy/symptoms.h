/* What a server did, told to those who judge it: latency and counts in the server itself, failures
 * to passive health, its wish to be drained to health. On the connection's own worker; c->chosen is
 * the server. */
#pragma once

#include "codec/http1.h"
#include "proxy/connection.h"

/* A handshake is put to it. */
void symptoms_asked(const struct connection *c);
/* It was not reached, or gave no answer, or a wrong one, for that reason. */
void symptoms_failed(const struct connection *c, enum reason reason, bool is_handshake);
/* It answered with that head, so long after the request was sent. */
void symptoms_answered(const struct connection *c, const struct http1_head *head, bool is_handshake,
                       uint64_t took_usec);
/* The tunnel to it has ended for that reason, so long after the 101. */
void symptoms_ended(const struct connection *c, enum reason reason, uint64_t lived_usec);

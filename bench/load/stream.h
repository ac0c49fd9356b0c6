/* One connection to the target, plain or TLS, never blocking. */
#pragma once

#include "load.h"

#include <sys/types.h>

/* Opens a socket, from the next source address, and begins to connect. 0 or a negative errno. */
int stream_open(struct stream *s, struct load *l);

/* After the socket says that it can be written: 0 connected, or a negative errno. */
int stream_connected(struct stream *s);

/* TLS: 0 done (or none is spoken), -EAGAIN, or what is wrong. */
int stream_secure(struct stream *s, struct load *l);

/* Bytes, 0 at the end, -EAGAIN, or what is wrong. */
ssize_t stream_recv(struct stream *s, void *at, size_t size);
/* Takes bytes off a plain stream without copying them anywhere. */
ssize_t stream_skip(struct stream *s, size_t size);
ssize_t stream_sendv(struct stream *s, const struct iovec *iov, int count);

void stream_finish(struct stream *s); /* sends FIN */
void stream_close(struct stream *s);  /* may be closed already */
void stream_abort(struct stream *s);  /* RST */

int stream_tls_init(struct load *l);

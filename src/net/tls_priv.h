/* Between stream.c and tls.c only. All of them want stream->tls set. */
#pragma once

#include "net/stream.h"

ssize_t stream_read_raw(struct stream *stream, void *at, size_t len);
ssize_t stream_write_raw(struct stream *stream, struct bytes bytes);

ssize_t tls_session_read(struct stream *stream, void *at, size_t len);
ssize_t tls_session_write(struct stream *stream, struct bytes bytes);
bool tls_session_has_unsent(const struct stream *stream);
int tls_session_flush(struct stream *stream);
void tls_session_end(struct stream *stream);   /* close_notify */
void tls_session_close(struct stream *stream); /* close_notify if it fits, then frees */
void tls_session_free(struct stream *stream);

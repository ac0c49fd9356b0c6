/* Between the commands that ask a running turnout: client.c asks, the others show. A command is one
 * file, a line in client.h and a row in daemon/main.c. */
#pragma once

#include "admin/client.h"
#include "base/check.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define CLIENT_LINE_BYTES 65536
#define CLIENT_PATH_BYTES 1024

enum { CLIENT_DONE = 0, CLIENT_FAILED = 1, CLIENT_NOT_REACHED = 3 };

/* Sends a request and waits for its answer, as JSON. NULL: not reached, or no JSON; that was said,
 * and *ret_status is 0 when nothing came at all. */
json_t *client_request(const struct client_options *options, const char *method, const char *path,
                       json_t *take_body, int *ret_status);

/* Prints an answer; the exit code. With --json it is printed as it is; what is an error goes to
 * stderr. */
typedef void client_show_fn(const json_t *json);
int client_show_answer(const struct client_options *options, json_t *take_json, int status,
                       client_show_fn *as_table);
int client_show(const struct client_options *options, const char *method, const char *path,
                json_t *take_body, client_show_fn *as_table); /* both */

/* One segment of a path, or a value of a query: what is not plain is %-escaped. False: too long. */
bool client_escape(const char *text, char *to, size_t size);

void client_show_drain(const json_t *drain); /* one line each */
void client_show_rebalance(const json_t *json);

const char *client_word(const json_t *object, const char *key); /* "-": not there */
long long client_count(const json_t *object, const char *key);

/* For answers that are streams of lines. */
FILE *client_open(const char *address); /* NULL: that was said */
void client_wait(int fd, int seconds);  /* how long to wait for each piece; 0: for ever */
/* Sends the request and reads the answer's head: its status; 0: there was no answer. */
int client_ask(FILE *stream, const char *method, const char *path, const char *body);

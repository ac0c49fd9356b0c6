/* Blocking, since it is a command: a connection, a request with `Connection: close`, and lines
 * until the end. No wait is without an end but that for the next event. */
#include "admin/client_priv.h"

#include "net/address.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#define ANSWER_SEC 10
#define CHANGE_SEC 40 /* for what changes something: a reload reads certificates */

const char *client_given(const struct client_options *options, const char *name)
{
    for (size_t i = 0; i < options->given_count; i++)
        if (strcmp(options->given[i].name, name) == 0)
            return options->given[i].value;
    return NULL;
}

/* --- the connection --------------------------------------------------------------------------- */

void client_wait(int fd, int seconds)
{
    const struct timeval within = {.tv_sec = seconds};

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &within, sizeof within);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &within, sizeof within);
}

/* The connected descriptor, or a negative errno. */
static int connect_to(const struct endpoint *endpoint)
{
    int fd = socket(endpoint->is_unix ? AF_UNIX : endpoint->address.any.sa_family,
                    SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr *to =
        endpoint->is_unix ? (const struct sockaddr *)&endpoint->path : &endpoint->address.any;
    socklen_t len = endpoint->is_unix ? sizeof endpoint->path : address_len(&endpoint->address);

    if (fd < 0)
        return -errno;
    client_wait(fd, ANSWER_SEC);
    if (connect(fd, to, len) == 0)
        return fd;
    int error = errno == EINPROGRESS || errno == EAGAIN
                    ? ETIMEDOUT
                    : errno; /* what a passed SO_SNDTIMEO is called */
    close(fd);
    return -error;
}

FILE *client_open(const char *address)
{
    struct endpoint endpoint;

    if (endpoint_parse(address, &endpoint)) {
        fprintf(stderr, "turnout: --admin \"%s\": write unix:/run/turnout.sock or 127.0.0.1:9900\n",
                address);
        return NULL;
    }
    int fd = connect_to(&endpoint);
    if (fd < 0) {
        fprintf(stderr,
                "turnout: nothing answers on %s: %s; is turnout running, and is that its `admin: { "
                "listen }`? (--admin ADDR "
                "or $TURNOUT_ADMIN name another)\n",
                address, strerror(-fd));
        return NULL;
    }
    FILE *stream = fdopen(fd, "r+");
    if (!stream)
        close(fd);
    return stream;
}

int client_ask(FILE *stream, const char *method, const char *path, const char *body)
{
    char line[CLIENT_LINE_BYTES];
    int status = 0;

    fprintf(stream, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", method, path);
    if (body)
        fprintf(stream, "Content-Type: application/json\r\nContent-Length: %zu\r\n", strlen(body));
    fprintf(stream, "\r\n%s", body ? body : "");
    fflush(stream);
    if (fgets(line, sizeof line, stream))
        sscanf(line, "HTTP/1.1 %d", &status);
    while (fgets(line, sizeof line, stream) && strcmp(line, "\r\n") != 0)
        ;
    return status;
}

static json_t *request(const struct client_options *options, const char *method, const char *path,
                       const char *body, int *ret_status)
{
    FILE *stream = client_open(options->admin);
    json_error_t error;

    if (!stream)
        return NULL;
    client_wait(fileno(stream), strcmp(method, "GET") == 0 ? ANSWER_SEC : CHANGE_SEC);
    *ret_status = client_ask(stream, method, path, body);
    json_t *json = *ret_status ? json_loadf(stream, JSON_DISABLE_EOF_CHECK, &error) : NULL;
    if (!json)
        fprintf(stderr, "turnout: %s does not answer as turnout does; is it its admin listener?\n",
                options->admin);
    fclose(stream);
    return json;
}

json_t *client_request(const struct client_options *options, const char *method, const char *path,
                       json_t *take_body, int *ret_status)
{
    char *body = take_body ? json_dumps(take_body, JSON_COMPACT) : NULL;

    *ret_status = 0;
    json_t *answer = request(options, method, path, body, ret_status);
    free(body);
    json_decref(take_body);
    return answer;
}

bool client_escape(const char *text, char *to, size_t size)
{
    size_t len = 0;

    for (; *text; text++) {
        bool is_plain = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
                        (*text >= '0' && *text <= '9') || strchr("-._~:", *text);
        if (len + 4 > size)
            return false;
        if (is_plain)
            to[len++] = *text;
        else
            len += (size_t)snprintf(to + len, size - len, "%%%02X", (uint8_t)*text);
    }
    to[len] = '\0';
    return true;
}

/* --- showing ---------------------------------------------------------------------------------- */

const char *client_word(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "-";
}

long long client_count(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static void print_json(const json_t *json)
{
    json_dumpf(json, stdout, JSON_INDENT(2));
    putchar('\n');
}

int client_show_answer(const struct client_options *options, json_t *take_json, int status,
                       client_show_fn *as_table)
{
    int code = status / 100 == 2 ? CLIENT_DONE : CLIENT_FAILED;

    if (!take_json)
        return CLIENT_NOT_REACHED;
    if (options->is_json)
        print_json(take_json);
    else if (json_object_get(take_json, "error"))
        fprintf(stderr, "turnout: %s; %s\n", client_word(take_json, "error"),
                client_word(take_json, "what_to_do"));
    else
        as_table(take_json);
    json_decref(take_json);
    return code;
}

int client_show(const struct client_options *options, const char *method, const char *path,
                json_t *take_body, client_show_fn *as_table)
{
    int status;
    json_t *json = client_request(options, method, path, take_body, &status);

    return client_show_answer(options, json, status, as_table);
}

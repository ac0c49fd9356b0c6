/* Lengths stand before contents, so no byte of a word is looked at. */
#include "redis/command.h"

#include <stdio.h>

static int append_number(struct buf *to, char sign, size_t number)
{
    char line[32];
    int len = snprintf(line, sizeof line, "%c%zu\r\n", sign, number);

    return buf_append(to, (struct bytes){(const uint8_t *)line, (size_t)len});
}

int redis_command(struct buf *to, const struct bytes *words, size_t count)
{
    size_t before = buf_bytes(to).len;
    int error = append_number(to, '*', count);

    for (size_t i = 0; !error && i < count; i++) {
        error = append_number(to, '$', words[i].len);
        if (!error && words[i].len)
            error = buf_append(to, words[i]);
        if (!error)
            error = buf_append(to, bytes_of("\r\n"));
    }
    if (error)
        buf_cut(to, before);
    return error;
}

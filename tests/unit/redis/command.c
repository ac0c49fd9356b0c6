#include "redis/command.c"

#include "test.h"

#include <errno.h>

TEST(a_command_is_an_array_of_strings)
{
    const struct bytes words[] = {{(const uint8_t *)"SET", 3}, {(const uint8_t *)"a\r\nb", 4}, {0}};
    struct buf buf;

    buf_init(&buf, 100);
    EXPECT(redis_command(&buf, words, 3) == 0);
    EXPECT(bytes_equal(buf_bytes(&buf), bytes_of("*3\r\n$3\r\nSET\r\n$4\r\na\r\nb\r\n$0\r\n\r\n")));
    buf_done(&buf);
}

TEST(without_room_nothing_of_it_stays)
{
    const struct bytes words[] = {{(const uint8_t *)"PING", 4}};
    struct buf buf;

    for (uint32_t room = 10; room < 20; room++) {
        buf_init(&buf, room);
        EXPECT(buf_append(&buf, bytes_of("before")) == 0);
        int error = redis_command(&buf, words, 1);
        EXPECT(error == 0 || error == -EMSGSIZE);
        EXPECT(buf_bytes(&buf).len == (error ? 6u : 20u));
        buf_done(&buf);
    }
}

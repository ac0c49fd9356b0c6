/* URLs of Redis servers: what is taken is whole, and what is refused has words without secrets. */
#include "redis/target.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    static struct redis_target target;
    char words[256] = "", *url = malloc(len + 1);

    REQUIRE(url);
    if (len)
        memcpy(url, at, len);
    url[len] = '\0';
    if (redis_target_parse(url, &target, words) == 0) {
        REQUIRE(!words[0] && target.count >= 1 && target.count <= REDIS_PLACES_MAX);
        REQUIRE(target.is_sentinel == (target.master[0] != '\0'));
    } else {
        REQUIRE(words[0]);
    }
    free(url);
    return 0;
}

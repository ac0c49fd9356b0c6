/* The registry: its rows come from the list in meson.build. */
#include "relay/relay_priv.h"

#include "base/check.h"

#define TIER(name) extern const struct relay_tier_ops relay_tier_##name;
#include "relay/tiers.h"
#undef TIER

static const struct relay_tier_ops *const tiers[] = {
#define TIER(name) &relay_tier_##name,
#include "relay/tiers.h"
#undef TIER
};

const struct relay_tier_ops *relay_tier_at(unsigned tier)
{
    return tier < ARRAY_LEN(tiers) ? tiers[tier] : NULL;
}

const char *relay_tier_name(unsigned tier)
{
    CHECK(tier < ARRAY_LEN(tiers));
    return tiers[tier]->name;
}

unsigned relay_tier_count(void)
{
    return ARRAY_LEN(tiers);
}

const char *const *relay_tier_names(void)
{
#define TIER(name) #name,
    static const char *const names[] = {
#include "relay/tiers.h"
        NULL};
#undef TIER
    return names;
}

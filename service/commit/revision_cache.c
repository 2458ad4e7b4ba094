#include "service/commit/revision_cache.h"

#include <stdlib.h>

#include "service/base/limits.h"

#define REVISION_CACHE_WAYS 4
#define REVISION_CACHE_SETS (STREAM_CACHE_COUNT_MAX / REVISION_CACHE_WAYS)

struct entry {
    struct term term;
    uint64_t revision;
    uint8_t *name; /* NULL: the place is free */
    size_t name_size;
};

struct set {
    struct entry ways[REVISION_CACHE_WAYS];
};

struct revision_cache {
    struct set *sets;
    uint32_t turn; /* the way that a full set gives up next */
};

_Static_assert((REVISION_CACHE_SETS & (REVISION_CACHE_SETS - 1)) == 0, "a set is found by a mask");

result revision_cache_new(struct revision_cache **ret_cache) {
    struct revision_cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL) return failure_result(FAILURE_MEMORY);
    cache->sets = calloc(REVISION_CACHE_SETS, sizeof *cache->sets);
    if (cache->sets == NULL) {
        free(cache);
        return failure_result(FAILURE_MEMORY);
    }
    *ret_cache = cache;
    return RESULT_OK;
}

struct revision_cache *revision_cache_free(struct revision_cache *cache) {
    if (cache == NULL) return NULL;
    for (size_t set = 0; set < REVISION_CACHE_SETS; set++) {
        for (size_t way = 0; way < REVISION_CACHE_WAYS; way++) free(cache->sets[set].ways[way].name);
    }
    free(cache->sets);
    free(cache);
    return NULL;
}

static struct set *set_of(const struct revision_cache *cache, struct term term) {
    uint32_t hash;
    memcpy(&hash, term.bytes, sizeof hash);
    return &cache->sets[hash & (REVISION_CACHE_SETS - 1)];
}

static struct entry *entry_find(const struct revision_cache *cache, struct term term, struct bytes stream) {
    struct set *set = set_of(cache, term);
    for (size_t way = 0; way < REVISION_CACHE_WAYS; way++) {
        struct entry *entry = &set->ways[way];
        if (entry->name != NULL && term_equal(entry->term, term) &&
            bytes_equal(bytes_of(entry->name, entry->name_size), stream)) {
            return entry;
        }
    }
    return NULL;
}

result revision_cache_get(const struct revision_cache *cache, struct term term, struct bytes stream,
                          uint64_t *ret_revision) {
    const struct entry *entry = entry_find(cache, term, stream);
    if (entry == NULL) return failure_result(FAILURE_NOT_FOUND);
    *ret_revision = entry->revision;
    return RESULT_OK;
}

static struct entry *entry_take(struct revision_cache *cache, struct term term) {
    struct set *set = set_of(cache, term);
    for (size_t way = 0; way < REVISION_CACHE_WAYS; way++) {
        if (set->ways[way].name == NULL) return &set->ways[way];
    }
    cache->turn = (cache->turn + 1) % REVISION_CACHE_WAYS;
    return &set->ways[cache->turn];
}

void revision_cache_put(struct revision_cache *cache, struct term term, struct bytes stream, uint64_t revision) {
    struct entry *entry = entry_find(cache, term, stream);
    if (entry != NULL) {
        entry->revision = revision;
        return;
    }
    uint8_t *name = malloc(stream.size);
    if (name == NULL) return;
    memcpy(name, stream.data, stream.size);
    entry = entry_take(cache, term);
    free(entry->name);
    *entry = (struct entry){.term = term, .revision = revision, .name = name, .name_size = stream.size};
}

#include "service/commit/revision_cache.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "service/base/limits.h"

#define REVISION_CACHE_WAYS 4
#define REVISION_CACHE_SETS (STREAM_CACHE_COUNT_MAX / REVISION_CACHE_WAYS)

#define SHORT_NAME_BYTES_MAX 23

struct entry {
    struct term term;
    uint64_t revision;
    uint8_t name_size; /* 0: the place is free */
    /* The name, or the address of a longer one. */
    uint8_t name[SHORT_NAME_BYTES_MAX];
};

_Static_assert(sizeof(struct entry) == 48, "a set takes three lines of the processor's cache");

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

static uint8_t *long_name(const struct entry *entry) {
    uint8_t *name;
    memcpy(&name, entry->name, sizeof name);
    return name;
}

static struct bytes name_of(const struct entry *entry) {
    return bytes_of(entry->name_size <= SHORT_NAME_BYTES_MAX ? entry->name : long_name(entry), entry->name_size);
}

static void entry_clear(struct entry *entry) {
    if (entry->name_size > SHORT_NAME_BYTES_MAX) free(long_name(entry));
    entry->name_size = 0;
}

/* False: no memory for a long name. The entry is free. */
static bool name_set(struct entry *entry, struct bytes stream) {
    assert(entry->name_size == 0 && stream.size > 0 && stream.size <= NAME_BYTES_MAX);
    uint8_t *name = entry->name;
    if (stream.size > SHORT_NAME_BYTES_MAX) {
        name = malloc(stream.size);
        if (name == NULL) return false;
        memcpy(entry->name, &name, sizeof name);
    }
    memcpy(name, stream.data, stream.size);
    entry->name_size = (uint8_t)stream.size;
    return true;
}

struct revision_cache *revision_cache_free(struct revision_cache *cache) {
    if (cache == NULL) return NULL;
    for (size_t set = 0; set < REVISION_CACHE_SETS; set++) {
        for (size_t way = 0; way < REVISION_CACHE_WAYS; way++) entry_clear(&cache->sets[set].ways[way]);
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

void revision_cache_prefetch(const struct revision_cache *cache, struct term term) {
    const char *set = (const char *)set_of(cache, term);
    __builtin_prefetch(set);
    __builtin_prefetch(set + 64);
    __builtin_prefetch(set + 128);
    __builtin_prefetch(set + sizeof(struct set) - 1); /* it may begin within a line */
}

static struct entry *entry_find(const struct revision_cache *cache, struct term term, struct bytes stream) {
    struct set *set = set_of(cache, term);
    for (size_t way = 0; way < REVISION_CACHE_WAYS; way++) {
        struct entry *entry = &set->ways[way];
        if (term_equal(entry->term, term) && bytes_equal(name_of(entry), stream)) return entry;
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
        if (set->ways[way].name_size == 0) return &set->ways[way];
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
    entry = entry_take(cache, term);
    entry_clear(entry);
    if (!name_set(entry, stream)) return;
    entry->term = term;
    entry->revision = revision;
}

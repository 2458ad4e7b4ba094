/* limits.h: every limit of the daemon, with its reason and its arithmetic. Units are in the names.
 * Threads: constants. */
#ifndef SERVICE_BASE_LIMITS_H
#define SERVICE_BASE_LIMITS_H

#include <stdint.h>

#define KIB(count) ((uint64_t)(count) << 10)
#define MIB(count) ((uint64_t)(count) << 20)
#define GIB(count) ((uint64_t)(count) << 30)

/* --- What a request may hold; documented in protos/daybook/v1. ---------------------------------------------------- */
#define NAME_BYTES_MAX           255
#define TAGS_COUNT_MAX           64
#define METADATA_COUNT_MAX       64
#define METADATA_VALUE_BYTES_MAX 8192
#define EVENT_BYTES_MAX_DEFAULT  MIB(1)
#define EVENT_BYTES_MAX_CEILING  MIB(8)
#define REQUEST_BYTES_MAX        MIB(16)
#define REQUEST_EVENTS_COUNT_MAX 1024
#define REQUEST_WRITES_COUNT_MAX 1024
#define REQUEST_CHECKS_COUNT_MAX 1024
#define FILTER_CLAUSES_COUNT_MAX 64
#define CLAUSE_NAMES_COUNT_MAX   64
#define HEARTBEAT_MS_DEFAULT     10000
#define HEARTBEAT_MS_MIN         100
#define HEARTBEAT_MS_MAX         600000

/* A stored record is an encoded event with its place: position, revision and time (at most 11 + 11 + 19 bytes with their
 * tags), the stream's name (3 + 255) and the event's tag and length (1 + 5). */
#define RECORD_OVERHEAD_BYTES_MAX 320
/* The same for an event with a name of twenty bytes whose id (2 + 36) the server assigned. */
#define RECORD_OVERHEAD_BYTES_TYPICAL 88

/* --- The queue in front of the sequencer. ------------------------------------------------------------------------- */
/* Requests that wait. A request waits in its own memory, so this bounds the memory of unserved appends to about
 * QUEUE_BYTES_MAX and their number to what a few commits can drain. One alone may be larger. */
#define QUEUE_REQUESTS_COUNT_MAX 16384
#define QUEUE_BYTES_MAX          MIB(192)

/* What a waiting request is taken to hold beside three times its encoded bytes: its call, and for each event its message, its
 * place and what may stand in its way. */
#define REQUEST_MEMORY_BYTES 4096
/* What a unary call holds beside that, in gRPC: measured as 15.6 KiB for each of 16,384 calls with one small event. */
#define CALL_MEMORY_BYTES  KIB(12)
#define EVENT_MEMORY_BYTES 512

/* How fast requests are written is learned from groups that hold at least so much memory, of which a commit's own time is a
 * small part, and asked only when as much waits: fewer requests go into the next group all at once. */
#define QUEUE_PACE_BYTES_MIN MIB(4)
/* A request may spend half of the time that its caller waits in the queue. The rest is for the ways there and back: a caller's
 * time begins long before an overloaded server reads the call. */
#define QUEUE_PATIENCE_DIVISOR 2

/* One group is one transaction. LMDB fails a transaction with more than 131,071 dirty pages (512 MiB); a group stays far
 * below: 16 MiB of records are 4,096 pages, and one request of 16 MiB may come on top. */
#define GROUP_REQUESTS_COUNT_MAX 4096
#define GROUP_EVENTS_COUNT_MAX   8192
#define GROUP_BYTES_MAX          MIB(16)

/* --- The edge. ---------------------------------------------------------------------------------------------------- */
#define GRPC_THREADS_COUNT_MAX         64
#define GRPC_THREADS_COUNT_DEFAULT_MAX 8
/* Encoded metadata of a stream's settings, and their longest age: a hundred years. */
#define STREAM_METADATA_BYTES_MAX      KIB(64)
#define STREAM_MAX_AGE_SECONDS_CEILING UINT64_C(3153600000)
/* Requests of one AppendMany stream that are received and not answered yet, by number and by the memory they hold: a stream
 * that has reached either is not read from. A quarter of a group; one request of REQUEST_BYTES_MAX may come on top. */
#define APPEND_MANY_REQUESTS_COUNT_MAX 1024
#define APPEND_MANY_BYTES_MAX          MIB(8)
/* What the requests of all AppendMany streams hold together, with the answers that clients have not taken yet, counted as it is
 * taken from the heap. A stream's window is one of so many parts of what is left of that: where n streams fill theirs, each
 * has BYTES_MAX / (SHARE + n), and there is one for whoever comes next. A stream that has nothing of its own receives even
 * without a window; so streams alone could still hold a request each, and what holds more than its slot is refused when there
 * is no room for it. On top come one request for each of the server's threads, and a slot for each stream. */
#define APPEND_STREAMS_BYTES_MAX MIB(256)
#define APPEND_STREAMS_SHARE     16
/* A response ends behind the outcome with which it has this much: about all that a full window of small requests is answered
 * with, and at most an outcome of 1,024 writes (48 bytes each) more. */
#define APPEND_MANY_RESPONSE_BYTES_MAX KIB(24)
/* A request with the first block of its memory, which holds an event of a few hundred bytes with tags. With 4,096 the
 * sequencer was measured to take a fifth longer for a request, probably because the heads of all slots then share a few lines
 * of the processor's cache. */
#define APPEND_SLOT_BYTES 3008
/* What a request may take while it is decoded: its bytes, in one piece, and its parts. Those of 1,024 events with all their
 * tags and metadata are 20 MiB; a request of empty events would take sixty times its bytes, a gibibyte. */
#define REQUEST_MEMORY_BYTES_MAX (4 * REQUEST_BYTES_MAX)
/* The same for one of an AppendMany stream, and encoded again: the events' bytes, and what is left of the buffers in which
 * they have grown. */
#define APPEND_MEMORY_BYTES_MAX (2 * REQUEST_MEMORY_BYTES_MAX)
/* Entries of a page of a list. */
#define PAGE_SIZE_DEFAULT 100
#define PAGE_SIZE_MAX     1000
/* Lists that wait for their thread; one that shows a thousand names takes milliseconds. */
#define LISTS_WAITING_COUNT_MAX 256
/* How often a call that takes long says how far it is. */
#define PROGRESS_INTERVAL_MS 500
/* A backup whose client takes nothing for so long is given up, because the retention waits for its end. */
#define BACKUP_STALL_MS 300000
/* A connection whose client is gone without a word is closed after the silence and the time to answer: 30 + 10 seconds by
 * default. Less than a second would be a load of its own. */
#define KEEPALIVE_MS_MIN 1000
#define KEEPALIVE_MS_MAX 600000
/* The daemon connects to its own port so often, and gives it so long to answer. After so many failures in a row it takes the
 * port for deaf and exits: 2 + 3 * 4 = 14 seconds after the port went deaf at the latest. A failure is one only if the server
 * has accepted nobody in the meantime. */
#define PORT_WATCH_INTERVAL_MS        2000
#define PORT_WATCH_TIMEOUT_MS         4000
#define PORT_WATCH_FAILURES_COUNT_MAX 3

/* Under a load that never rests, free memory goes back to the system this often; it takes a few milliseconds. */
#define MEMORY_TRIM_INTERVAL_MS 30000

/* --- Feed. -------------------------------------------------------------------------------------------------------- */
/* The newest records kept in memory for live subscribers. */
#define TAIL_BYTES_MAX        MIB(4)
#define TAIL_CHUNKS_COUNT_MAX 4096
/* A response carries about this much; one record larger than it travels alone. */
#define CHUNK_BYTES_TARGET KIB(512)
/* A response of a subscription goes on beyond that to the end of an append, but ends here at the latest: with one more event
 * of EVENT_BYTES_MAX_DEFAULT it stays below the 4 MiB that gRPC's clients take by default. */
#define RESPONSE_BYTES_MAX MIB(2)
/* Responses that are ready behind the one in flight, so that reading and sending overlap: one for every reader, more for
 * as long as all of them together stay within the bytes. */
#define HELD_MESSAGES_COUNT_MAX 2
#define HELD_BYTES_MAX          MIB(32)
/* When all messages that clients have not taken yet hold this much, none is held behind one in flight, and responses become
 * small: so 10,000 readers that take nothing hold 200 MiB of small events; of large ones an event each. */
#define UNTAKEN_BYTES_TIGHT    MIB(64)
#define CHUNK_BYTES_WHEN_TIGHT KIB(16)
/* When they hold this much, new readers are refused. */
#define UNTAKEN_BYTES_MAX MIB(256)
/* Buffers that are kept for the next messages: large ones, and of each smaller size, of which all together are 4.6 MiB. */
#define FREE_BUFFERS_COUNT_MAX       4
#define FREE_SMALL_BUFFERS_COUNT_MAX 64
/* Events that one step of a filtering reader looks at before it reports where it is. */
#define STEP_EVENTS_COUNT_MAX 16384
/* A subscriber that is so far behind asks the index before it looks at events. */
#define SUBSCRIPTION_SKIP_EVENTS_COUNT_MIN 256
#define SUBSCRIPTIONS_COUNT_MAX            10000
#define READER_THREADS_COUNT_DEFAULT       2
#define READER_THREADS_COUNT_MAX           64

/* --- Store. ------------------------------------------------------------------------------------------------------- */
/* Address space of the maps; files grow only as they are used. */
#define LOG_MAP_BYTES_DEFAULT   GIB(1024)
#define INDEX_MAP_BYTES_DEFAULT GIB(256)
/* Read transactions at once: the reader pool, the sequencer, the index thread and the tools. */
#define STORE_READERS_COUNT_MAX 512
/* Records that one transaction, or all of them between two steps of a compaction, may rewrite in place; 8 MiB of positions. */
#define REWRITES_COUNT_MAX 1048576
/* A step of a compaction copies and syncs about so much: its snapshot is short, and appends, which sync the same disk, do not
 * wait long for it. */
#define COMPACTION_STEP_EVENTS_COUNT_MAX 32768
#define COMPACTION_STEP_ROWS_COUNT_MAX   16384
#define COMPACTION_STEP_BYTES_MAX        MIB(8)
/* What a switch may copy, on the thread that appends wait for, at the first attempt; every further one may copy twice as
 * much, so that a compaction ends under any load. */
#define COMPACTION_SWITCH_EVENTS_COUNT_MAX 4096
#define COMPACTION_SWITCH_BYTES_MAX        MIB(4)
/* A run of the index holds the entries of this many events (DESIGN: sorted runs). */
#define INDEX_RUN_EVENTS_COUNT 65536
/* This many runs of a level become one of the next. */
#define INDEX_RUNS_MERGED_COUNT 8
/* Events in memory before appends wait for the index thread: four runs. */
#define INDEX_TAIL_EVENTS_COUNT_MAX (4 * INDEX_RUN_EVENTS_COUNT)
/* A row of the table `streams`: the metadata and a hundred bytes of numbers. */
#define STREAM_ROW_BYTES_MAX (STREAM_METADATA_BYTES_MAX + 128)
/* What a rewritten event counts for in the queue and in a group: its page is written anew. */
#define REWRITE_BYTES_TYPICAL KIB(4)
/* Events that one step of the retention removes: each may be on a page of its own, so a step writes a mebibyte at most and
 * the appends of its group wait for that. */
#define RETENTION_STEP_EVENTS_COUNT_MAX 256
#define RETENTION_INTERVAL_MS_DEFAULT   60000
#define RETENTION_INTERVAL_MS_MIN       100
/* Names (streams, types, tags) of the newest events that are aggregated in memory, in tables of INDEX_RUN_EVENTS_COUNT events
 * at most: 65,536 events with a new stream and two new tags each take about 14 MiB. A table is full when its names take this
 * much; one is filled for the next names run, and so many are kept for queries: 216 MiB with slots and order at the very
 * worst, a tenth of that as things are. A catalogue that lags further behind than the tables hold cannot be asked. */
#define NAMES_TABLE_BYTES_MAX       MIB(16)
#define NAMES_TAIL_TABLES_COUNT_MAX 8
/* While segments of the index become full more often than once in so long, the names have one part in so many of the index
 * thread's time, so that appends keep the cores: 1.8 us an event, 50,000 events a second. Else, and when somebody waits for
 * them, they have all that is left. */
#define NAMES_CALM_MS      1000
#define NAMES_SHARE_OF_ONE 10
/* What is kept for queries goes when nobody has asked for so long. */
#define NAMES_TAIL_KEPT_SECONDS 60
/* Events that one page of a list by last change looks at; with fewer streams than asked for it ends there. */
#define LAST_CHANGE_EVENTS_COUNT_MAX 16384
/* The largest window of event ids (--id-index): far more events than a log holds. */
#define IDS_WINDOW_EVENTS_COUNT_MAX 1000000000000000
/* Streams whose last revision is kept in memory: of a few hundred thousand busy ones nearly all are found here instead of in the
 * index, which was two fifths of the work of an append to one of them. */
#define STREAM_CACHE_COUNT_MAX 524288

_Static_assert(GROUP_EVENTS_COUNT_MAX >= REQUEST_EVENTS_COUNT_MAX, "a group holds at least one request");
_Static_assert(QUEUE_BYTES_MAX >= 2 * REQUEST_BYTES_MAX, "the queue holds at least two of the largest requests");
_Static_assert(QUEUE_REQUESTS_COUNT_MAX >= 4 * APPEND_MANY_REQUESTS_COUNT_MAX, "one stream does not fill the queue");
_Static_assert(APPEND_MANY_BYTES_MAX >= APPEND_MANY_REQUESTS_COUNT_MAX * APPEND_SLOT_BYTES,
               "small requests fill the window");
_Static_assert(APPEND_STREAMS_BYTES_MAX / 2 / APPEND_STREAMS_SHARE >= APPEND_MANY_BYTES_MAX,
               "windows are whole until half of the memory is taken");
_Static_assert(EVENT_BYTES_MAX_CEILING < REQUEST_BYTES_MAX, "the largest event fits a request");

#endif

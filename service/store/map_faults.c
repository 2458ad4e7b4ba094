#include "service/store/map_faults.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <ucontext.h>
#include <unistd.h>

#include "service/base/logging.h"

/* The log, the index, and what a compaction and a rebuild make beside them; old ones go when their last reader goes. */
#define WATCHES_COUNT_MAX 16
#define LINE_BYTES        (2 * PATH_MAX)

/* A slot is filled before `begin` is set and emptied after it is cleared, and the handler looks at `begin` first. */
struct watch {
    _Atomic uintptr_t begin; /* 0: free, or being filled */
    uintptr_t end;
    bool is_taken;
    char file[PATH_MAX];
    char note[PATH_MAX]; /* empty: none */
};

static struct {
    struct watch watches[WATCHES_COUNT_MAX];
    atomic_bool is_installed;
    atomic_int exit_code;
    atomic_int exit_code_derived;
    uintptr_t code_begin; /* LMDB's */
    uintptr_t code_end;
    struct sigaction segv_before;
    struct sigaction bus_before;
} faults;

static pthread_mutex_t watches_mutex = PTHREAD_MUTEX_INITIALIZER;

/* --- What happens in the handler: nothing that is not allowed in one. --------------------------------------------------- */

struct line {
    char text[LINE_BYTES];
    size_t size;
};

static void line_add(struct line *line, const char *text) {
    while (*text != '\0' && line->size < sizeof line->text) line->text[line->size++] = *text++;
}

static void line_add_number(struct line *line, uint64_t number) {
    char digits[24];
    size_t at = sizeof digits;
    digits[--at] = '\0';
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    line_add(line, digits + at);
}

static const struct watch *watch_of(uintptr_t address) {
    for (size_t index = 0; index < WATCHES_COUNT_MAX; index++) {
        const struct watch *watch = &faults.watches[index];
        const uintptr_t begin = atomic_load(&watch->begin);
        if (begin != 0 && address >= begin && address < watch->end) return watch;
    }
    return NULL;
}

static bool is_in_lmdb(const void *context) {
    const ucontext_t *at = context;
#if defined(__x86_64__)
    const uintptr_t code = (uintptr_t)at->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    const uintptr_t code = (uintptr_t)at->uc_mcontext.pc;
#else
    const uintptr_t code = 0;
    (void)at;
#endif
    return code >= faults.code_begin && code < faults.code_end;
}

static _Noreturn void page_tell(int signal, const struct watch *watch, uintptr_t address) {
    struct line line = {.size = 0};
    line_add(&line, "daybookd: ");
    if (watch == NULL) {
        line_add(&line, "a page of the log or the index is damaged (");
    } else {
        line_add(&line, "a page of ");
        line_add(&line, watch->file);
        line_add(&line, " is damaged or cannot be read (");
        line_add(&line, signal == SIGABRT ? "" : "byte ");
        if (signal != SIGABRT) line_add_number(&line, address - atomic_load(&watch->begin));
        line_add(&line, signal == SIGABRT ? "" : ", ");
    }
    line_add(&line, signal == SIGBUS ? "SIGBUS" : signal == SIGSEGV ? "SIGSEGV" : "an assertion of LMDB's");
    const bool is_derived = watch != NULL && watch->note[0] != '\0';
    line_add(&line, is_derived ? "): it is made anew at the next start\n"
                               : "): look at the disk, run daybookd --verify, and restore a backup\n");
    if (is_derived) (void)!open(watch->note, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
    (void)!write(STDERR_FILENO, line.text, line.size);
    _exit(atomic_load(is_derived ? &faults.exit_code_derived : &faults.exit_code));
}

static void on_fault(int signal, siginfo_t *information, void *context) {
    const uintptr_t address = (uintptr_t)information->si_addr;
    if (information->si_code > 0) { /* the kernel's, not somebody's kill */
        const struct watch *watch = watch_of(address);
        if (watch != NULL || is_in_lmdb(context)) page_tell(signal, watch, address);
    }
    /* Not ours: the instruction is tried again, with whatever was there before. */
    (void)sigaction(signal, signal == SIGBUS ? &faults.bus_before : &faults.segv_before, NULL);
    if (information->si_code <= 0) (void)raise(signal);
}

/* --- Everything else. --------------------------------------------------------------------------------------------------- */

static int code_find(struct dl_phdr_info *object, size_t size, void *context) {
    (void)size;
    (void)context;
    if (object->dlpi_name == NULL || strstr(object->dlpi_name, "liblmdb") == NULL) return 0;
    for (size_t index = 0; index < object->dlpi_phnum; index++) {
        const ElfW(Phdr) *header = &object->dlpi_phdr[index];
        if (header->p_type != PT_LOAD || (header->p_flags & PF_X) == 0) continue;
        faults.code_begin = object->dlpi_addr + header->p_vaddr;
        faults.code_end = faults.code_begin + header->p_memsz;
    }
    return 1;
}

void map_faults_install(int exit_code, int exit_code_derived) {
    atomic_store(&faults.exit_code, exit_code);
    atomic_store(&faults.exit_code_derived, exit_code_derived);
    if (atomic_exchange(&faults.is_installed, true)) return;
    (void)dl_iterate_phdr(code_find, NULL);
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGSEGV, &action, &faults.segv_before);
    (void)sigaction(SIGBUS, &action, &faults.bus_before);
}

void map_faults_exit_code(int exit_code) {
    atomic_store(&faults.exit_code, exit_code);
}

/* LMDB does not say where it has mapped its file. */
static uintptr_t map_find(int descriptor, uint64_t map_bytes) {
    struct stat status;
    char line[PATH_MAX + 128];
    uintptr_t found = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    if (maps == NULL) return 0;
    const bool is_known = fstat(descriptor, &status) == 0;
    while (is_known && found == 0 && fgets(line, sizeof line, maps) != NULL) {
        uintptr_t begin;
        uintptr_t end;
        uint64_t inode;
        const int count = sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %*4s %*x %*x:%*x %" SCNu64, &begin, &end, &inode);
        /* The device is not compared: some file systems show another one here than to fstat. */
        if (count == 3 && inode == (uint64_t)status.st_ino && end - begin >= map_bytes) found = begin;
    }
    (void)fclose(maps);
    return found;
}

uint32_t map_faults_watch(int descriptor, uint64_t map_bytes, const char *file, const char *note) {
    const uintptr_t begin = map_find(descriptor, map_bytes);
    uint32_t handle = 0;
    (void)pthread_mutex_lock(&watches_mutex);
    for (uint32_t index = 0; index < WATCHES_COUNT_MAX && begin != 0 && handle == 0; index++) {
        struct watch *watch = &faults.watches[index];
        if (watch->is_taken) continue;
        watch->is_taken = true;
        watch->end = begin + map_bytes;
        (void)snprintf(watch->file, sizeof watch->file, "%s", file);
        (void)snprintf(watch->note, sizeof watch->note, "%s", note == NULL ? "" : note);
        atomic_store(&watch->begin, begin);
        handle = index + 1;
    }
    (void)pthread_mutex_unlock(&watches_mutex);
    if (handle == 0) log_warn("the map of a file is not watched: a damaged page would look like a crash", "file", file);
    return handle;
}

void map_faults_unwatch(uint32_t handle) {
    if (handle == 0) return;
    (void)pthread_mutex_lock(&watches_mutex);
    atomic_store(&faults.watches[handle - 1].begin, 0);
    faults.watches[handle - 1].is_taken = false;
    (void)pthread_mutex_unlock(&watches_mutex);
}

void map_faults_assertion(uint32_t handle, const char *assertion) {
    const struct watch *watch = handle == 0 ? NULL : &faults.watches[handle - 1];
    log_error("LMDB has met a page that makes no sense", "file", watch == NULL ? "" : watch->file, "assertion",
              assertion);
    if (atomic_load(&faults.is_installed)) page_tell(SIGABRT, watch, watch == NULL ? 0 : atomic_load(&watch->begin));
}

#include "service/ops/threads.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define STAT_BYTES 256

/* The state in "ID (NAME) STATE ..." of a thread whose name begins so; 0 of all others, and of one that has ended. */
static char state_of(int tasks, const char *id, const char *name_begin) {
    char path[64];
    char text[STAT_BYTES + 1];
    (void)snprintf(path, sizeof path, "%.32s/stat", id);
    const int descriptor = openat(tasks, path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return 0;
    const ssize_t size = read(descriptor, text, STAT_BYTES);
    close(descriptor);
    if (size <= 0) return 0;
    text[size] = '\0';
    const char *name = strchr(text, '(');
    const char *name_end = strrchr(text, ')');
    if (name == NULL || name_end == NULL || name_end[1] != ' ') return 0;
    return strncmp(name + 1, name_begin, strlen(name_begin)) == 0 ? name_end[2] : 0;
}

/* D is who waits for a page of a file, or for memory that the kernel has to find first. */
static bool is_busy(char state) {
    return state == 'R' || state == 'D';
}

bool threads_all_busy(const char *name_begin) {
    DIR *tasks = opendir("/proc/self/task");
    if (tasks == NULL) return false;
    size_t found_count = 0;
    size_t busy_count = 0;
    for (struct dirent *entry = readdir(tasks); entry != NULL; entry = readdir(tasks)) {
        const char state = entry->d_name[0] == '.' ? 0 : state_of(dirfd(tasks), entry->d_name, name_begin);
        if (state != 0) found_count++;
        if (is_busy(state)) busy_count++;
    }
    (void)closedir(tasks);
    return found_count > 0 && busy_count == found_count;
}

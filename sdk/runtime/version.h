/* version.h: the runtime's version, which travels in the user agent.
 *
 * Ownership: constants. Threads: any. */
#ifndef DAYBOOK_SDK_RUNTIME_VERSION_H
#define DAYBOOK_SDK_RUNTIME_VERSION_H

#define DAYBOOK__VERSION    "0.1.0"
#define DAYBOOK__USER_AGENT "daybook-c/" DAYBOOK__VERSION

#endif

/** @file declarations.h
 * What every declaration of the SDK needs: how it is linked, and what compilers are told of it.
 *
 * Ownership: none. Threads: macros. */
#ifndef DAYBOOK_DECLARATIONS_H
#define DAYBOOK_DECLARATIONS_H

/* The library is compiled with hidden names; what stands between these two is what it exports. */
#if defined(__GNUC__)
#define DAYBOOK__VISIBLE_BEGIN _Pragma("GCC visibility push(default)")
#define DAYBOOK__VISIBLE_END   _Pragma("GCC visibility pop")
#else
#define DAYBOOK__VISIBLE_BEGIN
#define DAYBOOK__VISIBLE_END
#endif

#ifdef __cplusplus
#define DAYBOOK_BEGIN_DECLARATIONS DAYBOOK__VISIBLE_BEGIN extern "C" {
#define DAYBOOK_END_DECLARATIONS                                                                                       \
    }                                                                                                                  \
    DAYBOOK__VISIBLE_END
#else
/** Opens the declarations of a header: they are C, and the library exports them. */
#define DAYBOOK_BEGIN_DECLARATIONS DAYBOOK__VISIBLE_BEGIN
/** Closes what DAYBOOK_BEGIN_DECLARATIONS has opened. */
#define DAYBOOK_END_DECLARATIONS   DAYBOOK__VISIBLE_END
#endif

/* The casts of generated wrappers, in the form that each language's warnings ask for. */
#ifdef __cplusplus
#define DAYBOOK__CAST(type, pointer) (reinterpret_cast<type>(pointer))
#else
#define DAYBOOK__CAST(type, pointer) ((type)(pointer))
#endif

/** On functions whose result must not be ignored. */
#if defined(__GNUC__)
#define DAYBOOK_MUST_USE __attribute__((warn_unused_result))
#else
#define DAYBOOK_MUST_USE
#endif

/** On functions of methods that their proto calls deprecated. */
#if defined(__GNUC__)
#define DAYBOOK_DEPRECATED __attribute__((deprecated))
#else
#define DAYBOOK_DEPRECATED
#endif

#endif

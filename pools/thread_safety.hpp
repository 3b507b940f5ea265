// Public: names for Clang's thread-safety analysis.
//
// What a mutex guards is written on the member, and what a function needs on the function; -Wthread-safety
// then rejects every access without the lock. Other compilers see nothing.
#pragma once

#if defined(__clang__)
#define CONFAB_THREAD_ATTRIBUTE(attribute) __attribute__((attribute))
#else
#define CONFAB_THREAD_ATTRIBUTE(attribute)
#endif

/// On a class: it is a lock. `name` appears in warnings.
#define CONFAB_CAPABILITY(name) CONFAB_THREAD_ATTRIBUTE(capability(name))
/// On a class: it holds a lock from construction to destruction.
#define CONFAB_SCOPED_CAPABILITY CONFAB_THREAD_ATTRIBUTE(scoped_lockable)

/// On a member: read and written only while `mutex` is held.
#define CONFAB_GUARDED_BY(mutex) CONFAB_THREAD_ATTRIBUTE(guarded_by(mutex))
/// On a pointer member: what it points to is used only while `mutex` is held.
#define CONFAB_PT_GUARDED_BY(mutex) CONFAB_THREAD_ATTRIBUTE(pt_guarded_by(mutex))

/// On a function: the caller holds these.
#define CONFAB_REQUIRES(...) CONFAB_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
/// On a function: the caller must not hold these, since the function takes them.
#define CONFAB_EXCLUDES(...) CONFAB_THREAD_ATTRIBUTE(locks_excluded(__VA_ARGS__))

/// On a function: takes the lock and returns with it.
#define CONFAB_ACQUIRE(...) CONFAB_THREAD_ATTRIBUTE(acquire_capability(__VA_ARGS__))
/// On a function: gives the lock back.
#define CONFAB_RELEASE(...) CONFAB_THREAD_ATTRIBUTE(release_capability(__VA_ARGS__))
/// On a function: has the lock exactly when it returns `result`.
#define CONFAB_TRY_ACQUIRE(...) CONFAB_THREAD_ATTRIBUTE(try_acquire_capability(__VA_ARGS__))
/// On a function: the analysis cannot follow it; say why beside it.
#define CONFAB_NO_THREAD_SAFETY_ANALYSIS CONFAB_THREAD_ATTRIBUTE(no_thread_safety_analysis)

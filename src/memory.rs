//! Configures the allocator of the C library. By default it keeps freed memory, which suits neither a service that idles
//! between runs nor one that sometimes holds an element of many megabytes.

/// Blocks of at least this many bytes are returned to the system as soon as they are freed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE: libc::c_int = 4 * 1024 * 1024;

/// The heaps that threads share. By default there are up to eight for each core, and each keeps what was freed in it.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const HEAPS: libc::c_int = 2;

/// Bounds the heaps, and returns large blocks to the system when they are freed. By default glibc raises its threshold with each freed
/// large block and keeps the next ones, and the gaps between them grow. Does nothing with other C libraries.
pub fn configure() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(
        unsafe_code,
        reason = "calls of C that take two numbers; thread-safe and without other conditions"
    )]
    // SAFETY: `mallopt` may be called at any time with any numbers; it refuses those that it does not know (mallopt(3)). It is
    // called before there are other threads.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, HEAPS);
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
        // The free memory that stays at the end of the heap. The default is twice the threshold of large blocks, which
        // the remains of a large element reach.
        libc::mallopt(libc::M_TRIM_THRESHOLD, LARGE / 4);
    }
}

/// Returns freed memory to the system. Does nothing with other C libraries than glibc.
pub fn release() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(
        unsafe_code,
        reason = "a call of C that takes a number; thread-safe and without other conditions"
    )]
    // SAFETY: `malloc_trim` may be called at any time and from any thread (malloc_trim(3), MT-Safe).
    unsafe {
        libc::malloc_trim(0);
    }
}

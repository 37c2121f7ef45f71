//! How the C library keeps the memory of this process. It keeps freed memory for later, which suits neither a service that
//! idles between two runs nor one that now and then holds an element of many megabytes.

/// Blocks of so many bytes are given back to the system as soon as they are freed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE: libc::c_int = 4 * 1024 * 1024;

/// Lets large blocks go back to the system when they are freed. By itself the C library learns from each large block that is
/// freed to keep the next ones, and the gaps between them grow with every other element. Does nothing where the C library is not
/// glibc.
pub fn give_back_large_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(
        unsafe_code,
        reason = "calls of C that take two numbers; thread-safe and without other conditions"
    )]
    // SAFETY: `mallopt` may be called at any time with any numbers; it refuses those that it does not know (mallopt(3)). It is
    // called before there are other threads.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
        // So much that is free at the end of the heap stays. By itself it is twice the threshold of large blocks, which what is
        // left of a large element reaches.
        libc::mallopt(libc::M_TRIM_THRESHOLD, LARGE / 4);
    }
}

/// Gives freed memory back. Does nothing where the C library is not glibc.
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

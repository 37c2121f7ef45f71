//! Gives back to the system what a run has used. The C library keeps freed memory for later, and a service that idles
//! between two runs would hold on to the most that any run ever needed.

/// Gives freed memory back. Does nothing where the C library is not glibc.
pub fn give_back() {
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

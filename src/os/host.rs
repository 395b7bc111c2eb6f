//! What this machine is called.
#![forbid(unsafe_code)]

/// The name that the kernel has for this host, or `host` where it says none. For people to read: it identifies nothing.
#[must_use]
pub fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "host".to_owned(),
        name => name.to_owned(),
    }
}

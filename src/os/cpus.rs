//! CPUs: those this process may use, and pinning a thread to one.
#![forbid(unsafe_code)]

use core_affinity::CoreId;

/// The CPUs that this process may run on, lowest first; containers and `taskset` narrow them.
#[must_use]
pub fn allowed_cpus() -> Vec<usize> {
    let mut cpus: Vec<usize> = core_affinity::get_core_ids()
        .unwrap_or_default()
        .into_iter()
        .map(|core| core.id)
        .collect();
    cpus.sort_unstable();
    if cpus.is_empty() {
        // A system that will not tell has at least the one CPU that runs this.
        cpus.push(0);
    }
    cpus
}

/// Pins the calling thread to one CPU. Returns whether the system agreed.
#[must_use]
pub fn pin_to(cpu: usize) -> bool {
    // The system's own CPU set ends here, and core_affinity indexes it unchecked.
    cpu < 1024 && core_affinity::set_for_current(CoreId { id: cpu })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_can_be_pinned_to_each_allowed_cpu_and_no_other() {
        let allowed = allowed_cpus();
        assert!(!allowed.is_empty());
        std::thread::spawn(move || {
            for cpu in &allowed {
                assert!(pin_to(*cpu), "{cpu}");
                assert_eq!(allowed_cpus(), [*cpu]);
            }
            assert!(!pin_to(100_000));
        })
        .join()
        .expect("the thread does not panic");
    }
}
